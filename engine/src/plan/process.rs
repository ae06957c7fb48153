//! What a plan knows of the process itself: who leads where at which form. Distributions are made from it.

use super::lane::Watch;
use super::{EvaluationError, Plan};

/// A run of positions that may be cut off together: a component with cycles, or vertices without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) range: std::ops::Range<usize>,
    pub(crate) cyclic: bool,
}

impl Plan {
    /// Whether edge weights are probabilities of jumps.
    pub fn is_discrete(&self) -> bool {
        self.discrete
    }

    /// Transient vertices by position, the start among them.
    pub(crate) fn transient(&self) -> &[u32] {
        &self.vertices
    }

    /// The position of the start.
    pub(crate) fn start_position(&self) -> usize {
        self.start()
    }

    /// Positions sinks first: edges never lead to a later stretch.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        self.blocks().map(|block| Stretch { range: block.range, cyclic: block.cyclic })
    }

    /// Where a position leads, and the form of each weight; targets are distinct, exits not among them.
    pub(crate) fn edges_of(&self, position: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (inner, outer) = (self.inner.range(position), self.outer.range(position));
        let inner = self.inner.items[inner.clone()].iter().zip(&self.inner_forms[inner]);
        let outer = self.outer.items[outer.clone()].iter().zip(&self.outer_forms[outer]);
        inner.chain(outer).map(|(&target, &form)| (target, form))
    }

    /// The form of a position's total weight into absorbing vertices.
    pub(crate) fn exit_form_of(&self, position: usize) -> u32 {
        self.exit_forms[position]
    }

    /// Whether a form is 0 whatever θ is.
    pub(crate) fn is_zero_form(&self, form: u32) -> bool {
        self.forms.is_zero(form as usize)
    }

    /// Distinct linear forms.
    pub(crate) fn form_count(&self) -> usize {
        self.forms.count()
    }

    /// The values of all forms at θ; `padded` is room for θ, at least one number.
    ///
    /// # Errors
    /// [`EvaluationError`] when θ does not fit or a weight is negative or infinite.
    pub(crate) fn weigh(
        &self,
        theta: &[f64],
        padded: &mut [f64],
        values: &mut [f64],
    ) -> Result<(), EvaluationError> {
        self.check_theta(theta)?;
        padded[..theta.len()].copy_from_slice(theta);
        let mut seen = Watch::new();
        let further = 0..self.forms.further().len();
        self.forms.evaluate(0..values.len(), further, padded, values, &mut seen);
        if seen.are_all_finite_and(|lowest| lowest >= 0.0) {
            Ok(())
        } else {
            Err(self.invalid_weight(values))
        }
    }

    /// The derivatives of all forms with respect to a parameter; `slopes` holds zeros.
    pub(crate) fn form_slopes(&self, parameter: usize, slopes: &mut [f64]) {
        self.forms.slopes(parameter, slopes);
    }

    /// Adds `Σ slopes[form] · ∂form/∂θ` to a gradient.
    pub(crate) fn pull_back_forms(&self, slopes: &[f64], gradient: &mut [f64]) {
        self.forms.pull_back(slopes, gradient);
    }
}
