//! Laws against what the literature has in closed form, evaluated with 106 bits: density, distribution function, survival,
//! hazard, quantiles, and slopes of all of these.

use super::DistributionError;
use super::double_double::{Dd, exponential};
use super::tests::plan;
use crate::graph::{Graph, GraphBuilder, Rate, START};

/// How far densities may be off as a share of their peak, and probabilities: some five times what they are.
const DIGITS: f64 = 1e-14;
/// How far survival, hazard and shares at quantiles may be off as a share of themselves, likewise.
const OF_ITSELF: f64 = 5e-14;
/// How far slopes may be off as a share of the steepest, likewise.
const OF_STEEPEST: f64 = 3e-13;

/// Density and survival function at θ and a time.
type Law<'a> = &'a dyn Fn(&[Dd], Dd) -> [Dd; 2];

pub(super) fn graph(vertices: u32, start: u32, edges: &[(u32, u32, Vec<f64>)]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, start, Rate::Scalar(1.0)).unwrap();
    for (from, to, rate) in edges {
        builder.add_edge(*from, *to, Rate::Coefficients(rate)).unwrap();
    }
    builder.finish()
}

fn exact(numbers: &[f64]) -> Vec<Dd> {
    numbers.iter().map(|&number| Dd::from(number)).collect()
}

fn exp(x: Dd) -> Dd {
    exponential(&vec![vec![x]], Dd::from(1.0))[0][0]
}

/// A derivative by differences so small that only 106 bits can form them.
fn slope(law: Law<'_>, theta: &[f64], time: f64, which: usize, parameter: usize) -> f64 {
    let step = Dd::from(2.0_f64.powi(-34) * theta[parameter]);
    let shifted = |step: Dd| {
        let mut theta = exact(theta);
        theta[parameter] = theta[parameter] + step;
        law(&theta, Dd::from(time))[which]
    };
    ((shifted(step) - shifted(-step)) / (step + step)).0
}

/// Holds every function of time to its closed form.
fn holds(graph: &Graph, theta: &[f64], times: &[f64], law: Law<'_>) {
    let plan = plan(graph);
    let distribution = plan.distribution(theta).unwrap();
    let at = |time: f64| law(&exact(theta), Dd::from(time));
    let last = times.iter().copied().fold(0.0, f64::max);
    let grid = (1..=64).map(|k| last * 0.5_f64.powf(f64::from(k) / 4.0)).chain(times.iter().copied());
    let peak = grid.map(|time| at(time)[0].0).fold(0.0, f64::max);
    let curve = distribution.curve(times).unwrap();
    let (survival, hazard) = (distribution.survival(times).unwrap(), distribution.hazard(times).unwrap());
    for (place, &time) in times.iter().enumerate() {
        let [density, alive] = at(time);
        let near = |found: f64, wanted: f64, bound: f64, what: &str| {
            let off = (found - wanted).abs();
            assert!(off <= bound, "{what} at {time}: {found:e} {wanted:e}, off by {off:e} of {bound:e}");
        };
        near(curve.pdf[place], density.0, DIGITS * peak, "pdf");
        near(curve.cdf[place], (Dd::from(1.0) - alive).0, DIGITS, "cdf");
        near(curve.survival[place], alive.0, DIGITS, "survival of the curve");
        near(survival[place], alive.0, OF_ITSELF * alive.0, "survival");
        let rate = (density / alive).0;
        near(hazard[place], rate, OF_ITSELF * rate, "hazard");
    }
    let shares = [0.01, 0.25, 0.5, 0.9, 0.999];
    for (time, share) in distribution.quantile(&shares).unwrap().into_iter().zip(shares) {
        let below = (Dd::from(1.0) - at(time)[1]).0;
        assert!((below - share).abs() <= OF_ITSELF * share, "quantile {share}: {time}, {below}");
    }
    let found = [
        distribution.pdf_gradient(times).unwrap().1,
        distribution.survival_gradient(times).unwrap().1,
        distribution.cdf_gradient(times).unwrap().1,
    ];
    for parameter in 0..theta.len() {
        for (which, found) in found.iter().enumerate() {
            let sign = if which == 2 { -1.0 } else { 1.0 };
            let wanted: Vec<f64> =
                times.iter().map(|&time| sign * slope(law, theta, time, which.min(1), parameter)).collect();
            let steepest = wanted.iter().fold(0.0_f64, |most, slope| most.max(slope.abs()));
            for ((&found, wanted), time) in found.column(parameter).iter().zip(wanted).zip(times) {
                let off = (found - wanted).abs() / steepest;
                assert!(
                    off <= OF_STEEPEST,
                    "slope {which} by {parameter} at {time}: {found:e} {wanted:e}, off by {off:e}"
                );
            }
        }
    }
}

