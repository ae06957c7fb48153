//! Slopes with respect to rates of 0, and where next to nothing is left of what they are slopes of: against dense matrix
//! exponentials of 106 bits.

use proptest::prelude::*;

use super::double_double::{Dd, Matrix, exponential};
use super::tests::plan;
use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::plan::Plan;

/// Edges with a coefficient for each parameter, between vertices from 1 on, or back to the start, which is 0; starts in
/// the first, and the last absorbs.
#[derive(Debug)]
struct Model {
    vertices: usize,
    /// The probability to start.
    starts: f64,
    edges: Vec<(usize, usize, Vec<f64>)>,
}

impl Model {
    /// Edges of one parameter each: from, to, which, how often.
    fn new(vertices: usize, parameters: usize, edges: &[(usize, usize, usize, f64)]) -> Self {
        let coefficients = |which: usize, times: f64| {
            let mut coefficients = vec![0.0; parameters];
            coefficients[which] = times;
            coefficients
        };
        let edges = edges.iter().map(|&(from, to, which, times)| (from, to, coefficients(which, times)));
        Self { vertices, starts: 1.0, edges: edges.collect() }
    }

    fn graph(&self) -> Graph {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..=self.vertices {
            builder.add_vertex(&[i32::try_from(state).unwrap()]).unwrap();
        }
        builder.add_edge(START, 1, Rate::Scalar(self.starts)).unwrap();
        for (from, to, coefficients) in &self.edges {
            builder.add_edge(*from as u32, *to as u32, Rate::Coefficients(coefficients)).unwrap();
        }
        builder.finish()
    }

    fn plan(&self) -> Plan {
        plan(&self.graph())
    }

    fn generator(&self, theta: &[f64]) -> Matrix {
        let mut matrix = vec![vec![Dd::ZERO; self.vertices]; self.vertices];
        for (from, to, coefficients) in &self.edges {
            let terms = coefficients.iter().zip(theta).map(|(&c, &x)| Dd::from(c) * Dd::from(x));
            let rate = terms.fold(Dd::ZERO, |sum, term| sum + term);
            let row = &mut matrix[from - 1];
            row[from - 1] = row[from - 1] - rate;
            if *to == 0 {
                row[0] = row[0] + rate * Dd::from(self.starts);
            } else {
                row[to - 1] = row[to - 1] + rate;
            }
        }
        matrix
    }

    /// Density, distribution function and survival after a stretch of time at each θ, and their slopes with respect to a
    /// parameter of one of them, and what these would be if all slopes of rates were positive: what they are sums of.
    fn slopes(&self, stretches: &[(f64, &[f64])], which: usize, parameter: usize) -> [[Dd; 3]; 3] {
        let mut unit = vec![0.0; stretches[0].1.len()];
        unit[parameter] = 1.0;
        let mut change = self.generator(&unit);
        let [values, slopes] = self.slopes_by(stretches, which, &change);
        let negative = change.iter_mut().flatten().filter(|slope| slope.0 < 0.0);
        negative.for_each(|slope| *slope = -*slope);
        let [_, mut sizes] = self.slopes_by(stretches, which, &change);
        if self.starts < 1.0 {
            sizes[2] = -sizes[2];
        }
        [values, slopes, sizes]
    }

    /// The same where the slopes of the generator are given: a block of the exponential of `[[M, ∂M], [0, M]]` (Van Loan,
    /// IEEE Transactions on Automatic Control 23, 1978).
    fn slopes_by(&self, stretches: &[(f64, &[f64])], which: usize, change: &Matrix) -> [[Dd; 3]; 2] {
        let n = self.vertices;
        let (mut state, mut matrix, mut flows) = (vec![Dd::ZERO; 2 * n], Matrix::new(), false);
        state[0] = Dd::from(self.starts);
        for (number, &(time, theta)) in stretches.iter().enumerate() {
            matrix = self.generator(theta);
            flows = number == which;
            let mut both = vec![vec![Dd::ZERO; 2 * n]; 2 * n];
            for row in 0..n {
                both[row][..n].copy_from_slice(&matrix[row]);
                both[n + row][n..].copy_from_slice(&matrix[row]);
                if flows {
                    both[row][n..].copy_from_slice(&change[row]);
                }
            }
            let power = exponential(&both, Dd::from(time));
            let entry =
                |to: usize| state.iter().zip(&power).fold(Dd::ZERO, |sum, (&p, row)| sum + p * row[to]);
            state = (0..2 * n).map(entry).collect();
        }
        let last = n - 1;
        let flow = |state: &[Dd], matrix: &Matrix| {
            (0..last).fold(Dd::ZERO, |sum, v| sum + state[v] * matrix[v][last])
        };
        let (masses, moved) = state.split_at(n);
        let own = if flows { flow(masses, change) } else { Dd::ZERO };
        let mut alive =
            [masses, moved].map(|state| state[..last].iter().fold(Dd::ZERO, |sum, &mass| sum + mass));
        if self.starts < 1.0 {
            // What is lost survives.
            alive = [Dd::from(1.0) - masses[last], -moved[last]];
        }
        [[flow(masses, &matrix), masses[last], alive[0]], [flow(moved, &matrix) + own, moved[last], alive[1]]]
    }
}

