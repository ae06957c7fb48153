//! Derivatives that are small beside others, or beside what they are differences of: each is right by itself.

use super::{EvaluationError, build, close, from_first, plan};
use crate::double_double::Dd;
use crate::graph::Graph;

/// Two rates one after the other, each a parameter: a sum of two exponential times.
fn two_rates() -> Graph {
    from_first(4, &[(1, 2, &[1.0, 0.0]), (2, 3, &[0.0, 1.0])])
}

/// `Σ i sⁱ⁻¹ t^(k−i)`: the derivative by s of the moment of order k, over k!.
fn by_first(s: f64, t: f64, k: i32) -> f64 {
    (1..=k).map(|i| f64::from(i) * s.powi(i - 1) * t.powi(k - i)).sum()
}

#[test]
fn derivatives_by_a_rate_are_right_however_far_it_is_from_the_others() {
    let graph = two_rates();
    let plan = plan(&graph);
    for (a, b) in [(1e6, 1e-6), (4.1e6, 1e-6), (1e8, 1e-8), (1e-8, 1e8), (1e20, 1e-20), (3.0, 7.0)] {
        let at = plan.at(&[a, b]).unwrap();
        let (s, t) = (1.0 / a, 1.0 / b);
        let check = |found: Vec<f64>, wanted: [f64; 2], what: &str| {
            for (found, wanted) in found.iter().zip(wanted) {
                assert!(close(*found, wanted, 1e-13), "{what} at {a:e}, {b:e}: {found:e} {wanted:e}");
            }
        };
        let mut factorial = 1.0;
        for (power, count) in [(1, 1_usize), (2, 2), (3, 3), (4, 4)] {
            factorial *= f64::from(power);
            let wanted = [by_first(s, t, power) * s * s, by_first(t, s, power) * t * t];
            let wanted = wanted.map(|slope| -factorial * slope);
            check(at.moment_gradient(count).unwrap(), wanted, "moment");
            let by_edge = at.moment_weight_gradient(count, &graph).unwrap();
            assert_eq!(by_edge[0], 0.0);
            check(by_edge[1..].to_vec(), wanted, "moment by edge");
        }
        check(at.variance_gradient(), [-2.0 * s * s * s, -2.0 * t * t * t], "variance");
        let by_edge = at.variance_weight_gradient(&graph).unwrap();
        check(by_edge[1..].to_vec(), [-2.0 * s * s * s, -2.0 * t * t * t], "variance by edge");
        // Times in one vertex each are independent.
        let (first, second) = ([0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]);
        let (first, second) = (at.rewarded(&first).unwrap(), at.rewarded(&second).unwrap());
        assert_eq!(first.covariance_gradient(&second), [0.0, 0.0]);
    }
}

#[test]
fn numbers_of_jumps_that_rates_do_not_change_have_no_derivative_at_all() {
    let mut builder = crate::graph::GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    for state in 1..=3 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(0, 1, crate::graph::Rate::Scalar(1.0)).unwrap();
    builder.add_edge(1, 2, crate::graph::Rate::Coefficients(&[1.0, 0.0])).unwrap();
    builder.add_edge(2, 3, crate::graph::Rate::Coefficients(&[0.3, 0.1])).unwrap();
    let plan = plan(&builder.finish());
    let at = plan.at(&[0.7, 1e-9]).unwrap();
    assert_eq!(at.moments(1).unwrap(), [2.0]);
    assert_eq!(at.moment_gradient(1).unwrap(), [0.0, 0.0]);
    assert_eq!(at.moment_gradient(3).unwrap(), [0.0, 0.0]);
    assert_eq!(at.variance_gradient(), [0.0, 0.0]);
}

/// 1 to 2 and 3, both to 4, each at a parameter; and out of 4 at the last.
fn fork() -> Graph {
    let edges: [(u32, u32, usize); 5] = [(1, 2, 0), (1, 3, 1), (2, 4, 2), (3, 4, 3), (4, 5, 4)];
    let rates: Vec<[f64; 5]> = (0..5).map(|k| std::array::from_fn(|i| f64::from(u8::from(i == k)))).collect();
    let edges: Vec<(u32, u32, &[f64])> =
        edges.iter().map(|&(from, to, rate)| (from, to, &rates[rate][..])).collect();
    from_first(6, &edges)
}

