//! Chains of solves and their derivatives.
//!
//! Every quantity of a plan is a function of a few solutions at the start, and each solution may feed the right-hand
//! side of a later one. Written down as a list of nodes, one forward pass gives the values and one reverse pass the
//! gradient, whatever the quantity.

use super::Plan;
use super::kernel::{Factors, Source};

/// One solution: rewards by position, times an earlier solution if any.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) rewards: Vec<f64>,
    pub(super) of: Option<usize>,
}

/// Nodes, and their solutions by position once run.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape {
    pub(super) nodes: Vec<Node>,
    pub(super) solutions: Vec<Vec<f64>>,
}

impl Tape {
    pub(super) fn push(&mut self, rewards: &[f64], of: Option<usize>) -> usize {
        self.nodes.push(Node { rewards: rewards.to_vec(), of });
        self.nodes.len() - 1
    }

    /// Solves all nodes in turn.
    pub(super) fn run(&mut self, plan: &Plan, factors: &Factors<f64>) {
        self.solutions.resize_with(self.nodes.len(), Vec::new);
        for number in 0..self.nodes.len() {
            let (before, rest) = self.solutions.split_at_mut(number);
            let node = &self.nodes[number];
            let source = Source { rewards: &node.rewards, of: node.of.map(|of| &before[of][..]) };
            let x = &mut rest[0];
            x.resize(plan.vertices.len(), 0.0);
            factors.solve_all(plan, source, x);
        }
    }

    /// The gradient with respect to θ of `Σ seeds[k] · solution k at the start`, the seeds held fixed.
    ///
    /// For `A x = b` with adjoint `λ = A⁻ᵀ e`, a weight w(v,u) contributes `λ_v (x_u − x_v)` (and in discrete time
    /// `λ_v b_v / rate(v)`, since right-hand sides scale with the rate). One transposed solve per node.
    pub(super) fn gradient(&self, plan: &Plan, factors: &Factors<f64>, seeds: &[f64]) -> Vec<f64> {
        let positions = plan.vertices.len();
        let start = plan.start();
        let mut pending = vec![vec![0.0; positions]; self.nodes.len()];
        let mut slopes = vec![0.0; plan.forms.count()];
        for number in (0..self.nodes.len()).rev() {
            let mut adjoint = std::mem::take(&mut pending[number]);
            adjoint[start] += seeds[number];
            factors.solve_transposed(plan, &mut adjoint);
            let node = &self.nodes[number];
            let earlier = node.of.map(|of| &self.solutions[of]);
            add_slopes(plan, &adjoint, &self.solutions[number], node, earlier, &mut slopes);
            if let Some(of) = node.of {
                for at in 0..positions {
                    let scale = if plan.discrete { factors.total[at] } else { 1.0 };
                    pending[of][at] += adjoint[at] * node.rewards[at] * scale;
                }
            }
        }
        let mut gradient = vec![0.0; plan.param_length()];
        plan.forms.pull_back(&slopes, &mut gradient);
        gradient
    }
}

/// Adds each edge's derivative to the slope of its form.
fn add_slopes(
    plan: &Plan,
    adjoint: &[f64],
    x: &[f64],
    node: &Node,
    earlier: Option<&Vec<f64>>,
    slopes: &mut [f64],
) {
    for at in 0..plan.vertices.len() {
        let earned = if plan.discrete { node.rewards[at] * earlier.map_or(1.0, |x| x[at]) } else { 0.0 };
        let stay = earned - x[at];
        slopes[plan.exit_forms[at] as usize] += adjoint[at] * stay;
        for (lists, forms) in [(&plan.inner, &plan.inner_forms), (&plan.outer, &plan.outer_forms)] {
            for entry in lists.range(at) {
                slopes[forms[entry] as usize] += adjoint[at] * (stay + x[lists.items[entry] as usize]);
            }
        }
    }
}
