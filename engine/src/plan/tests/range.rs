//! Numbers that pass through what is beyond the range of f64 come out right, or infinite where they are.

use ndarray::Array2;
use proptest::prelude::*;

use super::super::*;
use super::{build, close, from_first, moments_both_ways, plan};
use crate::graph::Graph;
use crate::plan::chain::Chain;
use crate::plan::gradients::Derivative;
use crate::plan::joint::Joint;
use crate::plan::kernel::{Factors, Powers};
use crate::plan::lane::Lane;
use crate::plan::slopes::{ByParameter, Gather};
use crate::plan::wide::Wide;

/// From 1 almost always to the end, within 1e-150; with probability 1e-350 to 2, which takes 1e300.
fn seldom_for_long() -> Graph {
    from_first(4, &[(1, 2, &[1e-200, 0.0, 0.0]), (1, 3, &[0.0, 1e150, 0.0]), (2, 3, &[0.0, 0.0, 1e-300])])
}

#[test]
fn what_is_hardly_ever_reached_counts_where_it_takes_long_enough() {
    let graph = seldom_for_long();
    let plan = plan(&graph);
    let theta = [1.0; 3];
    let moments = moments_both_ways(&plan, &theta, 3);
    assert!(close(moments[0], 1e-50, 1e-14), "{moments:?}");
    // E[T²] = 1e-350 · 2e600.
    assert!(close(moments[1], 2e250, 1e-13) && moments[2] == f64::INFINITY, "{moments:?}");
    let at = plan.at(&theta).unwrap();
    assert!(close(at.variance(), 2e250, 1e-13), "{:e}", at.variance());
    let (waiting, sojourn) = (at.waiting_times(), at.sojourn_times());
    assert!(close(waiting[1], 1e-50, 1e-14) && close(waiting[2], 1e300, 1e-14), "{waiting:?}");
    assert!(close(sojourn[1], 1e-150, 1e-14) && close(sojourn[2], 1e-50, 1e-14), "{sojourn:?}");
    // E = w₁₂ / (w₂₃ w₁₃).
    let gradient = at.expectation_gradient();
    let by_edge = at.expectation_weight_gradient(&graph).unwrap();
    for (slope, wanted) in gradient.iter().zip([1e-50, -1e-50, -1e-50]) {
        assert!(close(*slope, wanted, 1e-13), "{gradient:?}");
    }
    for (slope, wanted) in by_edge[1..].iter().zip([1e150, -1e-200, -1e250]) {
        assert!(close(*slope, wanted, 1e-13), "{by_edge:?}");
    }
    for (slope, wanted) in at.variance_gradient().iter().zip([2e250, -2e250, -4e250]) {
        assert!(close(*slope, wanted, 1e-13), "{:?}", at.variance_gradient());
    }
}

