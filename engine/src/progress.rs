//! How long work is watched, and stopped: eliminations, analyses and whatever else may take more than a moment.

use std::ops::ControlFlow;

/// What is being done to a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// phasic's elimination runs.
    Elimination,
    /// A plan file is read.
    Reading,
    /// A plan's components are found, and the order of elimination inside them.
    Ordering,
    /// A plan's edges are collected.
    Collecting,
    /// What fills in is found, the elimination of a plan without its numbers.
    Filling,
    /// A plan becomes a program.
    Lowering,
}

/// How far work on a graph has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Vertices this phase is done with.
    pub vertices_done: u64,
    /// Vertices in all.
    pub vertices: u64,
    /// Commands so far; of a plan, its multiply-adds so far, each of which is a command when it is lowered.
    pub commands: u64,
}

/// Watches work and may stop it.
///
/// Called often enough to stop within milliseconds: at least once every 2^16 commands or 2^12 vertices of phasic's
/// elimination, and every 2^18 steps over edges, entries or multiply-adds of an analysis, whichever comes first, give or
/// take one vertex.
pub trait Observer {
    /// Hears of progress; [`ControlFlow::Break`] cancels.
    fn progress(&mut self, progress: Progress) -> ControlFlow<()>;
}

impl Observer for () {
    fn progress(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(Progress) -> ControlFlow<()>> Observer for F {
    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        self(progress)
    }
}