/// Of `E = 1 / (a + b) + (a / c + b / d) / (a + b) + 1 / end`.
fn slopes_of_fork([a, b, c, d, end]: [f64; 5]) -> [f64; 5] {
    let (both, longer) = (a + b, 1.0 / d - 1.0 / c);
    [
        -(1.0 + b * longer) / (both * both),
        (a * longer - 1.0) / (both * both),
        -a / both / (c * c),
        -b / both / (d * d),
        -1.0 / (end * end),
    ]
}

#[test]
fn derivatives_by_the_rates_of_a_fork_are_right_in_any_unit_of_time() {
    let plan = plan(&fork());
    for end in [1e-3, 1e-9, 1e-17] {
        // E of rates times a power of two is E divided by it, to the last bit.
        for power in [400, -400, 500] {
            let unit = 2.0_f64.powi(power);
            let theta = [0.75, 2.5, 3.0, 0.125, end];
            let found = plan.at(&theta.map(|rate| rate * unit)).unwrap().expectation_gradient();
            for (slope, wanted) in found.into_iter().zip(slopes_of_fork(theta)) {
                let slope = slope * unit * unit;
                assert!(close(slope, wanted, 1e-12), "{end} 2^{power}: {slope:e} {wanted:e}");
            }
        }
    }
}

#[test]
fn derivatives_by_the_rates_of_a_fork_are_right_though_both_ways_take_nearly_as_long() {
    let graph = fork();
    let plan = plan(&graph);
    let (a, b, c, d): (f64, f64, f64, f64) = (0.75, 2.5, 3.0, 0.125);
    for end in [1e-3, 1e-6, 1e-9, 1e-13, 1e-17] {
        let at = plan.at(&[a, b, c, d, end]).unwrap();
        let both = a + b;
        let longer = 1.0 / d - 1.0 / c;
        let wanted = slopes_of_fork([a, b, c, d, end]);
        let (found, by_edge) = (at.expectation_gradient(), at.expectation_weight_gradient(&graph).unwrap());
        for ((found, by_edge), wanted) in found.iter().zip(&by_edge[1..]).zip(wanted) {
            assert!(close(*found, wanted, 1e-13), "{end:e}: {found:e} {wanted:e}");
            assert!(close(*by_edge, wanted, 1e-13), "{end:e}: {by_edge:e} {wanted:e}");
        }
        if end < 1e-9 {
            // Its square leaves too few of the digits that there are.
            continue;
        }
        // Var = those of the times in the single vertices, the choice's, and the end's.
        let probability = a / both;
        let times = |rate: f64| 1.0 / (rate * rate);
        let spread = times(c) - times(d) + (1.0 - 2.0 * probability) * longer * longer;
        let by_probability = b / (both * both);
        let wanted = [
            -2.0 / both.powi(3) + by_probability * spread,
            -2.0 / both.powi(3) - a / (both * both) * spread,
            -2.0 * probability / c.powi(3) + probability * (1.0 - probability) * 2.0 * longer / (c * c),
            -2.0 * (1.0 - probability) / d.powi(3)
                - probability * (1.0 - probability) * 2.0 * longer / (d * d),
            -2.0 / end.powi(3),
        ];
        let (found, by_edge) = (at.variance_gradient(), at.variance_weight_gradient(&graph).unwrap());
        for ((found, by_edge), wanted) in found.iter().zip(&by_edge[1..]).zip(wanted) {
            assert!(close(*found, wanted, 1e-12), "{end:e}: {found:e} {wanted:e}");
            assert!(close(*by_edge, wanted, 1e-12), "{end:e}: {by_edge:e} {wanted:e}");
        }
    }
}

#[test]
fn a_parameter_that_changes_nothing_has_no_derivative_and_the_others_keep_theirs() {
    // Whatever is left at the rate θ₁ everywhere takes 1 / θ₁, however it moves about at θ₀.
    let count = 3000;
    let moves = (1..count).map(|v| (v, v + 1, [0.3 + 0.01 * f64::from(v % 100), 0.0]));
    let ends = (1..=count).map(|v| (v, count + 1, [0.0, 1.0]));
    let plan = plan(&build(count + 2, moves.chain(ends)));
    let mut at = plan.at(&[1.0, 3.0]).unwrap();
    for step in 0..8 {
        let theta = [0.7 + 0.1 * f64::from(step), 3.0 - 0.2 * f64::from(step)];
        at.set(&theta).unwrap();
        let found = at.expectation_gradient();
        assert_eq!(found[0], 0.0, "{found:?}");
        assert!(close(found[1], -1.0 / (theta[1] * theta[1]), 1e-14), "{found:?}");
    }
}