/// `P(T > t) = Σ_i e^{−λ_i t} Π_{j≠i} λ_j/(λ_j − λ_i)`, and `λ_i` times that for the density (Ross, Introduction to
/// Probability Models, section 5.2).
#[test]
fn a_hypoexponential_time_has_its_law() {
    let unit = |at: usize| (0..4).map(|k| if k == at { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
    let edges: Vec<_> = (1..=4).map(|at: u32| (at, at + 1, unit(at as usize - 1))).collect();
    let law = |rates: &[Dd], t: Dd| {
        let mut sums = [Dd::ZERO; 2];
        for (i, &rate) in rates.iter().enumerate() {
            let mut term = exp(-(rate * t));
            for (_, &other) in rates.iter().enumerate().filter(|&(j, _)| j != i) {
                term = term * other / (other - rate);
            }
            sums = [sums[0] + rate * term, sums[1] + term];
        }
        sums
    };
    for rates in [[1.0, 2.5, 4.0, 0.3], [0.01, 7.0, 20.0, 3.0]] {
        holds(&graph(5, 1, &edges), &rates, &[0.5, 40.0, 1.0, 3.0, 10.0], &law);
    }
}

/// The time to the most recent common ancestor of n genes, in coalescent units:
/// `P(T > t) = Σ_{k=2}^n (2k−1) (−1)^k n_[k]/n_(k) e^{−k(k−1)t/2}` with falling and rising factorials (Tavaré,
/// Theoretical Population Biology 26, 1984). Fast vertices make it stiff: 31,125 coalescences a unit of time at first.
#[test]
fn the_age_of_250_genes_is_that_of_tavare() {
    let n = 250_u32;
    let edges: Vec<_> =
        (2..=n).map(|k| (n - k + 1, n - k + 2, vec![f64::from(k) * f64::from(k - 1) / 2.0])).collect();
    let law = |theta: &[Dd], t: Dd| {
        let (mut ratio, mut sums) = (Dd::from(1.0), [Dd::ZERO; 2]);
        for k in 1..=n {
            ratio = ratio * Dd::from(f64::from(n - k + 1)) / Dd::from(f64::from(n + k - 1));
            if k > 1 {
                let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                let rate = theta[0] * Dd::from(f64::from(k) * f64::from(k - 1) / 2.0);
                if (rate * t).0 > 600.0 {
                    // What is left is below 1e-250.
                    break;
                }
                let term = Dd::from(sign * f64::from(2 * k - 1)) * ratio * exp(-(rate * t));
                sums = [sums[0] + rate * term, sums[1] + term];
            }
        }
        sums
    };
    holds(&graph(n, 1, &edges), &[1.0], &[0.1, 0.3, 1.0, 2.0, 5.0, 20.0], &law);
}

/// The busy period of M/M/1: a walk that steps up with probability `p = λ/(λ+μ)` is first at 0 after `2m + 1` steps with
/// probability `C_m p^m (1−p)^{m+1}`, `C_m` Catalan's numbers (Feller, An Introduction to Probability Theory, volume 1, section
/// XI.3), and steps come at rate `λ + μ`. The density so mixed is Takács's, `e^{−(λ+μ)t} I₁(2t√(λμ)) / (t√(λ/μ))`. 400 places
/// stand for no limit.
#[test]
fn a_busy_period_has_its_law() {
    let places = 400;
    let mut edges = vec![(1, places + 1, vec![0.0, 1.0])];
    for k in 1..places {
        edges.push((k, k + 1, vec![1.0, 0.0]));
        edges.push((k + 1, k, vec![0.0, 1.0]));
    }
    let law = |theta: &[Dd], t: Dd| {
        let sum = theta[0] + theta[1];
        let (up, down) = (theta[0] / sum, theta[1] / sum);
        let mean = sum * t;
        // P(N = 2m), P(N ≤ 2m), and the probability of 2m + 1 steps.
        let (mut now, mut term) = (exp(-mean), down);
        let mut until = now;
        let (mut density, mut alive) = (Dd::ZERO, Dd::ZERO);
        for m in 0..6000 {
            let number = |k: i32| Dd::from(f64::from(k));
            (density, alive) = (density + sum * term * now, alive + term * until);
            term = term * up * down * number(2 * (2 * m + 1)) / number(m + 2);
            for k in [2 * m + 1, 2 * m + 2] {
                now = if now.0 < 1e-200 && f64::from(k) > mean.0 { Dd::ZERO } else { now * mean / number(k) };
                until = until + now;
            }
        }
        [density, alive]
    };
    holds(&graph(places + 1, 1, &edges), &[0.8, 1.0], &[0.5, 2.0, 10.0, 50.0], &law);
}

/// A Coxian time of two phases with exits from both: on with `a`, out with `b`, last with `c`, it is
/// `P(T > t) = e^{−(a+b)t} + a/(a+b−c) (e^{−ct} − e^{−(a+b)t})`.
#[test]
fn a_coxian_time_has_its_law() {
    let edges = [(1, 2, vec![1.0, 0.0, 0.0]), (1, 3, vec![0.0, 1.0, 0.0]), (2, 3, vec![0.0, 0.0, 1.0])];
    let law = |theta: &[Dd], t: Dd| {
        let [on, out, last] = *theta else { unreachable!() };
        let first = on + out;
        let (early, late) = (exp(-(first * t)), exp(-(last * t)));
        let second = on / (first - last) * (late - early);
        [out * early + last * second, early + second]
    };
    for theta in [[2.0, 1.0, 0.5], [0.1, 3.0, 7.0], [1.0, 1e-3, 2.5], [5.0, 1e-6, 40.0]] {
        holds(&graph(3, 1, &edges), &theta, &[0.0, 0.4, 2.0, 9.0], &law);
    }
}

/// `f(t) = θⁿ tⁿ⁻¹ e^{−θt}/(n−1)!` and the Poisson sum of what has not happened; the slope of the survival by θ is `−t f/θ`.
#[test]
fn an_erlang_time_of_sixty_phases_has_its_law() {
    let phases = 60_u32;
    let edges: Vec<_> = (1..=phases).map(|at| (at, at + 1, vec![1.0])).collect();
    let law = |theta: &[Dd], t: Dd| {
        let mean = theta[0] * t;
        let (mut now, mut until) = (exp(-mean), Dd::ZERO);
        let mut last = now;
        for k in 1..=phases {
            (until, last) = (until + now, now);
            now = now * mean / Dd::from(f64::from(k));
        }
        [theta[0] * last, until]
    };
    holds(&graph(phases + 1, 1, &edges), &[1.5], &[10.0, 40.0, 55.0, 90.0, 150.0], &law);
    let law = plan(&graph(phases + 1, 1, &edges));
    let negative = law.distribution(&[1.5]).unwrap().pdf_gradient(&[1.0, -1.0]).unwrap_err();
    assert_eq!(negative, DistributionError::Time { index: 1, value: -1.0 });
}
