//! Summands that θ may make negative while their sum is not: forms that are looked at, and used for nothing else.
//!
//! A plan adds up parallel edges, and all edges of a vertex that lead to absorption. Where all are positive multiples of
//! one form the sum tells of each; otherwise each is evaluated by itself, unless a form of the plan tells of it already.

use std::collections::HashSet;

use super::forms::Draft;
use super::interner::Interner;

/// A parameter, and whether a form grows with it.
type Direction = (u32, bool);

/// Collects summands, each distinct one with the first position that has it.
#[derive(Default)]
pub(super) struct Watchers {
    forms: Interner,
    positions: Vec<u32>,
    /// Multiples of one parameter have one sign, so that one of each is enough.
    directions: HashSet<Direction>,
}

impl Watchers {
    /// Takes note of a summand at a position.
    pub(super) fn see(&mut self, position: u32, summand: &Draft) {
        if summand.is_never_negative() {
            return;
        }
        if summand.direction().is_some_and(|direction| !self.directions.insert(direction)) {
            return;
        }
        let next = self.forms.count() as u32;
        if self.forms.number(summand) == next {
            self.positions.push(position);
        }
    }

    /// Bytes held at most, with those of the forms that a plan will have for them.
    pub(super) fn memory_bytes(&self) -> u64 {
        2 * self.forms.memory_bytes() + 16 * self.positions.len() as u64 + 40 * self.directions.len() as u64
    }

    /// Gives the plan's forms those of the summands that they do not tell of, at their end; the positions that these are
    /// of.
    pub(super) fn finish(self, interner: &mut Interner) -> Vec<u32> {
        let mut positions = Vec::new();
        if self.positions.is_empty() {
            return positions;
        }
        let told: HashSet<Direction> = interner.directions().collect();
        let forms = self.forms.finish();
        let mut draft = Draft::default();
        for (number, &position) in (0..).zip(&self.positions) {
            forms.write(number, &mut draft);
            if draft.direction().is_some_and(|direction| told.contains(&direction)) {
                continue;
            }
            let next = interner.count() as u32;
            if interner.number(&draft) == next {
                positions.push(position);
            }
        }
        positions
    }
}
