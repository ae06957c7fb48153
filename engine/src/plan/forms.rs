//! Linear forms in θ: what edge weights are made of, each distinct one stored and evaluated once.
//!
//! A weight is `constant + Σ coefficient · θ[parameter]`. Models use few distinct ones: a state space of a million
//! edges may have a dozen.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use super::lane::{Lane, Watch};

/// Distinct linear forms, in order of first use. Nearly all have one term, so that is kept apart from the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forms {
    constants: Vec<f64>,
    /// The first term of each form; coefficient 0 if it has none.
    parameters: Vec<u32>,
    coefficients: Vec<f64>,
    /// Further terms: form, parameter, coefficient; by form, then by parameter.
    further: Vec<(u32, u32, f64)>,
}

/// A linear form being put together: sparse terms by ascending parameter.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    constant: f64,
    terms: Vec<(u32, f64)>,
}

impl Draft {
    pub(super) fn clear(&mut self) {
        self.constant = 0.0;
        self.terms.clear();
    }

    pub(super) fn add_constant(&mut self, constant: f64) {
        self.constant += constant;
    }

    /// Adds a dense coefficient list.
    pub(super) fn add_coefficients(&mut self, coefficients: &[f64]) {
        for (&coefficient, parameter) in coefficients.iter().zip(0..) {
            if coefficient == 0.0 {
                continue;
            }
            match self.terms.binary_search_by_key(&parameter, |&(at, _)| at) {
                Ok(at) => self.terms[at].1 += coefficient,
                Err(at) => self.terms.insert(at, (parameter, coefficient)),
            }
        }
    }

    fn first(&self) -> (u32, f64) {
        self.terms.first().copied().unwrap_or_default()
    }
}

/// Finds equal forms while a plan is made.
#[derive(Default)]
pub(super) struct Interner {
    forms: Forms,
    /// Where the further terms of each form begin.
    further_start: Vec<u32>,
    seen: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// The number of this form; a new one if it was never seen.
    pub(super) fn number(&mut self, draft: &Draft) -> u32 {
        let mut state = self.hasher.build_hasher();
        state.write_u64(draft.constant.to_bits());
        for &(parameter, coefficient) in &draft.terms {
            state.write_u64(coefficient.to_bits() ^ u64::from(parameter));
        }
        let hash = state.finish();
        if let Some(&(_, number)) =
            self.seen.find(hash, |&(other, number)| other == hash && self.equals(number, draft))
        {
            return number;
        }
        let number = self.forms.count() as u32;
        self.further_start.push(self.forms.further.len() as u32);
        self.forms.push(draft);
        self.seen.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        number
    }

    fn equals(&self, number: u32, draft: &Draft) -> bool {
        let (at, forms) = (number as usize, &self.forms);
        let (parameter, coefficient) = draft.first();
        let begin = self.further_start[at] as usize;
        let end = self.further_start.get(at + 1).map_or(forms.further.len(), |&end| end as usize);
        let further = draft.terms.iter().skip(1);
        forms.constants[at].to_bits() == draft.constant.to_bits()
            && forms.parameters[at] == parameter
            && forms.coefficients[at].to_bits() == coefficient.to_bits()
            && forms.further[begin..end].iter().map(|&(_, parameter, c)| (parameter, c)).eq(further.copied())
    }

    pub(super) fn finish(self) -> Forms {
        self.forms
    }
}

impl Forms {
    pub(super) fn count(&self) -> usize {
        self.constants.len()
    }

    /// Constant, parameter and coefficient of a form's first term.
    pub(super) fn head(&self, form: usize) -> (f64, u32, f64) {
        (self.constants[form], self.parameters[form], self.coefficients[form])
    }

    /// Terms beyond each form's first: form, parameter, coefficient.
    pub(super) fn further(&self) -> &[(u32, u32, f64)] {
        &self.further
    }

    pub(super) fn push_head(&mut self, constant: f64, parameter: u32, coefficient: f64) {
        self.constants.push(constant);
        self.parameters.push(parameter);
        self.coefficients.push(coefficient);
    }

    pub(super) fn push_further(&mut self, form: u32, parameter: u32, coefficient: f64) {
        self.further.push((form, parameter, coefficient));
    }

    fn push(&mut self, draft: &Draft) {
        let number = self.count() as u32;
        let (parameter, coefficient) = draft.first();
        self.push_head(draft.constant, parameter, coefficient);
        self.further.extend(draft.terms.iter().skip(1).map(|&(parameter, c)| (number, parameter, c)));
    }

    /// Whether a form is 0 for every θ.
    pub(super) fn is_zero(&self, form: usize) -> bool {
        self.constants[form] == 0.0
            && self.coefficients[form] == 0.0
            && self.further.binary_search_by_key(&(form as u32), |&(form, ..)| form).is_err()
    }

    /// The values of some forms, with their further terms, at θ (one lane value per parameter, at least one).
    #[inline(always)]
    pub(super) fn evaluate<L: Lane>(
        &self,
        forms: Range<usize>,
        further: Range<usize>,
        theta: &[L],
        values: &mut [L],
        seen: &mut Watch<L>,
    ) {
        let constants = &self.constants[forms.clone()];
        let coefficients = &self.coefficients[forms.clone()];
        let parameters = &self.parameters[forms.clone()];
        let heads = values[forms.clone()].iter_mut().zip(constants).zip(coefficients);
        let mut watch = *seen;
        if further.is_empty() && theta.len() == 1 {
            let theta = theta[0];
            for ((value, &constant), &coefficient) in heads {
                *value = L::splat(constant) + theta * L::splat(coefficient);
                watch.see(*value);
            }
            *seen = watch;
            return;
        }
        for (((value, &constant), &coefficient), &parameter) in heads.zip(parameters) {
            *value = L::splat(constant) + theta[parameter as usize] * L::splat(coefficient);
        }
        for &(form, parameter, coefficient) in &self.further[further] {
            let value = &mut values[form as usize];
            *value = *value + theta[parameter as usize] * L::splat(coefficient);
        }
        values[forms].iter().for_each(|&value| watch.see(value));
        *seen = watch;
    }

    /// Adds `slope[form] · ∂form/∂θ` to `gradient`, for all forms.
    pub(super) fn pull_back(&self, slopes: &[f64], gradient: &mut [f64]) {
        if gradient.is_empty() {
            return;
        }
        for ((&slope, &parameter), &coefficient) in
            slopes.iter().zip(&self.parameters).zip(&self.coefficients)
        {
            // Constants name parameter 0 with the coefficient 0; their slope may be no number.
            if coefficient != 0.0 {
                gradient[parameter as usize] += slope * coefficient;
            }
        }
        for &(form, parameter, coefficient) in &self.further {
            gradient[parameter as usize] += slopes[form as usize] * coefficient;
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        20 * self.constants.len() + 16 * self.further.len()
    }
}