#[test]
fn a_parameter_that_changes_no_digit_of_the_number_has_its_derivative_all_the_same() {
    for count in [4, 12, 20] {
        // The last state is left twice as fast, and next to nothing gets there: one in 10^17 of the last.
        let moves = (1..count).map(|v| (v, v + 1, [1.0, 0.0]));
        let ends = (1..=count).map(|v| (v, count + 1, [0.0, if v == count { 2.0 } else { 1.0 }]));
        let graph = build(count + 2, moves.chain(ends));
        let plan = plan(&graph);
        let mut used = plan.at(&[1.0, 5.0]).unwrap();
        for (a, b) in [(1.0, 5.0), (0.9, 5.2), (0.8, 5.1), (0.7, 4.9), (4.0, 5.0)] {
            used.set(&[a, b]).unwrap();
            let found = used.expectation_gradient();
            // E = 1/b − p^k / 2b after k moves with p = a / (a + b). One in four starts at the second state.
            let (share, sum): (f64, f64) = (a / (a + b), a + b);
            let moves = count.cast_signed() - 1;
            let after = |k: i32| -f64::from(k) * share.powi(k - 1) / (2.0 * sum * sum);
            let wanted = 0.75 * after(moves) + 0.25 * after(moves - 1);
            assert!(close(found[0], wanted, 1e-12), "{count} {a} {b}: {found:?} {wanted:e}");
            // Numbers do not depend on what was asked before.
            assert_eq!(found, plan.at(&[a, b]).unwrap().expectation_gradient());
            let ones = vec![1.0; count as usize + 2];
            assert_eq!(found, used.rewarded(&ones).unwrap().expectation_gradient());
        }
    }
}

#[test]
fn a_parameter_has_its_derivative_though_what_it_chooses_between_ends_at_nearly_the_same_rate() {
    // E = (1 + c / b) / (a + c), whose derivative by c is (a − b) / b (a + c)².
    let edges: [(u32, u32, &[f64]); 3] =
        [(1, 3, &[1.0, 0.0, 0.0]), (2, 3, &[0.0, 1.0, 0.0]), (1, 2, &[0.0, 0.0, 1.0])];
    let of_rates = plan(&from_first(4, &edges));
    // The same with rates that are products: 0.3 a and 0.7 b.
    let edges: [(u32, u32, &[f64]); 3] =
        [(1, 3, &[0.3, 0.0, 0.0]), (2, 3, &[0.0, 0.7, 0.0]), (1, 2, &[0.0, 0.0, 1.0])];
    let of_products = plan(&from_first(4, &edges));
    let cases = [
        [1.0, 1.0 + f64::EPSILON, 1.0],
        [1.0, 1.0 - f64::EPSILON / 2.0, 1.0],
        [2.959_100_000_000_000_3, 2.959_100_000_000_003, 2.573],
        [1.3, 1.3 * (1.0 + 1e-9), 0.7],
        [1.3, 1.3 * (1.0 - 1e-6), 0.7],
        [1.3, 1.3 * (1.0 + 1e-3), 0.7],
        [0.3, 0.3, 5.0],
    ];
    for [a, b, c] in cases {
        let sum: f64 = a + c;
        let found = of_rates.at(&[a, b, c]).unwrap().expectation_gradient();
        for (found, wanted) in
            found.iter().zip([-(1.0 + c / b) / (sum * sum), -c / (b * b) / sum, (a - b) / b / (sum * sum)])
        {
            assert!(close(*found, wanted, 1e-12), "{a} {b} {c}: {found:e} {wanted:e}");
        }
        // 0.3 a − 0.7 b, of which all digits are wanted.
        let theta = [a / 0.3, b / 0.7, c];
        let difference = crate::double_double::Dd::from(0.3) * theta[0].into()
            - crate::double_double::Dd::from(0.7) * theta[1].into();
        let wanted = difference.0 / (0.7 * theta[1]) / (0.3 * theta[0] + c).powi(2);
        let found = of_products.at(&theta).unwrap().expectation_gradient()[2];
        assert!(close(found, wanted, 1e-12), "{theta:?}: {found:e} {wanted:e}");
    }
}

