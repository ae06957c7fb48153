//! Linear forms in θ: what edge weights are made of, each distinct one stored and evaluated once.
//!
//! A weight is `constant + Σ coefficient · θ[parameter]`. Models use few distinct ones: a state space of a million
//! edges may have a dozen.
//!
//! A form whose terms are all of one sign is evaluated in plain numbers, which rounds each term and each sum once. Of terms
//! of both signs that might leave nothing, so such a sum is worked out with twice the digits and rounded at the end.

use std::iter;
use std::mem;
use std::ops::Range;

use super::kernel::GROUP;
use super::lane::{Lane, Watch};
use super::slopes::Slope;
use crate::double_double::{Dd, two_sum};

/// Distinct linear forms, in order of first use. Nearly all have one term, so that is kept apart from the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forms {
    pub(super) constants: Vec<f64>,
    /// The first term of each form; coefficient 0 if it has none.
    pub(super) parameters: Vec<u32>,
    pub(super) coefficients: Vec<f64>,
    /// Further terms: form, parameter, coefficient; by form, then by parameter.
    pub(super) further: Vec<(u32, u32, f64)>,
    /// Forms of more than one term, a constant being one, and those of them with coefficients of both signs.
    compound: Vec<u32>,
    mixed: Vec<u32>,
}

/// A linear form being put together: sparse terms by ascending parameter.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) constant: f64,
    pub(super) terms: Vec<(u32, f64)>,
    /// What rounding took of the sums of coefficients so far, by ascending parameter.
    rests: Vec<(u32, f64)>,
    /// And of the sum of constants.
    rest: f64,
}

impl Draft {
    pub(super) fn clear(&mut self) {
        (self.constant, self.rest) = (0.0, 0.0);
        self.terms.clear();
        self.rests.clear();
    }

    pub(super) fn add_constant(&mut self, constant: f64) {
        let Dd(sum, rest) = two_sum(self.constant, constant);
        self.constant = sum;
        self.rest += rest;
    }

    /// Ends the sums: gives them back what rounding took, and drops terms that have cancelled, so that equal forms look
    /// alike.
    pub(super) fn settle(&mut self) {
        for &(parameter, rest) in &self.rests {
            let at = self.terms.binary_search_by_key(&parameter, |term| term.0);
            // Of what is beyond f64, no rest is a number.
            if let Some(term) = at.ok().and_then(|at| self.terms.get_mut(at)).filter(|_| rest.is_finite()) {
                term.1 += rest;
            }
        }
        self.rests.clear();
        if self.rest.is_finite() {
            self.constant += self.rest;
        }
        self.rest = 0.0;
        self.terms.retain(|term| term.1 != 0.0);
    }

    /// Whether no sum has left the range of f64.
    pub(super) fn is_finite(&self) -> bool {
        self.constant.is_finite() && self.terms.iter().all(|term| term.1.is_finite())
    }

    /// Whether no θ makes it negative.
    pub(super) fn is_never_negative(&self) -> bool {
        self.constant >= 0.0 && self.terms.iter().all(|term| term.1 == 0.0)
    }

    /// The parameter that it is a multiple of and whether a positive one, and the coefficient's size.
    pub(super) fn direction(&self) -> Option<((u32, bool), f64)> {
        match *self.terms {
            [(parameter, coefficient)] if self.constant == 0.0 && coefficient != 0.0 => {
                Some(((parameter, coefficient > 0.0), coefficient.abs()))
            }
            _ => None,
        }
    }

    fn add_rest(&mut self, parameter: u32, rest: f64) {
        if rest == 0.0 {
            return;
        }
        match self.rests.binary_search_by_key(&parameter, |&(at, _)| at) {
            Ok(at) => self.rests[at].1 += rest,
            Err(at) => self.rests.insert(at, (parameter, rest)),
        }
    }

    /// Adds a dense coefficient list.
    pub(super) fn add_coefficients(&mut self, coefficients: &[f64]) {
        for (&coefficient, parameter) in coefficients.iter().zip(0..) {
            if coefficient == 0.0 {
                continue;
            }
            match self.terms.binary_search_by_key(&parameter, |&(at, _)| at) {
                Ok(at) => {
                    let Dd(sum, rest) = two_sum(self.terms[at].1, coefficient);
                    self.terms[at].1 = sum;
                    self.add_rest(parameter, rest);
                }
                Err(at) => self.terms.insert(at, (parameter, coefficient)),
            }
        }
    }
}

