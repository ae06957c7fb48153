//! A job this process works on: how far it is, and whether it is still wanted.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use phasic_engine::trace::Progress;
use phasic_hub_api::jobs::JobProgress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A job that is being worked on by this process.
#[derive(Debug)]
pub(super) struct Running {
    /// What it was admitted with.
    pub(super) memory_bytes: u64,
    /// How long it may take, in milliseconds; grows when somebody joins who gives it longer.
    limit_ms: watch::Sender<u64>,
    /// Set when nobody wants it any more.
    pub(super) cancelled: CancellationToken,
    vertices_done: AtomicU64,
    vertices: AtomicU64,
    commands: AtomicU64,
}

impl Running {
    pub(super) fn new(memory_bytes: u64, limit_ms: u64) -> Self {
        Self {
            memory_bytes,
            limit_ms: watch::Sender::new(limit_ms),
            cancelled: CancellationToken::new(),
            vertices_done: AtomicU64::new(0),
            vertices: AtomicU64::new(0),
            commands: AtomicU64::new(0),
        }
    }

    /// How long it may take, as far as that is known now.
    pub(super) fn limit(&self) -> Duration {
        Duration::from_millis(*self.limit_ms.borrow())
    }

    /// Gives it longer, if this is longer.
    pub(super) fn extend(&self, limit_ms: u64) {
        self.limit_ms.send_if_modified(|known| {
            let is_longer = *known < limit_ms;
            *known = limit_ms.max(*known);
            is_longer
        });
    }

    /// Waits until it has taken as long as it may.
    pub(super) async fn overdue(&self, begun: tokio::time::Instant) {
        let mut limit_ms = self.limit_ms.subscribe();
        loop {
            let end = begun + Duration::from_millis(*limit_ms.borrow_and_update());
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                // The sender lives as long as this does.
                _ = limit_ms.changed() => {}
            }
        }
    }

    /// Takes note of progress, and says whether to go on.
    pub(super) fn note(&self, progress: Option<Progress>, begun: Instant) -> ControlFlow<()> {
        if let Some(Progress { vertices_done, vertices, commands, .. }) = progress {
            self.set(JobProgress { vertices_done, vertices, commands });
        }
        if self.cancelled.is_cancelled() || begun.elapsed() > self.limit() {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Running;

    #[tokio::test]
    async fn a_job_may_take_as_long_as_the_most_patient_of_those_who_asked() {
        let running = Running::new(1, 60_000);
        running.extend(50);
        assert_eq!(running.limit(), Duration::from_mins(1), "nobody takes from what others gave");
        let running = Running::new(1, 0);
        running.extend(200);
        let begun = tokio::time::Instant::now();
        let patient = async { running.extend(400) };
        tokio::join!(running.overdue(begun), patient);
        assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    }
}
