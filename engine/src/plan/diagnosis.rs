//! Which vertex is to blame when a plan yields no number.
//!
//! Runs only after something went wrong, and may take its time.

use super::kernel::Factors;
use super::{EvaluationError, Plan};

impl Plan {
    /// The error for linear forms of which one is negative or not finite at this θ: the first edge that has it.
    pub(super) fn invalid_weight(&self, values: &[f64]) -> EvaluationError {
        let is_invalid = |value: &f64| !(0.0..f64::INFINITY).contains(value);
        let form = values.iter().position(is_invalid).unwrap_or(0);
        let weight = values.get(form).copied().unwrap_or_default();
        let form = form as u32;
        let has_form = |at: &usize| {
            self.exit_forms[*at] == form
                || self.inner_forms[self.inner.range(*at)].contains(&form)
                || self.outer_forms[self.outer.range(*at)].contains(&form)
        };
        let at = (0..self.vertices.len()).find(has_form).unwrap_or(0);
        EvaluationError::InvalidWeight { vertex: self.vertices[at], state: self.state(at), weight }
    }

    /// What a pivot of zero means: harmless at a vertex that the start reaches with probability zero.
    pub(super) fn diagnose(&self, factors: &Factors<f64>) -> Result<(), EvaluationError> {
        let start = self.start();
        let mut reached = vec![false; self.vertices.len()];
        reached[start] = true;
        let mut stack = vec![start];
        let mut backward: Vec<(u32, u32)> = Vec::new();
        let mut leaves = Vec::new();
        while let Some(at) = stack.pop() {
            for (lists, forms) in [(&self.inner, &self.inner_forms), (&self.outer, &self.outer_forms)] {
                for entry in lists.range(at) {
                    let target = lists.items[entry];
                    if factors.values[forms[entry] as usize] > 0.0 {
                        backward.push((target, at as u32));
                        if !std::mem::replace(&mut reached[target as usize], true) {
                            stack.push(target as usize);
                        }
                    }
                }
            }
            if factors.values[self.exit_forms[at] as usize] > 0.0 {
                leaves.push(at as u32);
            }
        }
        backward.sort_unstable();
        let mut escapes = vec![false; self.vertices.len()];
        while let Some(at) = leaves.pop() {
            if std::mem::replace(&mut escapes[at as usize], true) {
                continue;
            }
            let from = backward.partition_point(|&(target, _)| target < at);
            leaves.extend(
                backward[from..].iter().take_while(|&&(target, _)| target == at).map(|&(_, source)| source),
            );
        }
        match (0..self.vertices.len()).find(|&at| reached[at] && !escapes[at]) {
            Some(at) if at == start && !backward.iter().any(|&(_, source)| source as usize == start) => {
                Err(EvaluationError::NoStart)
            }
            Some(at) => Err(EvaluationError::Trapped { vertex: self.vertices[at], state: self.state(at) }),
            None => Ok(()),
        }
    }
}