/// Constant, parameter and coefficient.
pub(super) type Head = (f64, u32, f64);

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

    /// Makes room for so many forms of one term.
    pub(super) fn reserve_heads(&mut self, count: usize) {
        self.constants.reserve_exact(count);
        self.parameters.reserve_exact(count);
        self.coefficients.reserve_exact(count);
    }

    pub(super) fn push_head(&mut self, constant: f64, parameter: u32, coefficient: f64) {
        self.constants.push(constant);
        self.parameters.push(parameter);
        self.coefficients.push(coefficient);
    }

    pub(super) fn push_further(&mut self, form: u32, parameter: u32, coefficient: f64) {
        self.further.push((form, parameter, coefficient));
    }

    /// Finds the forms that may cancel, once all are there. Linear in the terms.
    pub(super) fn finish(&mut self) {
        let mut heads = self.constants.iter().zip(&self.coefficients);
        if self.further.is_empty()
            && heads.all(|(&constant, &coefficient)| constant == 0.0 || coefficient == 0.0)
        {
            // Most models have constants and multiples of parameters only.
            return;
        }
        // Room for just as many: it counts as memory of the analysis.
        let counts = self.of_several_terms().fold([0, 0], |[compound, mixed], (_, signs_differ)| {
            [compound + 1, mixed + usize::from(signs_differ)]
        });
        let [mut compound, mut mixed] = counts.map(Vec::with_capacity);
        for (form, signs_differ) in self.of_several_terms() {
            compound.push(form);
            mixed.extend(signs_differ.then_some(form));
        }
        (self.compound, self.mixed) = (compound, mixed);
    }

    /// Forms of more than one term, a constant being one, each with whether coefficients have both signs.
    fn of_several_terms(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        let mut further = self.further.iter().peekable();
        (0..self.count()).filter_map(move |form| {
            let (constant, _, coefficient) = self.head(form);
            let others = iter::from_fn(|| further.next_if(|term| term.0 as usize == form)).map(|term| term.2);
            let (mut count, mut signs) = (0, [false; 2]);
            for term in [constant, coefficient].into_iter().chain(others).filter(|&term| term != 0.0) {
                count += 1;
                signs[usize::from(term < 0.0)] = true;
            }
            (count > 1).then_some((form as u32, signs == [true; 2]))
        })
    }

    /// Whether the form with this number is made of these terms.
    #[inline(always)]
    pub(super) fn is(&self, form: u32, head: Head, further: &[(u32, f64)]) -> bool {
        let (constant, parameter, coefficient) = self.head(form as usize);
        let bits = |&(parameter, coefficient): &(u32, f64)| (parameter, coefficient.to_bits());
        coefficient.to_bits() == head.2.to_bits()
            && (constant.to_bits(), parameter) == (head.0.to_bits(), head.1)
            && (self.further.is_empty() && further.is_empty()
                || self.further_of(form).map(|term| bits(&term)).eq(further.iter().map(bits)))
    }

    /// The terms of one form beyond its first.
    pub(super) fn further_of(&self, form: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let from = self.further.partition_point(|&(at, ..)| at < form);
        let terms = self.further[from..].iter().take_while(move |&&(at, ..)| at == form);
        terms.map(|&(_, parameter, coefficient)| (parameter, coefficient))
    }

    /// Makes a draft that form.
    pub(super) fn write(&self, form: u32, draft: &mut Draft) {
        let (constant, parameter, coefficient) = self.head(form as usize);
        draft.clear();
        draft.constant = constant;
        if coefficient != 0.0 {
            draft.terms.push((parameter, coefficient));
        }
        draft.terms.extend(self.further_of(form));
    }

    /// Whether a form is 0 for every θ.
    pub(super) fn is_zero(&self, form: usize) -> bool {
        self.constants[form] == 0.0
            && self.coefficients[form] == 0.0
            && self.further.binary_search_by_key(&(form as u32), |&(form, ..)| form).is_err()
    }

    /// The value of a form with twice the digits.
    pub(super) fn precise(&self, form: u32, theta: &[f64]) -> Dd {
        self.terms(form).fold(Dd::from(self.constants[form as usize]), |sum, (parameter, coefficient)| {
            sum + Dd::from(theta[parameter as usize]) * Dd::from(coefficient)
        })
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
        let doubtful = self.doubtful(&forms, theta);
        if let ([theta], true, true) = (theta, further.is_empty(), doubtful.is_empty()) {
            // Groups are looked at while they are at hand, single numbers later, several at a time.
            let mut watch = *seen;
            for ((value, &constant), &coefficient) in heads {
                *value = L::splat(constant) + *theta * L::splat(coefficient);
                if L::IS_GROUP {
                    watch.see(*value);
                }
            }
            *seen = watch;
            if !L::IS_GROUP {
                seen.see_all(&values[forms]);
            }
            return;
        }
        for (((value, &constant), &coefficient), &parameter) in heads.zip(parameters) {
            *value = L::splat(constant) + theta[parameter as usize] * L::splat(coefficient);
        }
        for &(form, parameter, coefficient) in &self.further[further] {
            let value = &mut values[form as usize];
            *value = *value + theta[parameter as usize] * L::splat(coefficient);
        }
        if !doubtful.is_empty() {
            self.sum_anew(doubtful, theta, values);
        }
        seen.see_all(&values[forms]);
    }

    /// Those of some forms that may have terms of both signs at θ.
    #[inline(always)]
    fn doubtful<L: Lane>(&self, forms: &Range<usize>, theta: &[L]) -> &[u32] {
        let compound = within(&self.compound, forms);
        // Most models have none, and most segments none of them: then θ is not looked at.
        if compound.is_empty() || theta.iter().any(|value| !value.all(|value| value >= 0.0)) {
            compound
        } else {
            within(&self.mixed, forms)
        }
    }

    /// Works out those of these forms anew that have terms of both signs: each to the nearest f64.
    #[cold]
    fn sum_anew<L: Lane>(&self, doubtful: &[u32], theta: &[L], values: &mut [L]) {
        for &form in doubtful {
            let value = &mut values[form as usize];
            *value = value.corrected(|element| {
                let terms = self
                    .terms(form)
                    .map(|(parameter, coefficient)| (element(theta[parameter as usize]), coefficient));
                sum_of_both_signs(self.constants[form as usize], terms)
            });
        }
    }

    /// Parameters and coefficients of a form, the first term included.
    fn terms(&self, form: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let (_, parameter, coefficient) = self.head(form as usize);
        iter::once((parameter, coefficient)).chain(self.further_of(form))
    }

    /// Adds the derivative of each form with respect to a parameter to its slot.
    pub(super) fn slopes(&self, parameter: usize, slopes: &mut [f64]) {
        let heads = self.parameters.iter().zip(&self.coefficients).zip(0..);
        let heads = heads.map(|((&parameter, &coefficient), form)| (form, parameter, coefficient));
        for (form, of, coefficient) in heads.chain(self.further.iter().copied()) {
            if of as usize == parameter {
                slopes[form as usize] += coefficient;
            }
        }
    }

    /// Adds `slope[form] · ∂form/∂θ` to `gradient`, for all forms. In groups, as equal slopes are rounded alike.
    pub(super) fn pull_back<S: Slope>(&self, slopes: &[S], gradient: &mut [S]) {
        if gradient.is_empty() {
            return;
        }
        // A group costs an addition for each parameter.
        let group = GROUP.max(gradient.len());
        let mut sums = vec![S::ZERO; gradient.len()];
        let mut end_group = |sums: &mut [S]| {
            for (all, sum) in gradient.iter_mut().zip(sums) {
                *all = *all + mem::replace(sum, S::ZERO);
            }
        };
        // Constants name parameter 0 with the coefficient 0; their slope may be no number.
        let add = |sums: &mut [S], slope: S, parameter: u32, coefficient: f64| {
            if coefficient != 0.0 {
                let sum = &mut sums[parameter as usize];
                *sum = *sum + slope.times(coefficient);
            }
        };
        let places = self.parameters.chunks(group).zip(self.coefficients.chunks(group));
        for (slopes, (parameters, coefficients)) in slopes.chunks(group).zip(places) {
            for ((&slope, &parameter), &coefficient) in slopes.iter().zip(parameters).zip(coefficients) {
                add(&mut sums, slope, parameter, coefficient);
            }
            end_group(&mut sums);
        }
        for terms in self.further.chunks(group) {
            for &(form, parameter, coefficient) in terms {
                add(&mut sums, slopes[form as usize], parameter, coefficient);
            }
            end_group(&mut sums);
        }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.constants.shrink_to_fit();
        self.parameters.shrink_to_fit();
        self.coefficients.shrink_to_fit();
        self.further.shrink_to_fit();
        self.compound.shrink_to_fit();
        self.mixed.shrink_to_fit();
    }

    /// Bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        20 * self.constants.len() + 16 * self.further.len() + 4 * (self.compound.len() + self.mixed.len())
    }
}

/// Those of ascending numbers of forms that are in a range.
#[inline(always)]
fn within<'a>(numbers: &'a [u32], forms: &Range<usize>) -> &'a [u32] {
    if numbers.is_empty() {
        return numbers;
    }
    let place = |bound: usize| numbers.partition_point(|&form| (form as usize) < bound);
    &numbers[place(forms.start)..place(forms.end)]
}

/// A constant and products of numbers and coefficients added up with twice the digits, if they have both signs and stay
/// within the range of f64.
fn sum_of_both_signs(constant: f64, terms: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut sum = Dd::from(constant);
    let (mut above, mut below) = (constant > 0.0, constant < 0.0);
    for (value, coefficient) in terms {
        let product = Dd::from(value) * Dd::from(coefficient);
        above |= product.0 > 0.0;
        below |= product.0 < 0.0;
        sum = sum + product;
    }
    (above && below && sum.0.is_finite()).then_some(sum.0)
}