/// What is below 1e-100 may count as nothing.
fn near(found: f64, wanted: Dd, bound: f64) -> bool {
    (found - wanted.0).abs() <= bound + 1e-100
}

/// Density, distribution function and survival of a plan at times, and all their slopes.
fn check(model: &Model, theta: &[f64], times: &[f64], share: f64) {
    let plan = model.plan();
    let distribution = plan.distribution(theta).unwrap();
    let found = [
        distribution.pdf_gradient(times).unwrap(),
        distribution.cdf_gradient(times).unwrap(),
        distribution.survival_gradient(times).unwrap(),
    ];
    for (at, &time) in times.iter().enumerate() {
        for parameter in 0..theta.len() {
            let [values, slopes, sizes] = model.slopes(&[(time, theta)], 0, parameter);
            for (which, (value, gradient)) in found.iter().enumerate() {
                let case = format!("{which} by {parameter} of {theta:?} at {time}");
                let (value, slope) = (value[at], gradient[[at, parameter]]);
                let (wanted, wanted_slope) = (values[which], slopes[which]);
                assert!(near(value, wanted, share * wanted.0), "{case}: {value} {}", wanted.0);
                let bound = share * sizes[which].0;
                assert!(near(slope, wanted_slope, bound), "{case}: {slope:e} {:e}", wanted_slope.0);
            }
        }
    }
}

/// Out of the first vertex at once, or to a slow one, by a rate of its own.
fn way_out() -> Model {
    Model::new(3, 3, &[(1, 3, 0, 1.0), (1, 2, 1, 1.0), (2, 3, 2, 1.0)])
}

/// The same, with another vertex to and fro.
fn detour() -> Model {
    let edges =
        [(1, 4, 0, 1.0), (1, 2, 1, 1.0), (2, 4, 2, 1.0), (1, 3, 3, 0.5), (3, 1, 3, 1.0), (3, 4, 3, 4.0)];
    Model::new(4, 4, &edges)
}

