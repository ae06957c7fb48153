//! The shape of a plan's process without its start: what does not depend on θ.
//!
//! Positions are ordered sinks first, like the plan's, but for memory and not for elimination: stretches keep their
//! place, and inside them neighbours have neighbouring targets; see `order`.

use std::sync::OnceLock;

use super::order::ordered;
use super::slices::Slices;
use crate::plan::Plan;

const NOWHERE: u32 = u32::MAX;
/// The form of an entry that only paths through the start contribute to.
pub(super) const NO_FORM: u32 = u32::MAX;

/// Lists of entries one after the other, by row.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rows {
    /// Where each row begins; one more than rows.
    pub(crate) start: Vec<u32>,
    /// The position each entry leads to (or comes from).
    pub(crate) items: Vec<u32>,
}

impl Rows {
    pub(crate) fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.start[row] as usize..self.start[row + 1] as usize
    }

    fn close(&mut self) {
        self.start.push(self.items.len() as u32);
    }
}

/// A weight on the way back through the start: `probability · form` is added to an entry or to an exit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Return {
    /// The entry, or the position for an exit.
    pub(super) at: u32,
    pub(super) form: u32,
    /// Initial probability as given.
    pub(super) probability: f64,
}

/// The pattern of a process between transient vertices, the start taken out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    /// Graph vertices by position.
    pub(crate) vertices: Vec<u32>,
    /// Edges by source.
    pub(crate) out: Rows,
    /// Edges by target: items are sources.
    pub(crate) into: Rows,
    /// The entry of `out` that each entry of `into` is.
    pub(crate) entry: Vec<u32>,
    /// The same edges as `into`, eight targets side by side.
    pub(crate) slices: Slices,
    /// The edges of `out`, eight sources side by side; made when first asked for.
    back: OnceLock<Slices>,
    /// Form of each entry of `out`.
    pub(super) forms: Vec<u32>,
    /// Form of each position's exit.
    pub(super) exit_forms: Vec<u32>,
    pub(super) returns: Vec<Return>,
    pub(super) exit_returns: Vec<Return>,
    /// Returns of a position to itself: position, form, probability. An event in discrete time only.
    pub(super) stays: Vec<Return>,
    /// For every number of positions but 0, how many are left when those that hang together with the last are cut off:
    /// edges from positions below a cut stay below it.
    pub(crate) cut_below: Vec<u32>,
    /// Initial forms: position and form, by position; all constant.
    pub(super) start_forms: Vec<(u32, u32)>,
    pub(super) start_exit_form: u32,
    /// The form of a vertex's edge back to the start.
    pub(crate) back_forms: Vec<(u32, u32)>,
}

impl Pattern {
    /// The pattern of a plan. Linear, but for the sorting of each stretch. `values` are the forms at any θ; only those of
    /// the start are looked at, which are constant.
    pub(crate) fn new(plan: &Plan, values: &[f64]) -> Self {
        let start = plan.start_position();
        let (order, cut_below) = ordered(plan, start);
        let mut position = vec![NOWHERE; plan.transient().len()];
        for (&at, new) in order.iter().zip(0..) {
            position[at as usize] = new;
        }
        let mut start_forms: Vec<(u32, u32)> =
            plan.edges_of(start).map(|(target, form)| (position[target as usize], form)).collect();
        start_forms.sort_unstable();
        let mut pattern = Self {
            vertices: order.iter().map(|&at| plan.transient()[at as usize]).collect(),
            out: Rows { start: vec![0], items: Vec::new() },
            into: Rows::default(),
            entry: Vec::new(),
            slices: Slices::default(),
            back: OnceLock::new(),
            forms: Vec::new(),
            exit_forms: order.iter().map(|&at| plan.exit_form_of(at as usize)).collect(),
            returns: Vec::new(),
            exit_returns: Vec::new(),
            stays: Vec::new(),
            cut_below,
            start_forms,
            start_exit_form: plan.exit_form_of(start),
            back_forms: Vec::new(),
        };
        for (&at, new) in order.iter().zip(0..) {
            pattern.add_row(plan, at as usize, new, &position, values);
        }
        pattern.transpose();
        pattern.slices = Slices::new(&pattern.into, &pattern.entry);
        pattern
    }

    /// The edges of `out`, eight sources side by side.
    pub(super) fn back(&self) -> &Slices {
        self.back.get_or_init(|| {
            let entries: Vec<u32> = (0..self.out.items.len() as u32).collect();
            Slices::new(&self.out, &entries)
        })
    }

    fn add_row(&mut self, plan: &Plan, at: usize, new: u32, position: &[u32], values: &[f64]) {
        let mut back = None;
        let mut row: Vec<(u32, u32)> = Vec::new();
        for (target, form) in plan.edges_of(at) {
            match position[target as usize] {
                NOWHERE => back = Some(form),
                target => row.push((target, form)),
            }
        }
        if let Some(form) = back {
            self.back_forms.push((new, form));
            row.extend(
                self.start_forms
                    .iter()
                    .filter(|&&(target, _)| target != new)
                    .map(|&(target, _)| (target, NO_FORM)),
            );
        }
        // A direct edge sorts before the way through the start.
        row.sort_unstable();
        row.dedup_by_key(|&mut (target, _)| target);
        let first = self.out.items.len();
        self.out.items.extend(row.iter().map(|&(target, _)| target));
        self.forms.extend(row.iter().map(|&(_, form)| form));
        self.out.close();
        let Some(form) = back else { return };
        for &(target, initial) in &self.start_forms {
            let probability = values[initial as usize];
            if target == new {
                self.stays.push(Return { at: new, form, probability });
            } else if let Ok(found) = row.binary_search_by_key(&target, |&(target, _)| target) {
                self.returns.push(Return { at: (first + found) as u32, form, probability });
            }
        }
        let probability = values[self.start_exit_form as usize];
        if probability != 0.0 {
            self.exit_returns.push(Return { at: new, form, probability });
        }
    }

    fn transpose(&mut self) {
        let positions = self.vertices.len();
        let mut start = vec![0_u32; positions + 1];
        for &target in &self.out.items {
            start[target as usize + 1] += 1;
        }
        for at in 0..positions {
            start[at + 1] += start[at];
        }
        let mut next = start.clone();
        let mut items = vec![0; self.out.items.len()];
        let mut entry = vec![0; self.out.items.len()];
        for source in 0..positions {
            for at in self.out.range(source) {
                let slot = &mut next[self.out.items[at] as usize];
                items[*slot as usize] = source as u32;
                entry[*slot as usize] = at as u32;
                *slot += 1;
            }
        }
        self.into = Rows { start, items };
        self.entry = entry;
    }
}
