//! Equal linear forms found while a plan is made, so that each is stored and evaluated once.

use super::forms::{Draft, Forms, Head};

/// Finds equal forms while a plan is made.
#[derive(Default)]
pub(super) struct Interner {
    forms: Forms,
    /// Numbers of forms from 1 on, each where its hash says or in one of the places after; 0 where there is none. A power
    /// of two in length.
    places: Vec<u32>,
}

/// Enough for a few hundred forms, which is more than most models have; 4 KiB.
const FEWEST_PLACES: usize = 1024;

/// Places looked at for a form. One that finds no room there gets a number each time: that costs little, and coefficients
/// chosen to collide cannot make a search long.
const MOST_PLACES: usize = 32;

impl Interner {
    /// With room for a form for each of so many edges, or for as many as most graphs have.
    pub(super) fn for_edges(edges: usize) -> Self {
        let mut interner = Self::default();
        interner.forms.reserve_heads(edges.min(FEWEST_PLACES / 4));
        interner
    }

    /// The number of a form of at most one term, coefficient 0 if none; a new one if it was never seen.
    #[inline]
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

    /// Terms of forms beyond the first of each, so far.
    pub(super) fn further_terms(&self) -> usize {
        self.forms.further().len()
    }

    /// Parameters that forms are multiples of and whether positive ones, and the coefficients' sizes.
    pub(super) fn directions(&self) -> impl Iterator<Item = ((u32, bool), f64)> + '_ {
        let Forms { constants, parameters, coefficients, further, .. } = &self.forms;
        let mut further = further.iter().map(|term| term.0 as usize).peekable();
        let heads = constants.iter().zip(parameters).zip(coefficients).enumerate();
        heads.filter_map(move |(form, ((&constant, &parameter), &coefficient))| {
            let mut is_alone = true;
            while further.next_if_eq(&form).is_some() {
                is_alone = false;
            }
            let is_multiple = is_alone && constant == 0.0 && coefficient != 0.0;
            is_multiple.then_some(((parameter, coefficient > 0.0), coefficient.abs()))
        })
    }

    /// Bytes held at most, also while a list grows.
    pub(super) fn memory_bytes(&self) -> u64 {
        Self::bytes_of(self.forms.count()) + 48 * self.forms.further().len() as u64
    }

    /// Bytes held at most for so many forms of one term.
    pub(super) fn bytes_of(forms: usize) -> u64 {
        84 * forms as u64
    }

    pub(super) fn finish(self) -> Forms {
        let mut forms = self.forms;
        forms.finish();
        forms.shrink_to_fit();
        forms
    }
}

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
    fn multiples_of_a_number_have_each_one_form() {
        for factor in 1..2000_u32 {
            let mut interner = Interner::default();
            for k in (1..512).chain(1..512) {
                interner.single(0.0, 0, f64::from(k * factor));
            }
            assert_eq!(interner.count(), 511, "multiples of {factor}");
        }
    }

    #[test]
    fn terms_that_cancel_leave_the_form_of_the_others() {
        let mut interner = Interner::default();
        let mut draft = Draft::default();
        draft.add_coefficients(&[1.0, 1.0]);
        draft.add_coefficients(&[-1.0, 1.0]);
        draft.settle();
        let number = interner.number(&draft);
        assert_eq!(number, interner.single(0.0, 1, 2.0));
        draft.add_coefficients(&[0.0, -2.0]);
        draft.settle();
        let nothing = interner.number(&draft);
        assert!(interner.finish().is_zero(nothing as usize));
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
