//! A job this process works on: how far it is, and whether it is still wanted.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use phasic_engine::trace::Progress;
use phasic_hub_api::jobs::JobProgress;
use tokio_util::sync::CancellationToken;

/// A job that is being worked on by this process.
#[derive(Debug)]
pub(super) struct Running {
    /// What it was admitted with.
    pub(super) memory_bytes: u64,
    /// How long it may take.
    pub(super) limit: Duration,
    /// Set when nobody wants it any more.
    pub(super) cancelled: CancellationToken,
    vertices_done: AtomicU64,
    vertices: AtomicU64,
    commands: AtomicU64,
}

impl Running {
    pub(super) fn new(memory_bytes: u64, limit: Duration) -> Self {
        Self {
            memory_bytes,
            limit,
            cancelled: CancellationToken::new(),
            vertices_done: AtomicU64::new(0),
            vertices: AtomicU64::new(0),
            commands: AtomicU64::new(0),
        }
    }

    /// Takes note of progress, and says whether to go on.
    pub(super) fn note(&self, progress: Option<Progress>, begun: Instant) -> ControlFlow<()> {
        if let Some(Progress { vertices_done, vertices, commands, .. }) = progress {
            self.set(JobProgress { vertices_done, vertices, commands });
        }
        if self.cancelled.is_cancelled() || begun.elapsed() > self.limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    pub(super) fn set(&self, progress: JobProgress) {
        self.vertices_done.store(progress.vertices_done, Ordering::Relaxed);
        self.vertices.store(progress.vertices, Ordering::Relaxed);
        self.commands.store(progress.commands, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> JobProgress {
        JobProgress {
            vertices_done: self.vertices_done.load(Ordering::Relaxed),
            vertices: self.vertices.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
        }
    }
}