#[test]
fn a_parameter_that_is_zero_has_its_derivative() {
    // 1 to 3, or at first never to 2 and then 3, and slowly to the end: E = (1 + b / c) / (a + b) + 1 / d.
    let edges: [(u32, u32, usize); 4] = [(1, 3, 0), (1, 2, 1), (2, 3, 2), (3, 4, 3)];
    let rates: Vec<[f64; 4]> = (0..4).map(|k| std::array::from_fn(|i| f64::from(u8::from(i == k)))).collect();
    let edges: Vec<(u32, u32, &[f64])> =
        edges.iter().map(|&(from, to, rate)| (from, to, &rates[rate][..])).collect();
    let plan = plan(&from_first(5, &edges));
    for b in [0.0, 1e-20, 1e-15, 1e-6] {
        let (a, c, d): (f64, f64, f64) = (1.0, 0.5, 1e-6);
        let found = plan.at(&[a, b, c, d]).unwrap().expectation_gradient();
        let sum = a + b;
        let wanted =
            [-(1.0 + b / c) / (sum * sum), (a / c - 1.0) / (sum * sum), -b / (c * c) / sum, -1.0 / (d * d)];
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(close(*found, wanted, 1e-12), "{b:e}: {found:e} {wanted:e}");
        }
    }
}

#[test]
fn derivatives_of_a_fork_are_right_however_long_the_end_takes_and_at_any_scale_of_time() {
    let plan = plan(&fork());
    for (end, scale) in [(1e-25, 1.0), (1e-40, 1.0), (1e-17, 1e40), (1e-17, 1e-40)] {
        let (a, b, c, d): (f64, f64, f64, f64) = (0.75, 2.5, 3.0, 0.125);
        let theta = [a, b, c, d, end].map(|rate| rate * scale);
        let at = plan.at(&theta).unwrap();
        let wanted = slopes_of_fork([a, b, c, d, end]).map(|slope| slope / scale / scale);
        for (found, wanted) in at.expectation_gradient().iter().zip(wanted) {
            assert!(close(*found, wanted, 1e-12), "{end:e}, {scale:e}: {found:e} {wanted:e}");
        }
    }
}

/// 1 to 2 and back, and on to 3 and the end, at one parameter, which one of the rates may not depend on.
fn one_parameter(has_constant: bool, discrete: bool) -> Graph {
    use crate::graph::Rate::{Coefficients, Scalar};
    let mut builder = crate::graph::GraphBuilder::new(1).unwrap();
    builder.set_was_dph(discrete);
    for state in 1..=4 {
        builder.add_vertex(&[state]).unwrap();
    }
    let edges = [
        (0, 1, Scalar(0.75)),
        (0, 3, Scalar(0.25)),
        (1, 2, Coefficients(&[0.2])),
        (2, 1, Coefficients(&[0.1])),
        (3, 4, Coefficients(&[0.3])),
    ];
    for (from, to, rate) in edges {
        builder.add_edge(from, to, rate).unwrap();
    }
    if has_constant {
        builder.add_fixed_edge(2, 3, 0.15).unwrap();
    } else {
        builder.add_edge(2, 3, Coefficients(&[0.15])).unwrap();
    }
    builder.finish()
}

#[test]
fn a_parameter_that_is_a_scale_has_the_derivatives_that_its_edges_have_together() {
    let rewards = [0.0, 2.0, -0.5, 1.0, 0.0];
    for has_constant in [false, true] {
        let graph = one_parameter(has_constant, false);
        let plan = plan(&graph);
        assert_eq!(plan.is_scaled(), !has_constant);
        let theta = 0.7;
        let at = plan.at(&[theta]).unwrap();
        let rewarded = at.rewarded(&rewards).unwrap();
        // Their edges' derivatives go the long way, whatever the parameter is.
        let together = |by_edge: Vec<f64>| -> f64 {
            let grows =
                (0..graph.edge_count()).map(|edge| graph.edge(edge).coefficients.first().unwrap_or(&0.0));
            by_edge.iter().zip(grows).map(|(slope, coefficient)| slope * coefficient).sum()
        };
        let check = |found: Vec<f64>, by_edge: Vec<f64>| {
            let wanted = together(by_edge);
            assert!(found.len() == 1 && close(found[0], wanted, 1e-14), "{found:?} {wanted}");
        };
        check(at.expectation_gradient(), at.expectation_weight_gradient(&graph).unwrap());
        check(rewarded.expectation_gradient(), rewarded.expectation_weight_gradient(&graph).unwrap());
        for power in 0..4 {
            check(at.moment_gradient(power).unwrap(), at.moment_weight_gradient(power, &graph).unwrap());
            check(
                rewarded.moment_gradient(power).unwrap(),
                rewarded.moment_weight_gradient(power, &graph).unwrap(),
            );
        }
        check(at.variance_gradient(), at.variance_weight_gradient(&graph).unwrap());
        check(
            rewarded.covariance_gradient(&at.rewarded(&[0.0, 1.0, 1.0, 1.0, 0.0]).unwrap()),
            rewarded
                .covariance_weight_gradient(&at.rewarded(&[0.0, 1.0, 1.0, 1.0, 0.0]).unwrap(), &graph)
                .unwrap(),
        );
    }
}

