//! Linear forms in θ: what edge weights are made of, each distinct one stored and evaluated once.
//!
//! A weight is `constant + Σ coefficient · θ[parameter]`. Models use few distinct ones: a state space of a million
//! edges may have a dozen.

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

    /// Whether no sum has left the range of f64.
    pub(super) fn is_finite(&self) -> bool {
        self.constant.is_finite() && self.terms.iter().all(|term| term.1.is_finite())
    }

    /// Whether no θ makes it negative.
    pub(super) fn is_never_negative(&self) -> bool {
        self.constant >= 0.0 && self.terms.iter().all(|term| term.1 == 0.0)
    }

    /// The parameter that it is a multiple of, and whether a positive one.
    pub(super) fn direction(&self) -> Option<(u32, bool)> {
        match *self.terms {
            [(parameter, coefficient)] if self.constant == 0.0 && coefficient != 0.0 => {
                Some((parameter, coefficient > 0.0))
            }
            _ => None,
        }
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
}

/// Finds equal forms while a plan is made.
pub(super) struct Interner {
    forms: Forms,
    /// Forms of one term that were seen not long ago, each where its term says: most edges have the form of an edge near
    /// them.
    recent: [Recent; RECENT],
    /// Numbers of forms from 1 on, each where its hash says or in one of the places after; 0 where there is none. A power
    /// of two in length.
    places: Vec<u32>,
}

/// A form without a constant: the bits of its coefficient, its parameter, its number.
#[derive(Clone, Copy)]
struct Recent {
    coefficient: u64,
    parameter: u32,
    number: u32,
}

/// A power of two.
const RECENT: usize = 128;

impl Default for Interner {
    fn default() -> Self {
        // No form has that parameter.
        let none = Recent { coefficient: 0, parameter: u32::MAX, number: 0 };
        Self { forms: Forms::default(), recent: [none; RECENT], places: Vec::new() }
    }
}

/// Enough for a few hundred forms, which is more than most models have; 4 KiB.
const FEWEST_PLACES: usize = 1024;

/// Places looked at for a form. One that finds no room there gets a number each time: that costs little, and coefficients
/// chosen to collide cannot make a search long.
const MOST_PLACES: usize = 32;