/// Five vertices in a row, with other edges anywhere, each by one of four parameters.
fn any_model() -> impl Strategy<Value = Model> {
    let onward = prop::collection::vec((0..4_usize, 0.2..3.0_f64), 5);
    let others = prop::collection::vec((1..=5_usize, 1..=6_usize, 0..4_usize, 0.2..3.0_f64), 0..8);
    (onward, others).prop_map(|(onward, others)| {
        let row = onward.into_iter().zip(1..).map(|((which, times), from)| (from, from + 1, which, times));
        let others = others.into_iter().filter(|(from, to, ..)| from != to);
        Model::new(6, 4, &row.chain(others).collect::<Vec<_>>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn slopes_at_any_theta_with_zeros_are_those_of_the_matrix_exponential(
        model in any_model(),
        theta in prop::array::uniform4(prop::sample::select(vec![0.0, 0.0, 1e-300, 1e-13, 0.01, 1.0, 7.0])),
        times in prop::array::uniform2(prop::sample::select(vec![0.1, 1.0, 8.0, 20.0, 60.0])),
    ) {
        let plan = model.plan();
        let distribution = plan.distribution(&theta).unwrap();
        let found = [
            distribution.pdf_gradient(&times).unwrap().1,
            distribution.cdf_gradient(&times).unwrap().1,
            distribution.survival_gradient(&times).unwrap().1,
        ];
        let likelihoods = times.map(|time| plan.likelihood(&[time]).unwrap().value_and_gradient(&theta));
        for (at, &time) in times.iter().enumerate() {
            for parameter in 0..4 {
                let [values, wanted, sizes] = model.slopes(&[(time, &theta)], 0, parameter);
                for (which, found) in found.iter().enumerate() {
                    let (found, wanted) = (found[[at, parameter]], wanted[which]);
                    let case = format!("{which} by {parameter} of {theta:?} at {time}: {found:e} {:e}", wanted.0);
                    // Weights of numbers of jumps are followed to 1e-20 of the largest.
                    prop_assert!(near(found, wanted, 1e-11 * sizes[which].0 + 1e-18), "{}", case);
                }
                if values[0].0 > 1e-6 {
                    let found = likelihoods[at].as_ref().unwrap().1[parameter];
                    let (wanted, size) = ((wanted[0] / values[0]), (sizes[0] / values[0]).0);
                    prop_assert!(near(found, wanted, 1e-11 * size), "{} by {} of {:?}: {:e} {:e}", time, parameter, theta, found, wanted.0);
                }
            }
        }
    }
}

#[test]
fn slopes_by_rates_of_zero_know_where_they_would_lead() {
    let (model, theta) = (way_out(), [1.0, 0.0, 0.001]);
    let plan = model.plan();
    let times = [0.5, 2.0, 30.0];
    let (value, gradient) = plan.likelihood(&times).unwrap().value_and_gradient(&theta).unwrap();
    assert!((value + 32.5).abs() < 1e-12, "{value}");
    for (parameter, &found) in gradient.iter().enumerate() {
        let wanted = times.iter().fold(Dd::ZERO, |sum, &time| {
            let [[density, ..], [slope, ..], _] = model.slopes(&[(time, &theta)], 0, parameter);
            sum + slope / density
        });
        assert!(near(found, wanted, 1e-13 * wanted.0.abs()), "{parameter}: {found} {}", wanted.0);
    }
    check(&model, &theta, &[0.5, 20.0, 30.0, 2.0], 1e-12);
}

#[test]
fn slopes_of_very_slow_models_are_found_in_their_time() {
    for (rate, time) in [(1e-140, 1e120), (1e-140, 1e140), (3e-145, 4e144), (1e90, 2e-90), (1e-60, 1e64)] {
        let plan = super::tests::plan(&super::tests::erlang(2));
        let distribution = plan.distribution(&[rate]).unwrap();
        // r²t e^−rt, and 1 + rt by e^−rt survive.
        let x: f64 = rate * time;
        let density = (2.0 * x - x * x) * (-x).exp();
        let found = distribution.pdf_gradient(&[time]).unwrap().1[[0, 0]];
        assert!((found - density).abs() <= 1e-13 * x.min(1.0), "{rate:e} {time:e}: {found:e} {density:e}");
        let survival = -time * x * (-x).exp();
        for found in [
            distribution.survival_gradient(&[time]).unwrap().1[[0, 0]],
            -distribution.cdf_gradient(&[time]).unwrap().1[[0, 0]],
        ] {
            let bound = 1e-13 * time;
            assert!((found - survival).abs() <= bound, "{rate:e} {time:e}: {found:e} {survival:e}");
        }
    }
}

#[test]
fn survival_by_a_migration_of_zero_counts_those_who_would_stay_apart() {
    // Two lineages: in one deme, in different ones, in the other deme.
    let edges =
        [(1, 4, 0, 1.0), (1, 2, 1, 2.0), (2, 1, 1, 1.0), (2, 3, 1, 1.0), (3, 2, 1, 2.0), (3, 4, 0, 1.0)];
    let (model, theta) = (Model::new(4, 2, &edges), [1.0, 0.0]);
    let plan = model.plan();
    let times = [10.0, 20.0, 30.0, 500.0];
    let (_, slopes) = plan.distribution(&theta).unwrap().survival_gradient(&times).unwrap();
    for (at, time) in times.into_iter().enumerate() {
        // Whoever leaves at s before the coalescence would coalesce until t, by e^−t.
        let wanted = 2.0 * (1.0 - (1.0 + time) * (-time).exp());
        assert!((slopes[[at, 1]] / wanted - 1.0).abs() < 1e-12, "{time}: {} {wanted}", slopes[[at, 1]]);
    }
    check(&model, &theta, &[10.0, 0.1, 30.0], 1e-12);
}

#[test]
fn rates_next_to_zero_are_like_those_of_zero() {
    for rate in [1e-300, 1e-200, 1e-40, 1e-20, 1e-12] {
        let theta = [1.0, rate, 0.001];
        check(&way_out(), &theta, &[0.5, 10.0], 1e-12);
        let plan = way_out().plan();
        let (_, gradient) = plan.likelihood(&[30.0]).unwrap().value_and_gradient(&theta).unwrap();
        let [[density, ..], [slope, ..], _] = way_out().slopes(&[(30.0, &theta)], 0, 1);
        let wanted = slope / density;
        assert!(near(gradient[1], wanted, 1e-12 * wanted.0), "{rate:e}: {gradient:?} {}", wanted.0);
    }
}

#[test]
fn slopes_go_on_where_next_to_nothing_is_left() {
    let plan = detour().plan();
    // By jumps for as long as they are few, and by leaps.
    for (theta, times) in [
        ([1.0, 0.0, 0.001, 1.0], vec![500.0, 400.0, 420.0, 450.0, 800.0, 1000.0]),
        ([1000.0, 0.0, 0.001, 1000.0], vec![200.0]),
        ([1.0, 0.3, 0.001, 1.0], vec![500.0, 1000.0]),
        ([1000.0, 1e-20, 0.001, 1000.0], vec![200.0]),
    ] {
        let distribution = plan.distribution(&theta).unwrap();
        let (_, below) = distribution.cdf_gradient(&times).unwrap();
        let (_, above) = distribution.survival_gradient(&times).unwrap();
        let (_, density) = distribution.pdf_gradient(&times).unwrap();
        for (at, &time) in times.iter().enumerate() {
            for parameter in 0..4 {
                let [_, wanted, sizes] = detour().slopes(&[(time, &theta)], 0, parameter);
                for (which, found) in [&density, &below, &above].into_iter().enumerate() {
                    let (found, wanted) = (found[[at, parameter]], wanted[which]);
                    // Of what is below 1e-24 the reference knows nothing.
                    let bound = 1e-11 * sizes[which].0.abs() + 1e-24;
                    let case = format!("{which} by {parameter} of {theta:?} at {time}");
                    assert!(near(found, wanted, bound), "{case}: {found:e} {:e}", wanted.0);
                }
            }
        }
    }
}

#[test]
fn slopes_across_epochs_know_where_rates_of_zero_would_lead() {
    let model = detour();
    let (first, second) = ([1.0, 0.0, 0.001, 1.0], [3.0, 0.5, 0.002, 0.0]);
    let plan = model.plan();
    for (breakpoint, time) in [(10.0, 35.0), (40.0, 60.0), (450.0, 460.0)] {
        let epochs = plan.epochs(&[breakpoint], &[first, second]).unwrap();
        let found = [
            epochs.pdf_gradient(&[time]).unwrap(),
            epochs.cdf_gradient(&[time]).unwrap(),
            epochs.survival_gradient(&[time]).unwrap(),
        ];
        for epoch in 0..2 {
            for parameter in 0..4 {
                let stretches = [(breakpoint, &first[..]), (time - breakpoint, &second[..])];
                let [_, wanted, sizes] = model.slopes(&stretches, epoch, parameter);
                for (which, (_, gradient)) in found.iter().enumerate() {
                    let (found, wanted) = (gradient[[0, epoch, parameter]], wanted[which]);
                    let bound = 1e-12 * sizes[which].0.abs() + 1e-28;
                    let case = format!("{which} by {parameter} of epoch {epoch} at {time}");
                    assert!(near(found, wanted, bound), "{case}: {found:e} {:e}", wanted.0);
                }
            }
        }
    }
}

/// A start of a half, so that what survives is mostly what never starts, or was lost on a way back to the start.
#[test]
fn censored_times_of_a_defective_start_have_slopes_however_little_is_alive() {
    for target in [3, 0] {
        let edges = [(1, 3, 0, 1.0), (1, 2, 1, 1.0), (2, target, 2, 1.0)];
        let model = Model { starts: 0.5, ..Model::new(3, 3, &edges) };
        let plan = model.plan();
        let theta = [1.0, 0.0, 1e-3];
        for censored in [30.0, 900.0, 3_000.0] {
            let likelihood = plan.censored_likelihood(&[2.0], &[censored]).unwrap();
            let (_, gradient) = likelihood.value_and_gradient(&theta).unwrap();
            for (parameter, &found) in gradient.iter().enumerate() {
                let [[density, ..], [flow, ..], [size, ..]] = model.slopes(&[(2.0, &theta)], 0, parameter);
                let [[.., alive], [.., slope], [.., lost]] =
                    model.slopes(&[(censored, &theta)], 0, parameter);
                let wanted = flow / density + slope / alive;
                let bound = 1e-12 * (size / density + lost / alive).0.abs();
                let case = format!("{parameter} at {censored}, out of 2 to {target}");
                assert!(near(found, wanted, bound), "{case}: {found} {}", wanted.0);
            }
        }
    }
}
