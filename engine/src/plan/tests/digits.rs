//! Numbers and derivatives that would cancel, or pass through what is out of range.

use ndarray::Array2;

use super::{close, from_first, plan, queue};
use crate::graph::{Graph, GraphBuilder, Rate, START};

/// Stages one after the other, each of two vertices: on with θ₀, back with θ₁, out with θ₂.
fn stages(count: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=2 * count + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for first in (1..2 * count).step_by(2) {
        builder.add_edge(first, first + 1, Rate::Coefficients(&[1.0, 0.0, 0.0])).unwrap();
        builder.add_edge(first + 1, first, Rate::Coefficients(&[0.0, 1.0, 0.0])).unwrap();
        builder.add_edge(first + 1, first + 2, Rate::Coefficients(&[0.0, 0.0, 1.0])).unwrap();
    }
    builder.finish()
}

#[test]
fn variances_of_many_stages_keep_twelve_digits_however_far_apart_the_rates() {
    let count = 20_000;
    let plan = plan(&stages(count));
    let n = f64::from(count);
    for case in 0..8 {
        let rate = |k: usize| if case >> k & 1 == 1 { 1e6 } else { 1e-6 };
        let (on, back, out) = (rate(0), rate(1), rate(2));
        // A geometric number of visits to both; all terms are positive.
        let (both, visits) = (back + out, 1.0 + back / out);
        let (mean, spread) = (1.0 / on + 1.0 / both, 1.0 / (on * on) + 1.0 / (both * both));
        let variance = n * visits * (spread + back / out * mean * mean);
        let at = plan.at(&[on, back, out]).unwrap();
        // The mean is summed in plain numbers, in which equal terms are all rounded alike: a few times at each stage.
        let rounding = 8.0 * n * f64::EPSILON / 2.0;
        assert!(close(at.expectation(), n * visits * mean, rounding), "{case}: {:e}", at.expectation());
        assert!(close(at.variance(), variance, 1e-12), "{case}: {:e} {variance:e}", at.variance());
        let by_on = -2.0 * n * visits * (1.0 / on + back / out * mean) / (on * on);
        let by_back = n / (on * out) * (1.0 / on + (both + back) / (on * out) + 2.0 / out);
        let found = at.variance_gradient();
        assert!(close(found[0], by_on, 1e-12), "{case}: {:e} {by_on:e}", found[0]);
        assert!(close(found[1], by_back, 1e-12), "{case}: {:e} {by_back:e}", found[1]);
        // Of degree -2 in the rates.
        let along = on * found[0] + back * found[1] + out * found[2];
        let size = on * found[0].abs() + back * found[1].abs() + out * found[2].abs();
        assert!((along + 2.0 * variance).abs() <= 1e-12 * size, "{case}: {along:e} {variance:e}");
    }
}

#[test]
fn covariances_of_regular_totals_that_move_very_often_have_exact_gradients() {
    // Time in all first and in all second vertices: per stage a geometric number of exponential times each.
    let count = 500;
    let graph = stages(count);
    let plan = plan(&graph);
    let rewards = |odd: u32| (0..graph.vertex_count()).map(|v| f64::from((v + odd) % 2)).collect::<Vec<_>>();
    let (on, back, out): (f64, f64, f64) = (2.0, 1e12, 1.5);
    let at = plan.at(&[on, back, out]).unwrap();
    let (first, second) = (at.rewarded(&rewards(0)).unwrap(), at.rewarded(&rewards(1)).unwrap());
    // Only the number of visits is common: Var N / (on · both), and both · out² · on · C = n · back · both.
    let covariance = f64::from(count) * back / (on * out * out);
    assert!(close(first.covariance(&second), covariance, 1e-12), "{:e}", first.covariance(&second));
    let found = first.covariance_gradient(&second);
    for (found, wanted) in found.iter().zip([-covariance / on, covariance / back, -2.0 * covariance / out]) {
        assert!(close(*found, wanted, 1e-12), "{found:e} {wanted:e}");
    }
}

