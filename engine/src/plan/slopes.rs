//! From the derivative of a number with respect to single weights to that with respect to θ, or to the edges of a graph.
//!
//! Every derivative of a plan has the form `slope(v, u)`: by how much the number grows with the weight from position v to
//! position u, or to absorption where there is no u. It is a function of a few vectors by position, so none of the edges
//! has to be remembered: θ gathers the slopes of all entries by their linear forms, a graph those of its own edges.

use super::{EvaluationError, Plan};
use crate::graph::Graph;

impl Plan {
    /// The gradient with respect to θ, given the slope of every weight.
    #[inline]
    pub(super) fn by_parameter(&self, slope: impl Fn(usize, Option<usize>) -> f64) -> Vec<f64> {
        let mut slopes = vec![0.0; self.forms.count()];
        let mut inner = self.inner.rows(0, &self.inner_forms);
        let mut outer = self.outer.rows(0, &self.outer_forms);
        for (at, &form) in self.exit_forms.iter().enumerate() {
            if Some(form) != self.schedule.zero_form {
                slopes[form as usize] += slope(at, None);
            }
            for (targets, forms) in [inner.advance(), outer.advance()] {
                for (&target, &form) in targets.iter().zip(forms) {
                    slopes[form as usize] += slope(at, Some(target as usize));
                }
            }
        }
        let mut gradient = vec![0.0; self.param_length()];
        self.forms.pull_back(&slopes, &mut gradient);
        gradient
    }

    /// The gradient with respect to the weights of the graph's edges, given the slope of every weight.
    pub(super) fn by_edge(
        &self,
        graph: &Graph,
        slope: impl Fn(usize, Option<usize>) -> f64,
    ) -> Result<Vec<f64>, EvaluationError> {
        if graph.vertex_count() != self.vertex_count || graph.was_dph() != self.discrete {
            return Err(EvaluationError::OtherGraph { vertex: None });
        }
        let mut place = vec![Place::Unreached; self.vertex_count as usize];
        for (at, &vertex) in self.vertices.iter().enumerate() {
            place[vertex as usize] = Place::Transient(at);
        }
        for &vertex in &self.absorbing {
            place[vertex as usize] = Place::Absorbing;
        }
        let mut gradient = vec![0.0; graph.edge_count() as usize];
        for vertex in 0..self.vertex_count {
            for edge in graph.edges(vertex) {
                let (at, target) = match (place[vertex as usize], place[edge.target as usize]) {
                    (Place::Unreached, _) => continue,
                    (Place::Transient(at), Place::Transient(target)) => (at, Some(target)),
                    (Place::Transient(at), Place::Absorbing) => (at, None),
                    _ => return Err(EvaluationError::OtherGraph { vertex: Some(vertex) }),
                };
                gradient[edge.index as usize] = slope(at, target);
            }
        }
        Ok(gradient)
    }
}

/// What a vertex is to a plan.
#[derive(Debug, Clone, Copy)]
enum Place {
    Unreached,
    Absorbing,
    Transient(usize),
}
