//! Summands that θ may make negative while their sum is not: forms that are looked at, and used for nothing else.
//!
//! A plan adds up parallel edges, and all edges of a vertex that lead to absorption. Where all are positive multiples of
//! one form the sum tells of each; otherwise each is evaluated by itself, unless a form of the plan tells of it already.

use std::collections::HashMap;

use super::forms::Draft;
use super::interner::Interner;

/// A parameter, and whether a form grows with it.
type Direction = (u32, bool);

/// The largest coefficient of each direction, in size.
type Largest = HashMap<Direction, f64>;

/// Whether a multiple of a parameter that is known is below 0 whenever another is: also in f64, where what is too small
/// becomes 0. Nothing does that is multiplied by at least 1.
fn tells(known: &Largest, direction: Direction, coefficient: f64) -> bool {
    known.get(&direction).is_some_and(|&known| known >= coefficient.min(1.0))
}

/// Collects summands, each distinct one with the first position that has it.
#[derive(Default)]
pub(super) struct Watchers {
    forms: Interner,
    positions: Vec<u32>,
    /// Multiples of one parameter have one sign, so that one of each is enough: the largest, if all are small.
    directions: Largest,
}

impl Watchers {
    /// Takes note of a summand at a position.
    pub(super) fn see(&mut self, position: u32, summand: &Draft) {
        if summand.is_never_negative() {
            return;
        }
        if let Some((direction, coefficient)) = summand.direction() {
            if tells(&self.directions, direction, coefficient) {
                return;
            }
            self.directions.insert(direction, coefficient);
        }
        let next = self.forms.count() as u32;
        if self.forms.number(summand) == next {
            self.positions.push(position);
        }
    }

    /// Bytes held at most, with those of the forms that a plan will have for them.
    pub(super) fn memory_bytes(&self) -> u64 {
        2 * self.forms.memory_bytes() + 16 * self.positions.len() as u64 + 56 * self.directions.len() as u64
    }

    /// Gives the plan's forms those of the summands that they do not tell of, at their end; the positions that these are
    /// of.
    pub(super) fn finish(self, interner: &mut Interner) -> Vec<u32> {
        let mut positions = Vec::new();
        if self.positions.is_empty() {
            return positions;
        }
        let mut told = Largest::new();
        for (direction, coefficient) in interner.directions() {
            let largest = told.entry(direction).or_default();
            *largest = largest.max(coefficient);
        }
        let forms = self.forms.finish();
        let mut draft = Draft::default();
        for (number, &position) in (0..).zip(&self.positions) {
            forms.write(number, &mut draft);
            if let Some((direction, coefficient)) = draft.direction() {
                // A larger one came later.
                let is_largest = self.directions.get(&direction) == Some(&coefficient);
                if !is_largest || tells(&told, direction, coefficient) {
                    continue;
                }
            }
            let next = interner.count() as u32;
            if interner.number(&draft) == next {
                positions.push(position);
            }
        }
        positions
    }
}
