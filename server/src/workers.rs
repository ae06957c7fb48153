//! Threads for mathematics: what takes processor time runs here, and never on the threads that answer requests.
//!
//! Eliminations and evaluations have a pool each, so that a short question does not wait for a long elimination. What
//! the work is, and how much of it is let in, is decided elsewhere.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// A pool of threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workers(Arc<ThreadPool>);

/// The work ended without a result, which means that it panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the computation broke off")]
#[non_exhaustive]
pub struct BrokeOff;

impl Workers {
    /// A pool whose threads carry this name. `threads` 0 leaves one core to everybody else.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn new(name: &'static str, threads: usize) -> Result<Self, ThreadPoolBuildError> {
        Self::with_niceness(name, threads, 0)
    }

    /// As [`new`](Self::new), of threads that give way to those that answer requests, where the operating system lets
    /// single threads do that.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn giving_way(name: &'static str, threads: usize) -> Result<Self, ThreadPoolBuildError> {
        Self::with_niceness(name, threads, NICENESS)
    }

    fn with_niceness(
        name: &'static str,
        threads: usize,
        niceness: i32,
    ) -> Result<Self, ThreadPoolBuildError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if threads == 0 { cores.saturating_sub(1).max(1) } else { threads };
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |index| format!("{name}-{index}"))
            .start_handler(move |_| give_way(niceness))
            .build()?;
        Ok(Self(Arc::new(pool)))
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs work on the pool and waits for its result. Parallel iterators in it use the same pool.
    ///
    /// Work that has not begun when nobody waits for it any more is not begun.
    ///
    /// # Errors
    /// [`BrokeOff`] when the work panicked; the pool goes on.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BrokeOff> {
        let (send, receive) = oneshot::channel();
        self.0.spawn(move || {
            if send.is_closed() {
                return;
            }
            // An unwinding worker would end the process; dropping the sender tells the one who waits.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                // Nobody may be left to be told.
                drop(send.send(result));
            } else {
                tracing::error!("a computation panicked; its message is on standard error");
            }
        });
        receive.await.map_err(|_| BrokeOff)
    }

    /// As [`run`](Self::run), of work that asks now and then whether anybody still waits: whoever stops waiting, because
    /// the request is gone or has taken too long, does not leave a thread at work for nobody.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_while_wanted<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Wanted) -> T + Send + 'static,
    ) -> Result<T, BrokeOff> {
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let _waiting = Waiting(wanted.clone());
        self.run(move || work(&wanted)).await
    }
}

/// Tells work whether anybody still waits for its result.
#[derive(Clone, Debug)]
pub struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// What work is told for which nobody waits any more.
    #[cfg(test)]
    pub fn no_longer() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Whether to go on.
    pub fn go_on(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Says, when it is dropped, that nobody waits any more.
struct Waiting(Wanted);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// How much long computations give way to everything else.
pub const NICENESS: i32 = 3;

/// Lowers the priority of the calling thread. On other systems it would be that of the whole process.
#[cfg(target_os = "linux")]
fn give_way(niceness: i32) {
    if niceness > 0
        && let Err(error) = rustix::process::nice(niceness)
    {
        tracing::debug!(%error, "a thread cannot lower its priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way(_niceness: i32) {}

#[cfg(test)]
mod tests {
    use super::{BrokeOff, Workers};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    #[tokio::test]
    async fn a_panic_of_the_work_is_an_error_and_the_pool_goes_on() {
        let workers = Workers::new("test", 1).unwrap();
        assert_eq!(workers.run(|| -> u32 { panic!("on purpose") }).await, Err(BrokeOff));
        assert_eq!(workers.run(|| 3).await, Ok(3));
    }

    #[tokio::test]
    async fn work_that_has_begun_hears_that_nobody_waits_any_more() {
        let workers = Workers::new("test", 1).unwrap();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let abandoned = tokio::spawn({
            let workers = workers.clone();
            async move {
                let work = move |wanted: &super::Wanted| {
                    begin.send(()).unwrap();
                    while wanted.go_on().is_continue() {
                        std::thread::yield_now();
                    }
                };
                workers.run_while_wanted(work).await
            }
        });
        begun.await.unwrap();
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        assert_eq!(workers.run(|| 3).await, Ok(3), "the one thread there is is free");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let workers = Workers::new("test", 1).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(move || gate.recv().is_ok()).await }
        });
        let begun = Arc::new(AtomicBool::new(false));
        let abandoned = {
            let (workers, begun) = (workers.clone(), Arc::clone(&begun));
            tokio::spawn(async move { workers.run(move || begun.store(true, Ordering::SeqCst)).await })
        };
        tokio::task::yield_now().await;
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        assert_eq!(busy.await.unwrap(), Ok(true));
        assert_eq!(workers.run(|| ()).await, Ok(()));
        assert!(!begun.load(Ordering::SeqCst));
    }
}
