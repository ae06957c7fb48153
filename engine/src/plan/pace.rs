//! How an analysis keeps to its limits, and hears its caller, while it works.

use super::AnalysisError;
use crate::limits::Limits;
use crate::progress::{Observer, Phase, Progress};

/// Steps between two reports: a few hundred microseconds.
const REPORT_STEPS: u64 = 1 << 18;

/// Entries of lists are numbered in 32 bits; half of those numbers are enough for 8 GiB of the factors on either side.
pub(super) const MOST_ENTRIES: usize = 1 << 31;

/// Counts the steps of an analysis, reports now and then, and knows what there may be of everything.
pub(super) struct Pace<'a> {
    observer: &'a mut dyn Observer,
    limits: Limits,
    phase: Phase,
    vertices: usize,
    /// Steps until the next report, of those granted at the last.
    left: u64,
    granted: u64,
    /// Steps of ordering that may still be taken, counted at reports.
    ordering_left: u64,
    pub(super) multiply_adds: u64,
    /// Bytes that vertices and edges take, whatever fills in.
    standing_bytes: u64,
}

impl<'a> Pace<'a> {
    /// For the analysis of so many vertices and edges.
    pub(super) fn new(
        limits: &Limits,
        observer: &'a mut dyn Observer,
        vertices: usize,
        edges: usize,
    ) -> Self {
        Self {
            observer,
            limits: *limits,
            phase: Phase::Ordering,
            vertices,
            left: 0,
            granted: 0,
            // Ordering is near linear, but for graphs made to be hard; those may cost as much as what they are for.
            ordering_left: limits.multiply_adds.saturating_add(64 * (vertices + edges) as u64),
            multiply_adds: 0,
            // Most of both while a component is ordered that is all of the graph.
            standing_bytes: 144 * vertices as u64 + 24 * edges as u64,
        }
    }

    /// For reading a file of so many bytes.
    pub(super) fn for_file(limits: &Limits, observer: &'a mut dyn Observer, size_bytes: usize) -> Self {
        let mut pace = Self::new(limits, observer, 0, 0);
        pace.phase = Phase::Reading;
        // Forms are the least that files write: 20 bytes from three, thrice while their lists grow. A position is at least
        // four bytes of a file and takes no more than 80, its share of blocks and segments with it: those are at most two
        // for three positions, and their lists do not grow.
        pace.standing_bytes = 24 * size_bytes as u64;
        pace
    }

    /// Says how many vertices there are, where that was not known before.
    pub(super) fn set_vertices(&mut self, vertices: usize) {
        self.vertices = vertices;
    }

    /// Turns to the next phase.
    pub(super) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        // Each phase is told of at least once.
        (self.left, self.granted) = (0, 0);
    }

    /// Takes note of steps over edges, entries or multiply-adds, with so many vertices done before.
    #[inline(always)]
    pub(super) fn step(&mut self, steps: usize, done: usize) -> Result<(), AnalysisError> {
        match self.left.checked_sub(steps as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.report(steps as u64, done),
        }
    }

    #[cold]
    fn report(&mut self, steps: u64, done: usize) -> Result<(), AnalysisError> {
        if self.phase == Phase::Ordering {
            let Some(left) = self.ordering_left.checked_sub(self.granted - self.left + steps) else {
                let limit = self.limits.multiply_adds;
                return Err(AnalysisError::Ordering { limit, done, vertices: self.vertices });
            };
            self.ordering_left = left;
        }
        (self.left, self.granted) = (REPORT_STEPS, REPORT_STEPS);
        let progress = Progress {
            phase: self.phase,
            vertices_done: done as u64,
            vertices: self.vertices as u64,
            commands: self.multiply_adds,
        };
        if self.observer.progress(progress).is_break() {
            return Err(AnalysisError::Cancelled { done, vertices: self.vertices });
        }
        Ok(())
    }

    /// Whether there may be so many multiply-adds.
    #[inline(always)]
    pub(super) fn check_multiply_adds(&mut self, count: u64, done: usize) -> Result<(), AnalysisError> {
        self.multiply_adds = count;
        if count > self.limits.multiply_adds {
            return Err(AnalysisError::Work {
                limit: self.limits.multiply_adds,
                done,
                vertices: self.vertices,
            });
        }
        Ok(())
    }

    /// Whether a program may have so many commands.
    pub(super) fn check_commands(&self, count: usize, done: usize) -> Result<(), AnalysisError> {
        let limit = self.limits.commands;
        if count as u64 <= limit {
            return Ok(());
        }
        Err(AnalysisError::Commands { limit, done, vertices: self.vertices })
    }

    /// Whether so many bytes may be held beside what every vertex and edge takes.
    #[inline(always)]
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.standing_bytes.saturating_add(bytes) <= self.limits.memory_bytes
    }

    /// The same, as a result.
    #[inline(always)]
    pub(super) fn check_memory(&self, bytes: u64, done: usize) -> Result<(), AnalysisError> {
        if self.has_room(bytes) {
            return Ok(());
        }
        let budget_bytes = self.limits.memory_bytes;
        Err(AnalysisError::Memory { budget_bytes, done, vertices: self.vertices })
    }

    /// Whether a list may have so many entries.
    #[inline(always)]
    pub(super) fn check_entries(&self, entries: u64, done: usize) -> Result<(), AnalysisError> {
        if entries <= MOST_ENTRIES as u64 {
            return Ok(());
        }
        Err(AnalysisError::Entries { limit: MOST_ENTRIES as u64, done, vertices: self.vertices })
    }

    /// Makes room for so many further items in a list, beside which so many bytes are held: doubles it, or gives it just
    /// what it needs where that would be too much.
    #[inline(always)]
    pub(super) fn make_room<T>(
        &self,
        list: &mut Vec<T>,
        more: usize,
        beside: u64,
        done: usize,
    ) -> Result<(), AnalysisError> {
        if list.capacity() - list.len() < more { self.grow(list, more, beside, done) } else { Ok(()) }
    }

    #[cold]
    fn grow<T>(&self, list: &mut Vec<T>, more: usize, beside: u64, done: usize) -> Result<(), AnalysisError> {
        // The old list is still there while the new one is filled.
        let held = |room: usize| beside + (size_of::<T>() * (list.capacity() + room)) as u64;
        let needed = list.len() + more;
        self.check_entries(needed as u64, done)?;
        let doubled = needed.max((2 * list.capacity()).min(MOST_ENTRIES));
        let room = if self.has_room(held(doubled)) { doubled } else { needed };
        self.check_memory(held(room), done)?;
        list.reserve_exact(room - list.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_8_gib_only_what_is_numbered_in_32_bits_is_bounded() {
        let limits = Limits::default().with_memory_bytes(64 << 30);
        let mut observer = ();
        let pace = Pace::new(&limits, &mut observer, 1 << 20, 1 << 20);
        assert!(pace.has_room(60 << 30) && !pace.has_room(64 << 30));
        let refused = pace.check_memory(64 << 30, 7).unwrap_err();
        assert_eq!(refused, AnalysisError::Memory { budget_bytes: 64 << 30, done: 7, vertices: 1 << 20 });
        assert_eq!(pace.check_entries(1 << 31, 7), Ok(()));
        let refused = AnalysisError::Entries { limit: 1 << 31, done: 7, vertices: 1 << 20 };
        assert_eq!(pace.check_entries((1 << 31) + 1, 7), Err(refused.clone()));
        // Before anything is allocated.
        let mut list = vec![0_u32; 3];
        assert_eq!(pace.make_room(&mut list, (1 << 31) - 2, 0, 7), Err(refused));
        assert!(list.capacity() < 10);
    }
}