#[test]
fn rewards_that_make_up_for_small_probabilities_are_not_lost() {
    // 2 is reached with probability 1e-320, and 3 from there with 1e-20.
    let edges: [(u32, u32, &[f64]); 5] =
        [(1, 2, &[1e-160]), (1, 4, &[1e160]), (2, 3, &[1e-20]), (2, 4, &[1.0]), (3, 4, &[1.0])];
    let plan = plan(&from_first(5, &edges));
    let at = plan.at(&[1.0]).unwrap();
    let rewards = [0.0, 0.0, 1e300, 1e308, 0.0];
    let rewarded = at.rewarded(&rewards).unwrap();
    let wanted = 1e-20 + 1e-32;
    assert!(close(rewarded.expectation(), wanted, 1e-13), "{:e}", rewarded.expectation());
    assert!(close(rewarded.covariance(&at.rewarded(&[0.0, 0.0, 1.0, 0.0, 0.0]).unwrap()), 2e-20, 1e-11));
    let batch = plan
        .batch(&Array2::from_elem((20, 1), 1.0).view())
        .unwrap()
        .rewarded(&rewards)
        .unwrap()
        .expectation();
    assert!(batch.unwrap().iter().all(|mean| mean.to_bits() == rewarded.expectation().to_bits()));
    // What earns nothing is 0 without a doubt.
    let nothing = at.rewarded(&[0.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
    assert_eq!(
        (nothing.expectation(), nothing.variance(), nothing.moments(2).unwrap()),
        (0.0, 0.0, vec![0.0; 2])
    );
}

#[test]
fn a_variance_within_range_is_found_though_the_second_moment_is_beyond_it() {
    let stages = 10_u32;
    let plan = plan(&from_first(12, &(1..=stages).map(|v| (v, v + 1, &[1.0][..])).collect::<Vec<_>>()));
    let rate: f64 = 5e-154;
    let at = plan.at(&[rate]).unwrap();
    assert_eq!(at.moments(2).unwrap()[1], f64::INFINITY);
    assert!(close(at.variance(), f64::from(stages) / rate / rate, 1e-13), "{:e}", at.variance());
    let slope = -2.0 * f64::from(stages) / rate / rate / rate;
    assert_eq!((at.variance_gradient(), slope), (vec![f64::NEG_INFINITY], f64::NEG_INFINITY));
}

#[test]
fn parameter_vectors_that_need_more_than_f64_leave_those_beside_them_alone() {
    let plan = plan(&seldom_for_long());
    let mut thetas = Array2::from_elem((40, 3), 1e-3);
    for row in 0..40 {
        thetas[(row, 0)] = if row % 7 == 3 { 1.0 } else { 1e-300 };
    }
    let moments = plan.batch(&thetas.view()).unwrap().moments(2).unwrap();
    for (row, theta) in moments.rows().into_iter().zip(thetas.rows()) {
        let alone = plan.at(theta.as_slice().unwrap()).unwrap().moments(2).unwrap();
        assert_eq!(row.to_vec(), alone);
    }
}

#[test]
fn pivots_beyond_the_range_matter_only_if_the_result_is() {
    // 1e-20 of the time through a vertex that takes 1e310.
    let edges: [(u32, u32, &[f64]); 4] =
        [(1, 2, &[1e-20]), (1, 4, &[1.0]), (2, 3, &[1e-310]), (3, 4, &[1.0])];
    let graph = from_first(5, &edges);
    let mean = moments_both_ways(&plan(&graph), &[1.0], 1)[0];
    assert!(close(mean, 1e290, 1e-13), "{mean:e}");
    let at = plan(&graph);
    let at = at.at(&[1.0]).unwrap();
    assert_eq!(at.waiting_times()[2], f64::INFINITY);
    assert!(close(at.sojourn_times()[2], 1e290, 1e-13));
    assert!(close(at.expectation_gradient()[0], -1e290, 1e-13));
}

#[test]
fn slopes_that_are_beyond_the_range_before_they_meet_their_coefficients_are_found() {
    let graph = from_first(3, &[(1, 2, &[1e-77])]);
    let plan = plan(&graph);
    let at = plan.at(&[1.0]).unwrap();
    let rewarded = at.rewarded(&[0.0, 1e155, 0.0]).unwrap();
    // E = 1e155 / w with w = 1e-77 θ.
    assert!(close(rewarded.expectation_gradient()[0], -1e232, 1e-13));
    assert_eq!(rewarded.expectation_weight_gradient(&graph).unwrap()[1], f64::NEG_INFINITY);
}

#[test]
fn weights_that_have_too_few_digits_in_f64_are_worked_out_with_all_of_them() {
    // Both rates of the first vertex are some 2^-1070, and so the probabilities of its ways hardly known.
    let tiny = 2.0_f64.powi(-600);
    let (first, second) = (1.0 + 2.0_f64.powi(-20), 3.0 * 2.0_f64.powi(-470) / tiny * 2.0_f64.powi(-130));
    let edges: [(u32, u32, &[f64]); 4] = [
        (1, 2, &[first * 2.0_f64.powi(-470), 0.0]),
        (1, 3, &[second, 0.0]),
        (2, 4, &[0.0, 1.0]),
        (3, 4, &[0.0, 7.0]),
    ];
    let plan = plan(&from_first(5, &edges));
    let theta = [tiny, 2.0_f64.powi(-1000)];
    let rewards = [0.0, 0.0, 1.0, 1.0, 0.0];
    let ratio = second / (first * 2.0_f64.powi(-470));
    let wanted = (1.0 + ratio / 7.0) / (1.0 + ratio) * 2.0_f64.powi(1000);
    let at = plan.at(&theta).unwrap();
    let found = at.rewarded(&rewards).unwrap().expectation();
    assert!(close(found, wanted, 1e-15), "{found:e} {wanted:e}");
    let thetas = Array2::from_shape_fn((20, 2), |(_, parameter)| theta[parameter]);
    let batch = plan.batch(&thetas.view()).unwrap().rewarded(&rewards).unwrap().expectation().unwrap();
    assert!(batch.iter().all(|mean| mean.to_bits() == found.to_bits()), "{batch:?}");
}

/// A weight from 1e-160 to 1e160, most of them apart.
fn weight() -> impl Strategy<Value = f64> {
    (1.0..10.0_f64, -160..160_i32).prop_map(|(digits, power)| digits * 10_f64.powi(power))
}

/// A graph of weights far apart, each by one of two parameters, in which every vertex can be left for good; with or without
/// cycles.
fn far_apart() -> impl Strategy<Value = (Graph, bool)> {
    let edges = prop::collection::vec((1..8_u32, 1..9_u32, weight(), any::<bool>()), 6..24);
    (edges, prop::collection::vec(weight(), 8), any::<bool>()).prop_map(|(edges, ways, acyclic)| {
        let of = |weight: f64, first: bool| if first { [weight, 0.0] } else { [0.0, weight] };
        let kept = edges.into_iter().filter(|edge| if acyclic { edge.0 < edge.1 } else { edge.0 != edge.1 });
        let kept = kept.map(|(from, to, weight, first)| (from, to, of(weight, first)));
        let out = (1..9).zip(ways).map(|(from, weight)| (from, 9, of(weight, from % 2 == 0)));
        (build(10, kept.chain(out)), acyclic)
    })
}

/// Slopes and the sizes of what they are sums of, with endless exponents.
fn wide_slopes(of: &impl Derivative, plan: &Plan, wide: &Factors<Wide>) -> Vec<(f64, f64)> {
    let slopes = of.back(plan, wide);
    let values = ByParameter.gather(plan, |way| slopes.slope(plan, way));
    let sizes = ByParameter.gather(plan, |way| slopes.slope(plan, way).abs());
    values.into_iter().zip(sizes).map(|(value, size)| (value.value(), size.value())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_those_of_endless_exponents(
        (graph, _) in far_apart(),
        rewards in prop::collection::vec(prop_oneof![Just(0.0), weight()], 10),
    ) {
        let plan = plan(&graph);
        let at = match plan.at(&[1.0, 1.0]) {
            Ok(at) => at,
            Err(error) => {
                prop_assert!(matches!(error, EvaluationError::OutOfRange { .. }), "{}", error);
                return Ok(());
            }
        };
        let wide = Factors::<Wide>::again(&plan, &at.factors);
        let near = |found: f64, wanted: f64| {
            (found - wanted).abs() <= 1e-13 * wanted.abs() + f64::from_bits(4) || found == wanted
        };
        for (rewards, found) in [(None, at.moments(3).unwrap()), (Some(&rewards[..]), at.rewarded(&rewards).unwrap().moments(3).unwrap())] {
            let mut powers = Powers::new();
            powers.resize(3, plan.vertices.len());
            wide.solve_long_powers(&plan, plan.start(), &plan.rewards(rewards), &mut powers);
            for (&found, wanted) in found.iter().zip(powers.at_start()) {
                prop_assert!(near(found, wanted.value()), "{:e} {:e}", found, wanted.value());
            }
        }
        let x = wide.solution(&plan, &plan.rewards(None), None);
        let waiting = at.waiting_times();
        let mut z = vec![Wide::splat(0.0); plan.vertices.len()];
        z[plan.start()] = Wide::splat(1.0);
        wide.solve_transposed(&plan, &mut z);
        let sojourn = at.sojourn_times();
        for (position, &vertex) in plan.vertices.iter().enumerate() {
            let (found, wanted) = (waiting[vertex as usize], x[position].value());
            prop_assert!(near(found, wanted), "{}: {:e} {:e}", vertex, found, wanted);
            let (found, wanted) = (sojourn[vertex as usize], z[position].value());
            prop_assert!(position == plan.start() || near(found, wanted), "{}: {:e} {:e}", vertex, found, wanted);
        }
    }

    #[test]
    fn covariances_and_gradients_are_those_of_endless_exponents(
        (graph, acyclic) in far_apart(),
        rewards in prop::collection::vec(prop_oneof![Just(0.0), weight()], 10),
    ) {
        let plan = plan(&graph);
        let Ok(at) = plan.at(&[1.0, 1.0]) else { return Ok(()) };
        let wide = Factors::<Wide>::again(&plan, &at.factors);
        let (ones, rewards) = (plan.rewards(None), plan.rewards(Some(&rewards)));
        let mean = |rewards: &[f64]| wide.solution(&plan, rewards, None);
        let at_start = |x: &[Wide]| x[plan.start()];
        let cross = |first: &[f64], second: &[f64]| {
            at_start(&wide.solution(&plan, second, Some(&mean(first))))
        };
        for (first, second) in [(&ones, &ones), (&ones, &rewards), (&rewards, &rewards)] {
            let found = at.covariance(first, second);
            let product = at_start(&mean(first)) * at_start(&mean(second));
            let crossed = cross(first, second) + cross(second, first);
            let subtracted = crossed + product;
            // A variance is a sum of squares, and found as such. Of a process that moves a great many times, and of a
            // covariance, as much is known as the textbook's difference keeps.
            let is_sum = acyclic && first == second;
            let (wanted, scale) = if is_sum {
                let variance = Joint::new(&plan, &wide, first, second).covariance().value.value();
                (variance, variance)
            } else {
                ((crossed - product).value(), subtracted.value())
            };
            let near = (found - wanted).abs() <= 1e-11 * scale + f64::from_bits(4) || found == wanted;
            prop_assert!(near || scale.is_infinite() && !is_sum, "{:e} {:e} of {:e}", found, wanted, scale);
        }
        for (rewards, power) in [(&ones, 1), (&ones, 2), (&rewards, 1)] {
            let chain = Chain::of_moment(&at, rewards, power);
            let found = at.gradient(&chain);
            // The way back through an elimination is good beside the result divided by the parameter, which is 1.
            let moment = if power == 1 { at_start(&mean(rewards)) } else { cross(rewards, rewards) }.value();
            for (&found, (wanted, size)) in found.iter().zip(wide_slopes(&chain, &plan, &wide)) {
                let near = (found - wanted).abs() <= 1e-11 * (size + moment) + f64::from_bits(4) || found == wanted;
                prop_assert!(near || (size + moment).is_infinite(), "{}: {:e} {:e} of {:e}", power, found, wanted, size);
            }
        }
    }
}

#[test]
fn numbers_do_not_depend_on_what_was_asked_at_other_parameters_before() {
    // With 5,000 places one after another, and ways back that decide whether plain numbers are enough.
    let edges: Vec<(u32, u32, [f64; 3])> = (1..5000)
        .flat_map(|at| {
            let ways =
                [(at, at + 1, [1.0, 0.0, 0.0]), (at, 5000, [0.0, 1.0, 0.0]), (at, at - 1, [0.0, 0.0, 1.0])];
            ways.into_iter().filter(|&(from, to, _)| to > 0 && (from, to) != (4999, 5000))
        })
        .chain([(4999, 5000, [1.0, 0.0, 0.0])])
        .collect();
    let edges: Vec<(u32, u32, &[f64])> =
        edges.iter().map(|(from, to, rate)| (*from, *to, &rate[..])).collect();
    let plan = plan(&from_first(5001, &edges));
    let thetas =
        [[1.0, 1.0, 0.5], [1.0, 1e-9, 0.5], [2.0, 1e-9, 0.7], [1.0, 1.0, 0.5], [1e200, 1e-200, 1e150]];
    let mut at = plan.at(&thetas[0]).unwrap();
    for theta in thetas.iter().chain(&thetas[..3]) {
        at.set(theta).unwrap();
        let fresh = plan.at(theta).unwrap();
        assert_eq!(at.moments(3), fresh.moments(3), "{theta:?}");
        assert_eq!(at.expectation(), fresh.expectation(), "{theta:?}");
        assert_eq!(at.variance(), fresh.variance(), "{theta:?}");
    }
}