impl Interner {
    /// The number of the form `coefficient · θ[parameter]`; a new one if it was never seen.
    #[inline(always)]
    pub(super) fn term(&mut self, parameter: u32, coefficient: f64) -> u32 {
        let bits = coefficient.to_bits();
        // The highest bits of a product depend on all bits; small whole numbers have only high ones.
        let hash = (bits ^ u64::from(parameter)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let at = (hash >> (u64::BITS - RECENT.trailing_zeros())) as usize;
        let found = self.recent[at];
        if found.coefficient == bits && found.parameter == parameter {
            return found.number;
        }
        let number = self.single(0.0, parameter, coefficient);
        self.recent[at] = Recent { coefficient: bits, parameter, number };
        number
    }

    /// The number of a form of at most one term, coefficient 0 if none; a new one if it was never seen.
    #[inline(never)]
    pub(super) fn single(&mut self, constant: f64, parameter: u32, coefficient: f64) -> u32 {
        self.intern((constant, parameter, coefficient), &[])
    }

    /// The number of this form; a new one if it was never seen.
    pub(super) fn number(&mut self, draft: &Draft) -> u32 {
        let (parameter, coefficient) = draft.terms.first().copied().unwrap_or_default();
        self.intern((draft.constant, parameter, coefficient), draft.terms.get(1..).unwrap_or_default())
    }

    #[inline(always)]
    fn intern(&mut self, head: Head, further: &[(u32, f64)]) -> u32 {
        if self.places.len() <= 4 * self.forms.count() {
            self.grow();
        }
        let Self { forms, places, .. } = self;
        let number = forms.count() as u32;
        let first = place(hash_of(head, further.iter().copied()), places.len());
        for step in 0..MOST_PLACES {
            let at = (first + step) & (places.len() - 1);
            match places[at].checked_sub(1) {
                Some(other) if forms.is(other, head, further) => return other,
                Some(_) => {}
                None => {
                    places[at] = number + 1;
                    break;
                }
            }
        }
        forms.push_head(head.0, head.1, head.2);
        for &(parameter, coefficient) in further {
            forms.push_further(number, parameter, coefficient);
        }
        number
    }

    #[cold]
    fn grow(&mut self) {
        let Self { forms, places, .. } = self;
        let length = (2 * places.len()).max(FEWEST_PLACES);
        // The old places are freed before the new ones are asked for.
        *places = Vec::new();
        *places = vec![0; length];
        for number in 0..forms.count() as u32 {
            let first = place(hash_of(forms.head(number as usize), forms.further_of(number)), length);
            let free = (0..MOST_PLACES).map(|step| (first + step) & (length - 1)).find(|&at| places[at] == 0);
            if let Some(at) = free {
                places[at] = number + 1;
            }
        }
    }

    /// Distinct forms so far.
    pub(super) fn count(&self) -> usize {
        self.forms.count()
    }

    /// Parameters that forms are multiples of, and whether positive ones.
    pub(super) fn directions(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        let Forms { constants, parameters, coefficients, further } = &self.forms;
        let mut further = further.iter().map(|term| term.0 as usize).peekable();
        let heads = constants.iter().zip(parameters).zip(coefficients).enumerate();
        heads.filter_map(move |(form, ((&constant, &parameter), &coefficient))| {
            let mut is_alone = true;
            while further.next_if_eq(&form).is_some() {
                is_alone = false;
            }
            let is_multiple = is_alone && constant == 0.0 && coefficient != 0.0;
            is_multiple.then_some((parameter, coefficient > 0.0))
        })
    }

    /// Bytes held at most, also while a list grows.
    #[inline(always)]
    pub(super) fn memory_bytes(&self) -> u64 {
        80 * self.forms.constants.len() as u64 + 48 * self.forms.further.len() as u64
    }

    pub(super) fn finish(self) -> Forms {
        let mut forms = self.forms;
        forms.shrink_to_fit();
        forms
    }
}

/// Constant, parameter and coefficient.
type Head = (f64, u32, f64);

#[inline(always)]
fn hash_of(head: Head, further: impl Iterator<Item = (u32, f64)>) -> u64 {
    // Both halves of a long product with 2^64 over the golden ratio: every bit changes about half of them.
    let mix = |hash: u64, bits: u64| {
        let product = u128::from(hash ^ bits) * 0x9E37_79B9_7F4A_7C15;
        product as u64 ^ (product >> 64) as u64
    };
    let (constant, parameter, coefficient) = head;
    // Most forms have no constant, and the low bits of most coefficients are zero.
    let bits =
        coefficient.to_bits().rotate_left(20) ^ constant.to_bits().rotate_left(40) ^ u64::from(parameter);
    further.fold(mix(0x243F_6A88_85A3_08D3, bits), |hash, (parameter, coefficient)| {
        mix(hash, coefficient.to_bits().rotate_left(20) ^ u64::from(parameter))
    })
}

/// The place for a hash among a power of two of them: its highest bits.
#[inline(always)]
fn place(hash: u64, length: usize) -> usize {
    (((hash >> 32) * length as u64) >> 32) as usize
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

    /// Whether the form with this number is made of these terms.
    #[inline(always)]
    fn is(&self, form: u32, head: Head, further: &[(u32, f64)]) -> bool {
        let (constant, parameter, coefficient) = self.head(form as usize);
        let bits = |&(parameter, coefficient): &(u32, f64)| (parameter, coefficient.to_bits());
        coefficient.to_bits() == head.2.to_bits()
            && (constant.to_bits(), parameter) == (head.0.to_bits(), head.1)
            && (self.further.is_empty() && further.is_empty()
                || self.further_of(form).map(|term| bits(&term)).eq(further.iter().map(bits)))
    }

    /// The terms of one form beyond its first.
    fn further_of(&self, form: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let from = self.further.partition_point(|&(at, ..)| at < form);
        let terms = self.further[from..].iter().take_while(move |&&(at, ..)| at == form);
        terms.map(|&(_, parameter, coefficient)| (parameter, coefficient))
    }

    /// Makes a draft that form.
    pub(super) fn write(&self, form: u32, draft: &mut Draft) {
        let (constant, parameter, coefficient) = self.head(form as usize);
        draft.constant = constant;
        draft.terms.clear();
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
        if let ([theta], true) = (theta, further.is_empty()) {
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
        seen.see_all(&values[forms]);
    }

    /// Adds `slope[form] · ∂form/∂θ` to `gradient`, for all forms.
    pub(super) fn pull_back(&self, slopes: &[f64], gradient: &mut [f64]) {
        if let [gradient] = gradient {
            // Four sums that do not wait for one another.
            let mut sums = [0.0; 4];
            for (slopes, coefficients) in slopes.chunks(4).zip(self.coefficients.chunks(4)) {
                for ((sum, slope), coefficient) in sums.iter_mut().zip(slopes).zip(coefficients) {
                    // Slopes of constants may be no number: at a weight of 0 into a trap.
                    *sum += if *coefficient == 0.0 { 0.0 } else { slope * coefficient };
                }
            }
            let further = self.further.iter().filter(|term| term.2 != 0.0);
            let further = further.map(|&(form, _, coefficient)| slopes[form as usize] * coefficient);
            *gradient += sums.iter().sum::<f64>() + further.sum::<f64>();
            return;
        }
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
            if coefficient != 0.0 {
                gradient[parameter as usize] += slopes[form as usize] * coefficient;
            }
        }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.constants.shrink_to_fit();
        self.parameters.shrink_to_fit();
        self.coefficients.shrink_to_fit();
        self.further.shrink_to_fit();
    }

    /// Bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        20 * self.constants.len() + 16 * self.further.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_forms_have_one_number_and_others_have_others() {
        let mut interner = Interner::default();
        let mut draft = Draft::default();
        let mut numbers = Vec::new();
        for _ in 0..2 {
            for k in 1..=500_u32 {
                let value = f64::from(k * (k - 1)) / 2.0;
                numbers.push(interner.single(0.0, 0, value));
                numbers.push(interner.single(0.0, 1, value));
                draft.clear();
                draft.add_coefficients(&[value, 1.0, 0.0, f64::from(k)]);
                numbers.push(interner.number(&draft));
                draft.add_constant(0.5);
                numbers.push(interner.number(&draft));
            }
        }
        let (first, again) = numbers.split_at(numbers.len() / 2);
        assert_eq!(first, again);
        // Without a coefficient there is no telling parameters apart, and the first draft has one term less.
        let distinct: std::collections::HashSet<u32> = first.iter().copied().collect();
        assert_eq!(distinct.len(), interner.finish().count());
        assert_eq!(distinct.len(), first.len());
    }

    #[test]
    fn forms_chosen_to_collide_cost_no_more_than_others() {
        // Coefficients whose hashes lie together: all go to the first places of any table.
        let near = |coefficient: f64| hash_of((0.0, 0, coefficient), std::iter::empty()) >> 48 == 0;
        let collide: Vec<f64> = (1..20_000_000).map(f64::from).filter(|&c| near(c)).collect();
        assert!(collide.len() > 100);
        let mut interner = Interner::default();
        let numbers: Vec<u32> = collide.iter().map(|&c| interner.single(0.0, 0, c)).collect();
        assert!(numbers.iter().copied().eq(0..collide.len() as u32));
        let forms = interner.finish();
        assert!(collide.iter().enumerate().all(|(at, &c)| forms.head(at) == (0.0, 0, c)));
    }
}