#[test]
fn a_scale_changes_no_number_of_jumps() {
    let plan = plan(&one_parameter(false, true));
    assert!(plan.is_scaled());
    let at = plan.at(&[0.7]).unwrap();
    assert_eq!((at.expectation_gradient(), at.variance_gradient()), (vec![0.0], vec![0.0]));
}

#[test]
fn an_edge_to_absorption_that_nothing_opens_has_its_own_slope_beside_an_only_way() {
    let graph = from_first(4, &[(1, 2, &[1.0]), (1, 3, &[0.0]), (2, 3, &[2.0])]);
    let plan = plan(&graph);
    let at = plan.at(&[1.0]).unwrap();
    // E = (1 + w₁₂ / w₂₃) / (w₁₂ + w₁₃).
    assert_eq!(at.expectation_weight_gradient(&graph).unwrap()[1..], [-1.0, -1.5, -0.25]);
    // E[T²] = 2 / w₁ · E + p₁₂ (2 / w₂₃²) with E[T²] = 2 (1 + w₁₂ / w₂₃) / w₁² + 2 w₁₂ / (w₁ w₂₃²).
    let second = at.moment_weight_gradient(2, &graph).unwrap();
    assert!((second[2] + 4.0 * 1.5 + 0.5).abs() < 1e-14, "{second:?}");
}

#[test]
fn more_powers_than_anybody_could_want_are_refused_before_there_is_room_for_them() {
    let graph = two_rates();
    let plan = plan(&graph);
    let at = plan.at(&[1.0, 2.0]).unwrap();
    let total = at.rewarded(&vec![1.0; graph.vertex_count() as usize]).unwrap();
    for count in [1_001, usize::MAX] {
        let refused = Err(EvaluationError::MomentCount { count, limit: 1_000 });
        assert_eq!(at.moment_gradient(count), refused);
        assert_eq!(at.moment_weight_gradient(count, &graph), refused);
        assert_eq!(total.moment_gradient(count), refused);
        assert_eq!(total.moment_weight_gradient(count, &graph), refused);
    }
}

#[test]
fn digits_lost_in_what_a_solution_exceeds_and_in_a_slope_are_counted_together() {
    // To 2 or, as often, to 5; from 2 to 3 or 4. Those three end, at nearly the same rate.
    let exits = [0.574_424_185_089_778_2, 0.574_432_306_276_973_5, 0.576_910_530_593_004_8];
    let edges: [(u32, u32, &[f64]); 7] = [
        (1, 2, &[0.0, 0.0, 0.5]),
        (1, 5, &[0.0, 0.0, 0.5]),
        (2, 3, &[1.0, 0.0, 0.0]),
        (2, 4, &[0.0, 1.0, 0.0]),
        (3, 6, &[0.0, 0.0, exits[0]]),
        (4, 6, &[0.0, 0.0, exits[1]]),
        (5, 6, &[0.0, 0.0, exits[2]]),
    ];
    let plan = plan(&from_first(7, &edges));
    let [a, b] = [116_059_302.396_306_44, 183_037_055.215_422_27];
    let found = plan.at(&[a, b, 1.0]).unwrap().expectation_gradient();
    // E = 1 + ((1 + a / u + b / v) / (a + b) + 1 / w) / 2.
    let [u, v, _] = exits.map(Dd::from);
    let ([a, b], one) = ([a, b].map(Dd::from), Dd::from(1.0));
    let sum = a + b;
    let half = Dd::from(0.5) / (sum * sum);
    let wanted = [(b / u - b / v - one) * half, (a / v - a / u - one) * half];
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(close(*found, wanted.0, 1e-12), "{found:e} {:e}", wanted.0);
    }
}
