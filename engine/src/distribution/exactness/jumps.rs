//! Numbers of jumps in discrete time and their gradients, against powers of matrices of 106 bits.

use proptest::prelude::*;

use super::super::double_double::Dd;
use super::super::tests::plan;
use super::{Recipe, close, recipe};
use crate::distribution::Start;
use crate::graph::{GraphBuilder, Rate, START};

impl Recipe {
    /// In discrete time, weights divided by their sums, the start's too: probability and distribution function of 0, 1, …
    /// jumps.
    fn jump_values(&self, theta: [Dd; 2], last: usize) -> Vec<[Dd; 2]> {
        let (alpha, mut matrix) = self.generator(theta, Start::Conditional);
        for v in 1..matrix.len() - 1 {
            let mut sum = Dd::ZERO;
            for &(from, _, [a, b]) in &self.edges {
                let weight = Dd::from(a) * theta[0] + Dd::from(b) * theta[1];
                sum = if from as usize == v { sum + weight } else { sum };
            }
            for slot in &mut matrix[v] {
                *slot = *slot / sum;
            }
            matrix[v][v] = matrix[v][v] + Dd::from(1.0);
        }
        let absorbing = matrix.len() - 1;
        matrix[absorbing][absorbing] = Dd::from(1.0);
        let (mut state, mut values) = (alpha, Vec::new());
        let mut before = Dd::ZERO;
        for _ in 0..=last {
            values.push([state[absorbing] - before, state[absorbing]]);
            before = state[absorbing];
            let next =
                |to: usize| state.iter().zip(&matrix).fold(Dd::ZERO, |sum, (&p, row)| sum + p * row[to]);
            state = (0..matrix.len()).map(next).collect();
        }
        values
    }
}

/// A derivative by differences so small that only 106 bits can form them.
fn difference(at: [Dd; 2], parameter: usize, value: impl Fn([Dd; 2]) -> Dd) -> f64 {
    let step = Dd::from(2.0_f64.powi(-34));
    let shifted = |step: Dd| {
        let mut theta = at;
        theta[parameter] = theta[parameter] + step;
        value(theta)
    };
    ((shifted(step) - shifted(-step)) / (step + step)).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gradients_of_numbers_of_jumps_are_those_of_powers_of_a_matrix(recipe in recipe()) {
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(true);
        let graph = recipe.graph();
        for vertex in 1..graph.vertex_count() {
            builder.add_vertex(graph.state(vertex)).unwrap();
        }
        for vertex in 0..graph.vertex_count() {
            for edge in graph.edges(vertex) {
                let rate = if vertex == START { Rate::Scalar(edge.coefficients[0]) } else { Rate::Coefficients(edge.coefficients) };
                builder.add_edge(vertex, edge.target, rate).unwrap();
            }
        }
        let plan = plan(&builder.finish());
        let jumps = plan.jumps(&recipe.theta).unwrap();
        let numbers = [17, 0, 3, 40];
        let values = recipe.jump_values(recipe.exact_theta(), 40);
        let (pmf, of_pmf) = jumps.pmf_gradient(&numbers).unwrap();
        let (cdf, of_cdf) = jumps.cdf_gradient(&numbers).unwrap();
        let mut slopes = vec![[[0.0; 2]; 2]; 41];
        for parameter in 0..2 {
            for (number, slopes) in slopes.iter_mut().enumerate() {
                for (which, slopes) in slopes.iter_mut().enumerate() {
                    slopes[parameter] = difference(recipe.exact_theta(), parameter, |theta| {
                        recipe.jump_values(theta, number)[number][which]
                    });
                }
            }
        }
        for (at, &number) in numbers.iter().enumerate() {
            let number = number as usize;
            prop_assert!(close(pmf[at], values[number][0].0, 1.0) && close(cdf[at], values[number][1].0, 1.0));
            for parameter in 0..2 {
                let [wanted, below] = [slopes[number][0][parameter], slopes[number][1][parameter]];
                prop_assert!(close(of_pmf[[at, parameter]], wanted, 10.0), "{} {}", of_pmf[[at, parameter]], wanted);
                prop_assert!(close(of_cdf[[at, parameter]], below, 10.0), "{} {}", of_cdf[[at, parameter]], below);
            }
        }
        let likely = (0..41).max_by(|&a, &b| values[a][0].0.total_cmp(&values[b][0].0)).unwrap();
        prop_assume!(values[2][1].0 < 1.0 - 1e-6);
        let data = ([likely as u64, likely as u64], [2]);
        let (value, gradient) = plan.jump_likelihood(&data.0, &data.1).unwrap().value_and_gradient(&recipe.theta).unwrap();
        let alive = (Dd::from(1.0) - values[2][1]).0;
        let wanted = 2.0 * values[likely][0].0.ln() + alive.ln();
        prop_assert!((value - wanted).abs() <= 1e-12 * (1.0 + wanted.abs()), "{} {}", value, wanted);
        for (parameter, &found) in gradient.iter().enumerate() {
            let terms = [2.0 * slopes[likely][0][parameter] / values[likely][0].0, -slopes[2][1][parameter] / alive];
            // Slopes of up to ten are held to 1e-11 above, before they are divided by probabilities.
            let scale = 2.0 / values[likely][0].0 + 1.0 / alive;
            prop_assert!((found - (terms[0] + terms[1])).abs() < 1e-11 * scale, "{} {:?}", found, terms);
        }
    }
}
