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

/// Stages one after another, left at the rate of the first parameter, but the last at that of the second.
fn stages_with_exit(count: u32) -> Graph {
    let last = |at: u32| if at == count { vec![0.0, 1.0] } else { vec![1.0, 0.0] };
    let edges: Vec<(u32, u32, Vec<f64>)> = (1..=count).map(|at| (at, at + 1, last(at))).collect();
    graph(count + 1, 1, &edges)
}

const BREAKPOINTS: [f64; 2] = [0.15, 0.3];
const SHARES: [f64; 3] = [1.0, 2.5, 0.4];

/// The epoch of a time, and how much time of each epoch there is until then.
fn spent(time: f64) -> (usize, [f64; 3]) {
    let [first, second] = BREAKPOINTS;
    let spent = [time.min(first), (time.min(second) - first).max(0.0), (time - second).max(0.0)];
    (BREAKPOINTS.iter().filter(|&&breakpoint| breakpoint < time).count(), spent)
}

#[test]
fn early_densities_keep_their_digits_across_epochs() {
    for n in [500, 1000] {
        let plan = plan(&stages(n));
        let rates = SHARES.map(|share| share * f64::from(n));
        let epochs = plan.epochs(&BREAKPOINTS, &rates.map(|rate| [rate])).unwrap();
        for time in [0.2, 0.25, 0.29, 0.3, 0.35, 0.5, 0.9] {
            // Erlang's, in a time that passes as fast as jumps do.
            let (epoch, spent) = spent(time);
            let passed: f64 = rates.iter().zip(&spent).map(|(rate, spent)| rate * spent).sum();
            let wanted = log_density(n, 1.0, passed) + rates[epoch].ln();
            let found = epochs.log_likelihood(&[time], &[]).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{n} stages at {time}: {found} instead of {wanted}");
            let (found, gradient) = epochs.log_likelihood_gradient(&[time], &[]).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{n} stages at {time}: {found} instead of {wanted}");
            for (at, spent) in spent.into_iter().enumerate() {
                let own = if at == epoch { 1.0 / rates[at] } else { 0.0 };
                let slope = own + (f64::from(n - 1) / passed - 1.0) * spent;
                let off = (gradient[[at, 0]] - slope).abs();
                assert!(off < 1e-9 * (1.0 + slope.abs()), "{time} {at}: {gradient} {slope}");
            }
            let hazard = epochs.hazard(&[time]).unwrap()[0];
            let survival = epochs.survival(&[time]).unwrap()[0];
            assert!(((hazard * survival).ln() - wanted).abs() < 1e-9, "{n} {time}: {hazard:e} {wanted}");
        }
    }
}

#[test]
fn early_hazards_keep_their_digits_with_and_without_epochs() {
    for (n, time) in [(500, 0.52), (500, 0.6), (1000, 0.3), (1000, 0.7)] {
        let plan = plan(&stages(n));
        let rate = f64::from(n);
        // Hardly anything is absorbed by then.
        let wanted = log_density(n, rate, time);
        for breakpoints in [vec![], vec![2.0], vec![0.1, 2.0], vec![0.2, 0.25]] {
            let thetas = vec![[rate]; breakpoints.len() + 1];
            let found = plan.epochs(&breakpoints, &thetas).unwrap().hazard(&[time]).unwrap()[0].ln();
            assert!((found - wanted).abs() < 1e-9, "{n} {time} {breakpoints:?}: {found} {wanted}");
        }
    }
}

#[test]
fn small_quantiles_are_where_they_should_be_across_epochs() {
    let n = 1000;
    let plan = plan(&stages(n));
    for (breakpoints, rates) in [
        (BREAKPOINTS, SHARES.map(|share| share * f64::from(n))),
        ([100.0, 101.0], [1.0, 150.0, 1.0]),
        ([100.0, 300.0], [0.5, 2.0, 1.0]),
    ] {
        let epochs = plan.epochs(&breakpoints, &rates.map(|rate| [rate])).unwrap();
        for probability in [1e-12, 1e-30, 1e-60, 1e-100] {
            let time = epochs.quantile(&[probability]).unwrap()[0];
            let [first, second] = breakpoints;
            let passed = rates[0] * time.min(first)
                + rates[1] * (time.min(second) - first).max(0.0)
                + rates[2] * (time - second).max(0.0);
            let mut term = (log_density(n, 1.0, passed) + (passed / f64::from(n)).ln()).exp();
            let mut sum = 0.0;
            for k in n + 1..3 * n {
                sum += term;
                term *= passed / f64::from(k);
            }
            assert!((sum / probability - 1.0).abs() < 1e-9, "{probability:e}: {time} where it is {sum:e}");
        }
    }
}

#[test]
fn early_densities_keep_their_digits_where_only_a_later_epoch_lets_out() {
    let n: u32 = 600;
    let plan = plan(&stages_with_exit(n));
    let rates = [400.0, 900.0];
    let epochs = plan.epochs(&[0.5], &[[rates[0], 0.0], [rates[1], rates[1]]]).unwrap();
    for time in [0.55, 0.6, 0.8, 1.2] {
        // So many jumps until 1/2, of which no more than n − 1 lead anywhere, and the others after it.
        let log_poisson = |k: u32, mean: f64| log_density(k + 1, 1.0, mean);
        let (before, after) = (0.5 * rates[0], (time - 0.5) * rates[1]);
        let ways = (0..n - 1).map(|k| log_poisson(k, before) + log_poisson(n - 1 - k, after));
        let done = (n - 1..3 * n).map(|k| log_poisson(k, before) - after);
        let terms: Vec<f64> = ways.chain(done).collect();
        let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let wanted = most + terms.iter().map(|term| (term - most).exp()).sum::<f64>().ln() + rates[1].ln();
        let found = epochs.log_likelihood(&[time], &[]).unwrap();
        assert!((found - wanted).abs() < 1e-9, "{time}: {found} instead of {wanted}");
    }
}
