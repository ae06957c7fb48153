//! Everything a sweep gives, against dense matrix exponentials of 106 bits on random graphs.

mod epochs;
mod jumps;

use proptest::prelude::*;

use super::double_double::{Dd, Matrix, exponential};
use super::tests::plan;
use super::*;
use crate::graph::{Graph, GraphBuilder, Rate, START};

/// A graph in two parameters; returns to the start, parallel edges, missing initial probability and direct absorption
/// occur.
#[derive(Debug, Clone)]
struct Recipe {
    vertices: u32,
    edges: Vec<(u32, u32, [f64; 2])>,
    initial: Vec<(u32, f64)>,
    theta: [f64; 2],
    time: f64,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (2..7_u32).prop_flat_map(|n| {
        let rate = || prop::array::uniform2(prop_oneof![Just(0.0), 0.05..4.0_f64, 20.0..60.0_f64]);
        let edges = prop::collection::vec((1..=n, 0..=n + 1, rate()), 0..3 * n as usize);
        let onward = prop::collection::vec((0.1..2.0_f64).prop_map(|rate| [rate, 0.5]), n as usize);
        let initial = prop::collection::vec((1..=n + 1, 0.05..0.4_f64), 1..3);
        (edges, onward, initial, prop::array::uniform2(0.2..2.0_f64), 0.01..4.0_f64).prop_map(
            move |(mut edges, onward, initial, theta, time)| {
                edges.extend(onward.into_iter().zip(1..).map(|(rate, vertex)| (vertex, vertex + 1, rate)));
                edges.retain(|&(from, to, _)| from != to);
                Recipe { vertices: n + 2, edges, initial, theta, time }
            },
        )
    })
}

impl Recipe {
    fn graph(&self) -> Graph {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..self.vertices {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        for &(to, probability) in &self.initial {
            builder.add_edge(START, to, Rate::Scalar(probability)).unwrap();
        }
        for (from, to, rate) in &self.edges {
            builder.add_edge(*from, *to, Rate::Coefficients(rate)).unwrap();
        }
        builder.finish()
    }

    /// The generator among vertices `1..` at θ; the start leads on at once.
    fn generator(&self, theta: [Dd; 2], start: Start) -> (Vec<Dd>, Matrix) {
        let n = self.vertices as usize;
        let mut alpha = vec![Dd::ZERO; n];
        for &(to, probability) in &self.initial {
            alpha[to as usize] = alpha[to as usize] + Dd::from(probability);
        }
        if start == Start::Conditional {
            let sum = alpha.iter().fold(Dd::ZERO, |sum, &p| sum + p);
            for p in &mut alpha {
                *p = *p / sum;
            }
        }
        let mut matrix = vec![vec![Dd::ZERO; n]; n];
        for &(from, to, [a, b]) in &self.edges {
            let rate = Dd::from(a) * theta[0] + Dd::from(b) * theta[1];
            let row = &mut matrix[from as usize];
            row[from as usize] = row[from as usize] - rate;
            if to == START {
                for (slot, &p) in row.iter_mut().zip(&alpha) {
                    *slot = *slot + rate * p;
                }
            } else {
                row[to as usize] = row[to as usize] + rate;
            }
        }
        (alpha, matrix)
    }

    /// State probabilities at a time; the last entry is what was absorbed.
    fn state(&self, theta: [Dd; 2], start: Start, time: f64) -> Vec<Dd> {
        let (alpha, matrix) = self.generator(theta, start);
        let power = exponential(&matrix, Dd::from(time));
        let entry = |to: usize| alpha.iter().zip(&power).fold(Dd::ZERO, |sum, (&p, row)| sum + p * row[to]);
        (0..matrix.len()).map(entry).collect()
    }

    /// Density and distribution function.
    fn values(&self, theta: [Dd; 2], start: Start, time: f64) -> [Dd; 2] {
        let state = self.state(theta, start, time);
        let (_, matrix) = self.generator(theta, start);
        let last = state.len() - 1;
        let density = (1..last).fold(Dd::ZERO, |sum, v| sum + state[v] * matrix[v][last]);
        [density, state[last]]
    }

    /// Densities of an epoch after another.
    fn values_after(&self, thetas: [[Dd; 2]; 2], start: Start, times: [f64; 2]) -> [Dd; 2] {
        let before = self.state(thetas[0], start, times[0]);
        let (_, matrix) = self.generator(thetas[1], start);
        let power = exponential(&matrix, Dd::from(times[1] - times[0]));
        let entry = |to: usize| before.iter().zip(&power).fold(Dd::ZERO, |sum, (&p, row)| sum + p * row[to]);
        let last = before.len() - 1;
        let density = (1..last).fold(Dd::ZERO, |sum, v| sum + entry(v) * matrix[v][last]);
        [density, entry(last)]
    }

    fn exact_theta(&self) -> [Dd; 2] {
        self.theta.map(Dd::from)
    }
}

impl Recipe {
    /// The greatest density of a grid until a time.
    fn peak(&self, start: Start, until: f64) -> f64 {
        let grid = (0..24).map(|k| until * 0.7_f64.powi(k)).chain([0.0]);
        grid.map(|time| self.values(self.exact_theta(), start, time)[0].0).fold(0.0, f64::max)
    }