#[test]
fn covariances_of_numbers_of_jumps_have_exact_gradients_though_products_of_rewards_are_rounded() {
    // A geometric number of rounds with q = ε a / b as the odds of another: C = (R₁ a round)(R₂ a round) q (1 + q).
    for odds in [1e-3, 1e-6, 1e-9, 1e-12] {
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(true);
        for state in 1..=3 {
            builder.add_vertex(&[state]).unwrap();
        }
        builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
        for (from, to, rate) in [(1, 2, [1.0, 1.0]), (2, 1, [odds, 0.0]), (2, 3, [0.0, 1.0])] {
            builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
        }
        let plan = plan(&builder.finish());
        let at = plan.at(&[1.0, 1.0]).unwrap();
        let (first, second) = ([0.0, 1.1, 2.3, 0.0], [0.0, 3.7, 1.3, 0.0]);
        let [one, other] = [first, second].map(|rewards| at.rewarded(&rewards).unwrap());
        let slope = 3.4 * 5.0 * odds * (1.0 + 2.0 * odds);
        let found = one.covariance_gradient(&other);
        for (found, wanted) in found.iter().zip([slope, -slope]) {
            assert!(close(*found, wanted, 1e-12), "{odds:e}: {found:e} {wanted:e}");
        }
    }
}

#[test]
fn gradients_are_numbers_where_what_is_never_reached_leaves_the_range() {
    let plan = plan(&from_first(4, &[(1, 3, &[1.0, 0.0]), (1, 2, &[0.0, 1.0]), (2, 3, &[1e-200, 0.0])]));
    let at = plan.at(&[1.0, 0.0]).unwrap();
    assert_eq!(at.expectation_gradient(), [-1.0, 1e200]);
    assert_eq!(at.moment_gradient(2).unwrap(), [-4.0, f64::INFINITY]);
    assert_eq!(at.moment_gradient(3).unwrap(), [-18.0, f64::INFINITY]);
    assert_eq!(at.variance_gradient(), [-2.0, f64::INFINITY]);
}

#[test]
fn what_is_lost_below_the_range_of_f64_is_found_with_wider_exponents() {
    // From 1 the way through 2 is worth 5e-301, but on the way it is 5e-331; times from both are wrong without it.
    let edges: [(u32, u32, &[f64]); 4] =
        [(1, 2, &[1e-300]), (2, 1, &[1e30]), (2, 3, &[1e30]), (1, 3, &[1e-305])];
    let plan = plan(&from_first(4, &edges));
    let at = plan.at(&[1.0]).unwrap();
    let wanted = 1.0 / (0.5e-300 + 1e-305);
    assert!(close(at.expectation(), wanted, 1e-14), "{:e}", at.expectation());
    assert!(at.waiting_times()[1..3].iter().zip([1.0, 0.5]).all(|(x, part)| close(*x, part * wanted, 1e-14)));
    let thetas = Array2::from_elem((3, 1), 1.0);
    let batch = plan.batch(&thetas.view()).unwrap();
    assert_eq!(batch.expectation().unwrap(), [at.expectation(); 3]);
    let rewards = [0.0, 1e-200, 0.0, 0.0];
    let rewarded = batch.rewarded(&rewards).unwrap().moments(2).unwrap();
    let mean = wanted * 1e-200;
    assert!(close(rewarded[(0, 0)], mean, 1e-14) && close(rewarded[(0, 1)], 2.0 * mean * mean, 1e-13));
    assert_eq!(rewarded.row(0).to_vec(), at.rewarded(&rewards).unwrap().moments(2).unwrap());
    // Rates that are a little nearer lose nothing.
    let edges: [(u32, u32, &[f64]); 4] =
        [(1, 2, &[1e-250]), (2, 1, &[1e30]), (2, 3, &[1e30]), (1, 3, &[1e-255])];
    let mean = self::plan(&from_first(4, &edges)).at(&[1.0]).unwrap().expectation();
    assert!(close(mean, 1.0 / (0.5e-250 + 1e-255), 1e-13), "{mean:e}");
}

#[test]
fn long_times_that_are_right_are_not_out_of_range() {
    // 1.5^1700 and beyond: looked at with wider exponents, and found to be right.
    for places in [1650, 1700, 1740] {
        let plan = plan(&queue(places));
        let at = plan.at(&[1.5, 1.0]).unwrap();
        let wanted = (0..places).map(|k| 1.5_f64.powi(k.cast_signed())).sum::<f64>();
        assert!(close(at.expectation(), wanted, 1e-12), "{places}: {:e} {wanted:e}", at.expectation());
        let thetas = ndarray::array![[1.5, 1.0], [1.0, 1.0]];
        let batch = plan.batch(&thetas.view()).unwrap().expectation().unwrap();
        assert_eq!(batch[0].to_bits(), at.expectation().to_bits());
        assert_eq!(batch[1].to_bits(), plan.at(&[1.0, 1.0]).unwrap().expectation().to_bits());
    }
}
