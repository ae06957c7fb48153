//! Densities against what the literature has in closed form.

use super::tests::plan;
use crate::graph::{Graph, GraphBuilder, Rate, START};

fn graph(vertices: u32, start: u32, edges: &[(u32, u32, Vec<f64>)]) -> Graph {
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

/// `f(t) = Σ_i λ_i e^{−λ_i t} Π_{j≠i} λ_j/(λ_j − λ_i)` (Ross, Introduction to Probability Models, section 5.2).
#[test]
fn a_hypoexponential_time_has_its_density() {
    let rates = [1.0, 2.5, 4.0, 0.3];
    let unit = |at: usize| (0..4).map(|k| if k == at { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
    let edges: Vec<_> = (1..=4).map(|at: u32| (at, at + 1, unit(at as usize - 1))).collect();
    let plan = plan(&graph(5, 1, &edges));
    let times = [0.5, 1.0, 3.0, 10.0, 40.0];
    let found = plan.distribution(&rates).unwrap().pdf(&times).unwrap();
    for (found, t) in found.iter().zip(times) {
        let term = |i: usize| {
            let others = (0..4).filter(|&j| j != i).map(|j| rates[j] / (rates[j] - rates[i]));
            others.product::<f64>() * rates[i] * (-rates[i] * t).exp()
        };
        let wanted: f64 = (0..4).map(term).sum();
        assert!((found - wanted).abs() < 1e-14, "{t}: {found} {wanted}");
    }
}

/// The time to the most recent common ancestor of n genes, in coalescent units:
/// `P(T ≤ t) = 1 − Σ_{k=2}^n (2k−1) (−1)^k n_[k]/n_(k) e^{−k(k−1)t/2}` with falling and rising factorials (Tavaré,
/// Theoretical Population Biology 26, 1984). Fast vertices make it stiff: 31,125 coalescences a unit of time at first.
#[test]
fn the_age_of_250_genes_is_that_of_tavare() {
    let n = 250_u32;
    let edges: Vec<_> =
        (2..=n).map(|k| (n - k + 1, n - k + 2, vec![f64::from(k) * f64::from(k - 1) / 2.0])).collect();
    let plan = plan(&graph(n, 1, &edges));
    let times = [0.1, 0.3, 1.0, 2.0, 5.0, 20.0];
    let curve = plan.distribution(&[1.0]).unwrap().curve(&times).unwrap();
    for (at, t) in times.into_iter().enumerate() {
        let (mut ratio, mut density, mut above) = (1.0, 0.0, 0.0);
        for k in 1..=n {
            ratio *= f64::from(n - k + 1) / f64::from(n + k - 1);
            if k > 1 {
                let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                let rate = f64::from(k) * f64::from(k - 1) / 2.0;
                let term = sign * f64::from(2 * k - 1) * ratio * (-rate * t).exp();
                above += term;
                density += rate * term;
            }
        }
        // The alternating series loses digits at early times.
        let tolerance = if t < 0.5 { 1e-9 } else { 1e-13 };
        assert!((curve.cdf[at] - (1.0 - above)).abs() < tolerance, "{t}: {} {}", curve.cdf[at], 1.0 - above);
        assert!((curve.survival[at] - above).abs() < tolerance);
        assert!((curve.pdf[at] - density).abs() < tolerance, "{t}: {} {density}", curve.pdf[at]);
    }
}

/// The busy period of M/M/1: `f(t) = e^{−(λ+μ)t} I₁(2t√(λμ)) / (t√(λ/μ))` (Takács 1962); 400 places stand for no limit.
#[test]
fn a_busy_period_has_its_bessel_function() {
    let places = 400;
    let mut edges = vec![(1, places + 1, vec![0.0, 1.0])];
    for k in 1..places {
        edges.push((k, k + 1, vec![1.0, 0.0]));
        edges.push((k + 1, k, vec![0.0, 1.0]));
    }
    let plan = plan(&graph(places + 1, 1, &edges));
    let (arrival, service) = (0.8, 1.0);
    let times = [0.5, 2.0, 10.0, 50.0];
    let found = plan.distribution(&[arrival, service]).unwrap().pdf(&times).unwrap();
    for (found, t) in found.iter().zip(times) {
        let half = t * (arrival * service).sqrt();
        let (mut bessel, mut term) = (0.0, half);
        for m in 1..400 {
            bessel += term;
            term *= half * half / (f64::from(m) * f64::from(m + 1));
        }
        let wanted = (-(arrival + service) * t).exp() * bessel / (t * (arrival / service).sqrt());
        assert!((found / wanted - 1.0).abs() < 1e-12, "{t}: {found} {wanted}");
    }
}

/// A Coxian time of two phases: exits from both, `f = p₁-weighted exponential and hypoexponential`.
#[test]
fn a_coxian_time_has_its_density() {
    let edges = [(1, 2, vec![1.0, 0.0, 0.0]), (1, 3, vec![0.0, 1.0, 0.0]), (2, 3, vec![0.0, 0.0, 1.0])];
    let plan = plan(&graph(3, 1, &edges));
    let (on, out, last) = (2.0, 1.0, 0.5);
    let times = [0.0, 0.4, 2.0, 9.0];
    let found = plan.distribution(&[on, out, last]).unwrap().pdf(&times).unwrap();
    for (found, t) in found.iter().zip(times) {
        let first = on + out;
        let second = on / (first - last) * ((-last * t).exp() - (-first * t).exp());
        let wanted = out * (-first * t).exp() + last * second;
        assert!((found - wanted).abs() < 1e-14, "{t}: {found} {wanted}");
    }
}
