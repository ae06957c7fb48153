//! Left tails: densities so early that hardly anything is absorbed, at the end of sweeps of several segments.

use super::closed_forms::graph;
use super::tests::plan;
use crate::graph::Graph;

/// So many stages one after another, each left at the rate θ.
fn stages(count: u32) -> Graph {
    let edges: Vec<(u32, u32, Vec<f64>)> = (1..=count).map(|at| (at, at + 1, vec![1.0])).collect();
    graph(count + 1, 1, &edges)
}

/// The logarithm of Erlang's density.
fn log_density(n: u32, rate: f64, time: f64) -> f64 {
    let log_factorial: f64 = (1..n).map(|k| f64::from(k).ln()).sum();
    f64::from(n) * rate.ln() + f64::from(n - 1) * time.ln() - rate * time - log_factorial
}

#[test]
fn early_densities_of_many_stages_keep_their_digits_over_several_segments() {
    for n in [500, 1000] {
        let plan = plan(&stages(n));
        let rate = f64::from(n);
        for time in [0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.0, 1.3] {
            let wanted = log_density(n, rate, time);
            let likelihood = plan.likelihood(&[time]).unwrap();
            let found = likelihood.value(&[rate]).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{n} stages at {time}: {found} instead of {wanted}");
            let (found, gradient) = likelihood.value_and_gradient(&[rate]).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{n} stages at {time}: {found} instead of {wanted}");
            let slope = f64::from(n) / rate - time;
            assert!((gradient[0] - slope).abs() < 1e-9 * (1.0 + time), "{gradient:?} instead of {slope}");
        }
    }
}

#[test]
fn small_quantiles_of_many_stages_are_where_they_should_be() {
    let plan = plan(&stages(1000));
    let law = plan.distribution(&[1.0]).unwrap();
    for probability in [1e-12, 1e-30, 1e-60, 1e-100] {
        let time = law.quantile(&[probability]).unwrap()[0];
        // F = Σ_{k ≥ n} e^−t t^k / k!, from its largest term.
        let mut term = (log_density(1000, 1.0, time) + (time / 1000.0).ln()).exp();
        let mut sum = 0.0;
        for k in 1001..3000 {
            sum += term;
            term *= time / f64::from(k);
        }
        assert!((sum / probability - 1.0).abs() < 1e-9, "{probability:e}: {time} where it is {sum:e}");
    }
}
