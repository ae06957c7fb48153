//! Models whose only parameter is a scale: every rate is a multiple of it.
//!
//! Time then runs θ times as fast, so a total over time is `1 / θ` of what it is at 1, its k-th moment `θ^−k` of that, and
//! a covariance `θ^−2`. By Euler's theorem on homogeneous functions the derivative of such a number is its degree times
//! the number over θ: nothing has to be solved for it, and no digit cancels. Coalescents are often like that.

use super::{At, Plan};

impl Plan {
    /// Whether there is one parameter, and all rates are multiples of it but those of the start, which are probabilities.
    ///
    /// Looks at every edge.
    pub(super) fn is_scaled(&self) -> bool {
        let start = self.start();
        self.param_length() == 1
            && (0..self.vertices.len()).all(|at| {
                let inner = &self.inner_forms[self.inner.range(at)];
                let outer = &self.outer_forms[self.outer.range(at)];
                let mut forms = inner.iter().chain(outer).chain([&self.exit_forms[at]]);
                let is_constant = |&form: &u32| {
                    self.forms.head(form as usize).2 == 0.0 && self.forms.further_of(form).next().is_none()
                };
                let is_multiple = |&form: &u32| self.forms.head(form as usize).0 == 0.0;
                if at == start { forms.all(is_constant) } else { forms.all(is_multiple) }
            })
    }
}

impl At<'_> {
    /// The gradient of a number that is so many powers of time, where the only parameter is a scale: `−powers · number / θ`.
    /// In discrete time nothing depends on it.
    ///
    /// None where there is more to do: with other parameters, or where the number or the slope is not in the range of f64,
    /// though the other may be.
    pub(super) fn by_scale(&self, powers: usize, number: impl FnOnce() -> f64) -> Option<Vec<f64>> {
        if !*self.scaled.get_or_init(|| self.plan.is_scaled()) {
            return None;
        }
        if self.plan.discrete || powers == 0 {
            return Some(vec![0.0]);
        }
        let number = number();
        let slope = -(powers as f64 * number) / self.factors.theta[0];
        (number.is_normal() && slope.is_normal()).then(|| vec![slope])
    }
}
