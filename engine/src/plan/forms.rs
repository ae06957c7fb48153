//! Linear forms in θ: what edge weights are made of, each distinct one stored and evaluated once.
//!
//! A weight is `constant + Σ coefficient · θ[parameter]`. Models use few distinct ones: a state space of a million
//! edges may have a dozen.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::lane::Lane;

/// Distinct linear forms, in order of first use.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forms {
    constants: Vec<f64>,
    /// Where the terms of each form end.
    term_end: Vec<u32>,
    parameters: Vec<u32>,
    coefficients: Vec<f64>,
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

    fn key(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.constant.to_bits())
            .chain(self.terms.iter().flat_map(|&(parameter, c)| [u64::from(parameter), c.to_bits()]))
    }
}

/// Finds equal forms while a plan is made.
#[derive(Default)]
pub(super) struct Interner {
    forms: Forms,
    seen: HashTable<u32>,
    hasher: DefaultHashBuilder,
    words: Vec<u64>,
}

impl Interner {
    /// The number of this form; a new one if it was never seen.
    pub(super) fn number(&mut self, draft: &Draft) -> u32 {
        self.words.clear();
        self.words.extend(draft.key());
        let hash = self.hasher.hash_one(&self.words);
        let forms = &self.forms;
        if let Some(&number) = self.seen.find(hash, |&number| forms.equals(number, draft)) {
            return number;
        }
        let number = self.forms.count() as u32;
        self.forms.push(draft);
        let (forms, hasher) = (&self.forms, &self.hasher);
        self.seen.insert_unique(hash, number, |&other| hasher.hash_one(forms.key(other)));
        number
    }

    pub(super) fn finish(self) -> Forms {
        self.forms
    }
}

impl Forms {
    pub(super) fn count(&self) -> usize {
        self.constants.len()
    }

    fn terms(&self, number: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let begin = if number == 0 { 0 } else { self.term_end[number as usize - 1] as usize };
        let range = begin..self.term_end[number as usize] as usize;
        self.parameters[range.clone()].iter().copied().zip(self.coefficients[range].iter().copied())
    }

    fn key(&self, number: u32) -> Vec<u64> {
        let terms = self.terms(number).flat_map(|(parameter, c)| [u64::from(parameter), c.to_bits()]);
        std::iter::once(self.constants[number as usize].to_bits()).chain(terms).collect()
    }

    fn equals(&self, number: u32, draft: &Draft) -> bool {
        self.constants[number as usize].to_bits() == draft.constant.to_bits()
            && self.terms(number).eq(draft.terms.iter().copied())
    }

    fn push(&mut self, draft: &Draft) {
        self.constants.push(draft.constant);
        for &(parameter, coefficient) in &draft.terms {
            self.parameters.push(parameter);
            self.coefficients.push(coefficient);
        }
        self.term_end.push(self.parameters.len() as u32);
    }

    /// The values of all forms at θ (one lane value per parameter).
    #[inline(always)]
    pub(super) fn evaluate<L: Lane>(&self, theta: &[L], values: &mut [L]) {
        let mut begin = 0;
        for ((value, &constant), &end) in values.iter_mut().zip(&self.constants).zip(&self.term_end) {
            let mut sum = L::splat(constant);
            let range = begin..end as usize;
            for (&parameter, &coefficient) in
                self.parameters[range.clone()].iter().zip(&self.coefficients[range])
            {
                sum = sum + theta[parameter as usize] * L::splat(coefficient);
            }
            *value = sum;
            begin = end as usize;
        }
    }

    /// Adds `slope[form] · ∂form/∂θ` to `gradient`, for all forms.
    pub(super) fn pull_back(&self, slope: &[f64], gradient: &mut [f64]) {
        for (number, &slope) in (0..).zip(slope) {
            for (parameter, coefficient) in self.terms(number) {
                gradient[parameter as usize] += slope * coefficient;
            }
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        12 * self.constants.len() + 12 * self.parameters.len()
    }
}