    /// The slopes of the generator by a parameter: it is linear in θ.
    fn slopes(&self, start: Start, parameter: usize) -> Matrix {
        let mut unit = [Dd::ZERO; 2];
        unit[parameter] = Dd::from(1.0);
        self.generator(unit, start).1
    }

    /// Where masses are after a time, and the slopes of that where those of the generator are given:
    /// `∫ p e^{Mu} ∂M e^{M(t−u)} du`, a block of the exponential of `[[M, ∂M], [0, M]]` (Van Loan, IEEE Transactions on Automatic
    /// Control 23, 1978).
    fn moved(&self, p: &[Dd], theta: [Dd; 2], start: Start, time: f64, slopes: &Matrix) -> [Vec<Dd>; 2] {
        let (_, matrix) = self.generator(theta, start);
        let n = matrix.len();
        let mut both = vec![vec![Dd::ZERO; 2 * n]; 2 * n];
        for row in 0..n {
            both[row][..n].copy_from_slice(&matrix[row]);
            both[row][n..].copy_from_slice(&slopes[row]);
            both[n + row][n..].copy_from_slice(&matrix[row]);
        }
        let power = exponential(&both, Dd::from(time));
        let entry = |to: usize| p.iter().zip(&power).fold(Dd::ZERO, |sum, (&p, row)| sum + p * row[to]);
        [(0..n).map(entry).collect(), (n..2 * n).map(entry).collect()]
    }

    /// The density of masses.
    fn density(state: &[Dd], matrix: &Matrix) -> Dd {
        let last = state.len() - 1;
        (1..last).fold(Dd::ZERO, |sum, v| sum + state[v] * matrix[v][last])
    }

    /// Slopes of density and distribution function where those of the generator are given.
    fn slopes_at(&self, start: Start, time: f64, slopes: &Matrix) -> [f64; 2] {
        let (alpha, matrix) = self.generator(self.exact_theta(), start);
        let [state, moved] = self.moved(&alpha, self.exact_theta(), start, time, slopes);
        let density = Self::density(&moved, &matrix) + Self::density(&state, slopes);
        [density.0, moved[moved.len() - 1].0]
    }

    /// The same across two epochs, in one of which the generator has slopes.
    fn slopes_after(
        &self,
        thetas: [[Dd; 2]; 2],
        start: Start,
        times: [f64; 2],
        epoch: usize,
        slopes: &Matrix,
    ) -> [f64; 2] {
        let alpha = self.generator(thetas[0], start).0;
        let matrix = self.generator(thetas[1], start).1;
        let [state, moved] = self.moved(&alpha, thetas[0], start, times[0], slopes);
        let from = if epoch == 0 { moved } else { state };
        let [after, moved] = self.moved(&from, thetas[1], start, times[1] - times[0], slopes);
        if epoch == 0 {
            return [Self::density(&after, &matrix).0, after[after.len() - 1].0];
        }
        let density = Self::density(&moved, &matrix) + Self::density(&after, slopes);
        [density.0, moved[moved.len() - 1].0]
    }

