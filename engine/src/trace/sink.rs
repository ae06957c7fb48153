//! Where an elimination's commands go: into a list, against another list, or nowhere but a count.

use super::Command;

/// Where commands go.
pub(super) trait Sink {
    /// Whether finished lists must be kept for the last phase.
    const STORES: bool;

    fn push(&mut self, command: Command);
    fn count(&self) -> u64;
    fn memory_bytes(&self) -> u64;

    /// Whether there is room for `more` commands.
    fn has_room(&self, more: usize) -> bool;

    /// Makes room for `more` commands within `free_bytes` of further memory; `false` when that is not possible.
    fn reserve(&mut self, more: usize, free_bytes: u64) -> bool;
}

#[derive(Default)]
pub(super) struct Recorder {
    pub(super) commands: Vec<Command>,
}

impl Sink for Recorder {
    const STORES: bool = true;

    // Inlined, a command is built in its place; a call would pass it through memory in pieces.
    #[inline]
    fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    fn count(&self) -> u64 {
        self.commands.len() as u64
    }

    fn memory_bytes(&self) -> u64 {
        (self.commands.capacity() * size_of::<Command>()) as u64
    }

    #[inline]
    fn has_room(&self, more: usize) -> bool {
        self.commands.capacity() - self.commands.len() >= more
    }

    #[cold]
    fn reserve(&mut self, more: usize, free_bytes: u64) -> bool {
        let (length, capacity) = (self.commands.len(), self.commands.capacity());
        // While the array moves, the old one and the new one are both alive.
        let affordable = (free_bytes / size_of::<Command>() as u64).min(usize::MAX as u64) as usize;
        let wanted = (2 * capacity).max(length + more).min(affordable);
        if wanted < length + more {
            return false;
        }
        self.commands.try_reserve_exact(wanted - length).is_ok()
    }
}

#[derive(Default)]
pub(super) struct Counter {
    pub(super) commands: u64,
    pub(super) rows: u64,
}

impl Sink for Counter {
    const STORES: bool = false;

    #[inline]
    fn push(&mut self, command: Command) {
        self.commands += 1;
        self.rows += u64::from(matches!(command, Command::Row { .. }));
    }

    fn count(&self) -> u64 {
        self.commands
    }

    fn memory_bytes(&self) -> u64 {
        0
    }

    fn has_room(&self, _: usize) -> bool {
        true
    }

    fn reserve(&mut self, _: usize, _: u64) -> bool {
        true
    }
}

/// Holds commands against those of a program that is already there; stores none.
pub(super) struct Comparer<'a> {
    expected: &'a [Command],
    count: usize,
    /// The first command that is another one.
    pub(super) difference: Option<usize>,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(expected: &'a [Command]) -> Self {
        Self { expected, count: 0, difference: None }
    }

    /// The first difference, the end of the shorter program included.
    pub(super) fn first_difference(&self) -> Option<usize> {
        let ends = (self.count != self.expected.len()).then(|| self.count.min(self.expected.len()));
        self.difference.or(ends)
    }
}

impl Sink for Comparer<'_> {
    const STORES: bool = true;

    #[inline]
    fn push(&mut self, command: Command) {
        if self.expected.get(self.count) != Some(&command) && self.difference.is_none() {
            self.difference = Some(self.count);
        }
        self.count += 1;
    }

    fn count(&self) -> u64 {
        self.count as u64
    }

    fn memory_bytes(&self) -> u64 {
        0
    }

    fn has_room(&self, _: usize) -> bool {
        true
    }

    fn reserve(&mut self, _: usize, _: u64) -> bool {
        true
    }
}
