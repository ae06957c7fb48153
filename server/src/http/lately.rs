//! What is dear to find out and asked often: found out once for all who ask at a time, and not again for a while. What could
//! not be found out is told to those who have waited for it, and to nobody later.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long what was found is told, at least.
const AT_LEAST: Duration = Duration::from_secs(1);

/// How much longer than it took to find out it is told: so looking never takes more than a twentieth of the time.
const TIMES_AS_LONG: u32 = 20;

/// How long at most: whatever kept it from being found out sooner may be over.
const AT_MOST: Duration = Duration::from_secs(15);

/// A value as it was lately. Cheap to clone.
#[derive(Debug)]
pub(super) struct Lately<T>(Arc<Mutex<Option<Found<T>>>>);

#[derive(Debug)]
struct Found<T> {
    value: T,
    /// Of what it was found out.
    version: u64,
    /// It is told to whoever has asked before.
    until: Instant,
}

/// What came of a look, of which each part may have failed.
#[derive(Debug)]
pub(super) struct Looked<T> {
    value: T,
    is_whole: bool,
}

/// A look under way: takes note of whether something could not be found out.
#[derive(Debug, Default)]
pub(super) struct Looking {
    has_failed: bool,
}

impl Looking {
    /// What was found. Where that has failed the log says so, in words that follow "could not".
    pub(super) fn found<V, E: Debug>(&mut self, what: &str, found: Result<V, E>) -> Option<V> {
        found
            .inspect_err(|error| {
                tracing::warn!(?error, "could not {what}");
                self.has_failed = true;
            })
            .ok()
    }

    /// The end of it, with what is told.
    pub(super) fn end<T>(self, value: T) -> Looked<T> {
        Looked { value, is_whole: !self.has_failed }
    }
}

impl<T> Clone for Lately<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Lately<T> {
    /// The value; found out by `look` unless that was done for this `version`, to the full, a short while ago. However many
    /// ask, one looks, to the end, also when nobody waits any more. `None` when looking has panicked.
    pub(super) async fn get<F>(&self, version: u64, look: impl FnOnce() -> F + Send + 'static) -> Option<T>
    where
        F: Future<Output = Looked<T>> + Send + 'static,
    {
        let (kept, asked) = (Arc::clone(&self.0), Instant::now());
        let told = async move {
            let mut kept = kept.lock().await;
            if let Some(found) = kept.as_ref().filter(|found| found.version == version && asked < found.until)
            {
                return found.value.clone();
            }
            let begun = Instant::now();
            let Looked { value, is_whole } = look().await;
            let now = Instant::now();
            let rest = now.duration_since(begun).saturating_mul(TIMES_AS_LONG).clamp(AT_LEAST, AT_MOST);
            // Who has waited for a look that failed does not begin the next one: all of them would, one after the other.
            let until = if is_whole { now + rest } else { now };
            *kept = Some(Found { value: value.clone(), version, until });
            value
        };
        // Whoever gives up does not have the next one begin anew.
        tokio::spawn(told).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::{Lately, Looked, Looking};

    /// Looks, and counts how often.
    fn look(count: &Arc<AtomicU32>) -> impl FnOnce() -> std::future::Ready<Looked<u32>> + Send + 'static {
        let count = Arc::clone(count);
        move || std::future::ready(Looking::default().end(count.fetch_add(1, Ordering::SeqCst) + 1))
    }

    /// A look a part of which fails, once `go` says so.
    async fn fail(count: Arc<AtomicU32>, go: Arc<Notify>) -> Looked<u32> {
        let mut looking = Looking::default();
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        go.notified().await;
        assert_eq!(looking.found("count", Err::<(), _>("the database is locked")), None);
        assert_eq!(looking.found("count", Ok::<_, &str>(1)), Some(1));
        looking.end(number)
    }

    #[tokio::test]
    async fn what_could_not_be_found_out_is_told_to_those_who_wait_and_looked_for_by_the_next() {
        let (lately, count, go) = (Lately::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (count, go) = (Arc::clone(&count), Arc::clone(&go));
            lately.get(7, || fail(count, go))
        };
        let release = async {
            tokio::task::yield_now().await;
            go.notify_one();
        };
        assert_eq!(tokio::join!(ask(), ask(), ask(), release), (Some(1), Some(1), Some(1), ()));
        assert_eq!(lately.get(7, look(&count)).await, Some(2), "the failure is over");
        assert_eq!(lately.get(7, look(&count)).await, Some(2));
    }

    #[tokio::test]
    async fn what_was_found_is_told_again_until_something_has_changed() {
        let (lately, count) = (Lately::default(), Arc::new(AtomicU32::new(0)));
        assert_eq!(lately.get(7, look(&count)).await, Some(1));
        assert_eq!(lately.get(7, look(&count)).await, Some(1));
        assert_eq!(lately.get(8, look(&count)).await, Some(2));
        lately.0.lock().await.as_mut().unwrap().until = std::time::Instant::now();
        assert_eq!(lately.get(8, look(&count)).await, Some(3), "its time is over");
    }

    #[tokio::test]
    async fn one_looks_for_all_and_goes_on_although_he_has_given_up() {
        let (lately, count, go) = (Lately::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let slow = || {
            let (count, go) = (Arc::clone(&count), Arc::clone(&go));
            move || async move {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                go.notified().await;
                Looking::default().end(number)
            }
        };
        let first = tokio::time::timeout(std::time::Duration::from_millis(5), lately.get(0, slow()));
        assert!(first.await.is_err(), "given up");
        let others: Vec<_> = (0..8)
            .map(|_| {
                let (lately, slow) = (lately.clone(), slow());
                tokio::spawn(async move { lately.get(0, slow).await })
            })
            .collect();
        tokio::task::yield_now().await;
        go.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(1));
        }
    }
}