    /// Jumps of the uniformized process until a time.
    fn jumps(&self, theta: [Dd; 2], start: Start, time: f64) -> f64 {
        let (_, matrix) = self.generator(theta, start);
        time * (0..matrix.len()).fold(0.0_f64, |most, at| most.max(matrix[at][at].0.abs()))
    }
}

/// All slopes as positive ones: what those of anything else are sums of, and by which these can cancel.
fn absolute(mut slopes: Matrix) -> Matrix {
    slopes.iter_mut().flatten().for_each(|slope| *slope = if slope.0 < 0.0 { -*slope } else { *slope });
    slopes
}

/// What rounding may take of a number that so many jumps add to, beside what they add.
fn rounding(jumps: f64) -> f64 {
    (100.0 + 4.0 * jumps) * f64::EPSILON
}

/// Errors are held to the size of what they came from.
fn close(found: f64, wanted: f64, scale: f64) -> bool {
    (found - wanted).abs() <= 1e-12 * scale.max(wanted.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn densities_and_states_are_those_of_the_matrix_exponential(recipe in recipe(), conditional: bool) {
        let start = if conditional { Start::Conditional } else { Start::AsGiven };
        let plan = plan(&recipe.graph());
        let distribution = plan.distribution(&recipe.theta).unwrap().start(start).unwrap();
        let times = [recipe.time, 0.0, 0.1 * recipe.time, 3.0 * recipe.time];
        let curve = distribution.curve(&times).unwrap();
        let states = distribution.stop_probability(&times).unwrap();
        let visits = distribution.accumulated_visiting_time(&times).unwrap();
        let peak = recipe.peak(start, times[3]);
        for (at, &time) in times.iter().enumerate() {
            let [density, below] = recipe.values(recipe.exact_theta(), start, time);
            let off = (curve.pdf[at] - density.0).abs();
            prop_assert!(off <= 1e-12 * peak, "pdf at {}: {} {}: {:e}", time, curve.pdf[at], density.0, off);
            prop_assert!(close(curve.cdf[at], below.0, 1.0), "cdf at {}: {} {}", time, curve.cdf[at], below.0);
            let reached = |v: usize| distribution.chain.pattern().vertices.contains(&(v as u32));
            let state = recipe.state(recipe.exact_theta(), start, time);
            for v in (1..state.len() - 1).filter(|&v| reached(v)) {
                prop_assert!(close(states[[at, v]], state[v].0, 1.0));
            }
            // What flows out of visits is what was absorbed since.
            let matrix = recipe.generator(recipe.exact_theta(), start).1;
            let out: f64 = (1..state.len() - 1).map(|v| visits[[at, v]] * matrix[v][state.len() - 1].0).sum();
            prop_assert!(close(out + curve.cdf[1], curve.cdf[at], 1.0));
        }
    }

    #[test]
    fn gradients_are_those_of_the_matrix_exponential(recipe in recipe(), conditional: bool) {
        let start = if conditional { Start::Conditional } else { Start::AsGiven };
        let plan = plan(&recipe.graph());
        let distribution = plan.distribution(&recipe.theta).unwrap().start(start).unwrap();
        let times = [2.0 * recipe.time, recipe.time];
        let slopes = [distribution.pdf_gradient(&times).unwrap().1, distribution.cdf_gradient(&times).unwrap().1];
        for (at, &time) in times.iter().enumerate() {
            for parameter in 0..2 {
                let of_generator = recipe.slopes(start, parameter);
                let wanted = recipe.slopes_at(start, time, &of_generator);
                let size = recipe.slopes_at(start, time, &absolute(of_generator));
                for (which, slopes) in slopes.iter().enumerate() {
                    let wanted = wanted[which];
                    let found = slopes[[at, parameter]];
                    let bound = rounding(recipe.jumps(recipe.exact_theta(), start, time)) * size[which];
                    prop_assert!((found - wanted).abs() <= bound, "{} {} {} {} {:e}", which, parameter, found, wanted, bound);
                }
            }
        }
    }

    #[test]
    fn the_log_likelihood_and_its_gradient_are_those_of_the_matrix_exponential(recipe in recipe()) {
        let plan = plan(&recipe.graph());
        let (seen, alive) = ([recipe.time, 0.3 * recipe.time, recipe.time], [0.5 * recipe.time]);
        let likelihood = plan.censored_likelihood(&seen, &alive).unwrap();
        let (value, gradient) = likelihood.value_and_gradient(&recipe.theta).unwrap();
        prop_assert_eq!(value, likelihood.value(&recipe.theta).unwrap());
        let start = Start::AsGiven;
        let of = |time: f64| recipe.values(recipe.exact_theta(), start, time);
        let seen_at = seen.map(|time| of(time)[0].0);
        let alive_at = (Dd::from(1.0) - of(alive[0])[1]).0;
        let wanted = seen_at.iter().map(|density| density.ln()).sum::<f64>() + alive_at.ln();
        // Of what is smaller the reference itself has too few digits.
        prop_assume!(seen_at.iter().chain([&alive_at]).all(|&number| number > 1e-14));
        // The logarithm of each of four numbers, whose sum is rounded.
        let bound = 4.0 * rounding(recipe.jumps(recipe.exact_theta(), start, recipe.time)) + f64::EPSILON * 4.0 * wanted.abs();
        prop_assert!((value - wanted).abs() <= bound, "{} {} {:e}", value, wanted, bound);
        for (parameter, &found) in gradient.iter().enumerate() {
            let (mut wanted, mut size) = (0.0, 0.0);
            let of_generator = recipe.slopes(start, parameter);
            for (&time, density) in seen.iter().zip(seen_at) {
                wanted += recipe.slopes_at(start, time, &of_generator)[0] / density;
                size += recipe.slopes_at(start, time, &absolute(of_generator.clone()))[0] / density;
            }
            wanted -= recipe.slopes_at(start, alive[0], &of_generator)[1] / alive_at;
            size += recipe.slopes_at(start, alive[0], &absolute(of_generator))[1] / alive_at;
            let bound = rounding(recipe.jumps(recipe.exact_theta(), start, recipe.time)) * size;
            prop_assert!((found - wanted).abs() <= bound, "{} {} {:e}", found, wanted, bound);
        }
    }
}

#[test]
fn a_likelihood_without_room_for_its_states_finds_them_again() {
    let plan = plan(&super::tests::erlang(40));
    let times: Vec<f64> = (1..60).map(f64::from).collect();
    let likelihood = plan.likelihood(&times).unwrap();
    let (_, kept) = likelihood.value_and_gradient(&[1.5]).unwrap();
    // n k / θ − Σ t, whatever the path taken.
    let wanted = 59.0 * 40.0 / 1.5 - times.iter().sum::<f64>();
    assert!((kept[0] - wanted).abs() < 1e-9, "{} {wanted}", kept[0]);
    let (_, again) = likelihood.with_room(1000).value_and_gradient(&[1.5]).unwrap();
    assert!((again[0] - wanted).abs() < 1e-9, "{} {wanted}", again[0]);
}

#[test]
fn impossible_observations_have_the_log_likelihood_minus_infinity() {
    let plan = plan(&super::tests::erlang(2));
    let (value, gradient) = plan.likelihood(&[0.0, 1.0]).unwrap().value_and_gradient(&[1.0]).unwrap();
    assert!(value == f64::NEG_INFINITY && gradient[0].is_nan());
    assert_eq!(plan.likelihood(&[]).unwrap_err(), DistributionError::NoObservations);
    let error = plan.censored_likelihood(&[1.0], &[2.0, f64::INFINITY]).unwrap_err();
    assert_eq!(error, DistributionError::Observation { index: 2, value: f64::INFINITY });
}

#[test]
fn vertices_dropped_for_being_fast_leave_nothing_in_the_adjoint() {
    // Found by the test above: two segments, the second too slow for the vertices that were dropped after the first.
    let edges = vec![
        (2, 0, [0.0, 57.5]),
        (1, 3, [20.0, 45.5]),
        (1, 2, [1.1, 0.5]),
        (2, 3, [0.1, 0.5]),
        (3, 4, [1.8, 0.5]),
        (4, 5, [0.1, 0.5]),
        (5, 6, [0.1, 0.5]),
    ];
    let recipe = Recipe { vertices: 7, edges, initial: vec![(1, 0.05)], theta: [0.5, 0.67], time: 8.0 };
    let plan = plan(&recipe.graph());
    let (_, slopes) = plan.distribution(&recipe.theta).unwrap().cdf_gradient(&[recipe.time]).unwrap();
    for parameter in 0..2 {
        let of_generator = recipe.slopes(Start::AsGiven, parameter);
        let wanted = recipe.slopes_at(Start::AsGiven, recipe.time, &of_generator)[1];
        assert!(close(slopes[[0, parameter]], wanted, 1.0), "{} {wanted}", slopes[[0, parameter]]);
    }
}

#[test]
fn slopes_of_a_time_as_short_as_a_jump_keep_their_digits() {
    let edges = vec![(1, 2, [0.580_395_802_605_245_9, 0.5]), (2, 3, [0.1, 0.5])];
    let recipe = Recipe { vertices: 4, edges, initial: vec![(1, 0.05)], theta: [0.2, 0.2], time: 0.01 };
    let plan = plan(&recipe.graph());
    for start in [Start::AsGiven, Start::Conditional] {
        let distribution = plan.distribution(&recipe.theta).unwrap().start(start).unwrap();
        let times = [0.02, 0.01];
        let slopes =
            [distribution.pdf_gradient(&times).unwrap().1, distribution.cdf_gradient(&times).unwrap().1];
        for (at, &time) in times.iter().enumerate() {
            for parameter in 0..2 {
                let of_generator = recipe.slopes(start, parameter);
                let wanted = recipe.slopes_at(start, time, &of_generator);
                let size = recipe.slopes_at(start, time, &absolute(of_generator));
                for which in 0..2 {
                    let (found, wanted) = (slopes[which][[at, parameter]], wanted[which]);
                    let bound = rounding(recipe.jumps(recipe.exact_theta(), start, time)) * size[which];
                    assert!(
                        (found - wanted).abs() <= bound,
                        "{which} {parameter} {time} {found:e} {wanted:e}"
                    );
                }
            }
        }
    }
}
