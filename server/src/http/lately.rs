//! What is dear to find out and asked often: found out once for all who ask at a time, and not again for a while, which is
//! shorter where a part of it could not be found out.

use std::collections::BTreeSet;
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

/// How long at most where a part is missing: that may be over as soon as it is known, and may as well last for days.
const AT_MOST_IN_PART: Duration = Duration::from_secs(5);

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
    failed: BTreeSet<&'static str>,
}

/// What came of a look, of which each part may have failed.
#[derive(Debug)]
pub(super) struct Looked<T> {
    value: T,
    failed: BTreeSet<&'static str>,
}

/// A look under way: takes note of what could not be found out.
#[derive(Debug, Default)]
pub(super) struct Looking {
    failed: BTreeSet<&'static str>,
    /// What the look before this one could not find out.
    failed_before: BTreeSet<&'static str>,
}

impl Looking {
    /// What was found. Where that has failed the log says so, in words that follow "could not"; once, however many looks in a
    /// row it fails in.
    pub(super) fn found<V, E: Debug>(&mut self, what: &'static str, found: Result<V, E>) -> Option<V> {
        let is_known = self.failed_before.contains(what);
        match found {
            Ok(value) => {
                if is_known {
                    tracing::info!("could {what} again");
                }
                Some(value)
            }
            Err(error) => {
                if !is_known {
                    tracing::warn!(?error, "could not {what}");
                }
                self.failed.insert(what);
                None
            }
        }
    }

    /// The end of it, with what is told.
    pub(super) fn end<T>(self, value: T) -> Looked<T> {
        Looked { value, failed: self.failed }
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
    /// The value; found out by `look` unless that was done for this `version` a short while ago. However many ask, one looks,
    /// to the end, also when nobody waits any more. `None` when looking has panicked.
    pub(super) async fn get<F>(
        &self,
        version: u64,
        look: impl FnOnce(Looking) -> F + Send + 'static,
    ) -> Option<T>
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
            let failed_before = kept.as_ref().map(|found| found.failed.clone()).unwrap_or_default();
            let begun = Instant::now();
            let Looked { value, failed } = look(Looking { failed_before, ..Looking::default() }).await;
            let now = Instant::now();
            // A part that keeps failing does not have everybody look for all the others.
            let at_most = if failed.is_empty() { AT_MOST } else { AT_MOST_IN_PART };
            let rest = now.duration_since(begun).saturating_mul(TIMES_AS_LONG).clamp(AT_LEAST, at_most);
            *kept = Some(Found { value: value.clone(), version, until: now + rest, failed });
            value
        };
        // Whoever gives up does not have the next one begin anew.
        tokio::spawn(told).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Ready;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use tokio::sync::Notify;

    use super::{AT_MOST_IN_PART, Lately, Looked, Looking};

    /// Looks, and counts how often.
    fn look(count: &Arc<AtomicU32>) -> impl FnOnce(Looking) -> Ready<Looked<u32>> + Send + 'static {
        let count = Arc::clone(count);
        move |looking| std::future::ready(looking.end(count.fetch_add(1, Ordering::SeqCst) + 1))
    }

    /// As if the time were over for which what was found is told.
    async fn let_time_pass(lately: &Lately<u32>) {
        lately.0.lock().await.as_mut().unwrap().until = Instant::now();
    }

    /// A look a part of which fails, once `go` says so.
    async fn fail(mut looking: Looking, count: Arc<AtomicU32>, go: Arc<Notify>) -> Looked<u32> {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        go.notified().await;
        assert_eq!(looking.found("count", Err::<(), _>("the database is locked")), None);
        assert_eq!(looking.found("count", Ok::<_, &str>(1)), Some(1));
        looking.end(number)
    }

    #[tokio::test]
    async fn what_could_not_be_found_out_is_looked_for_again_after_a_while_and_not_by_everybody() {
        let (lately, count, go) = (Lately::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (count, go) = (Arc::clone(&count), Arc::clone(&go));
            lately.get(7, |looking| fail(looking, count, go))
        };
        let release = async {
            tokio::task::yield_now().await;
            go.notify_one();
        };
        assert_eq!(tokio::join!(ask(), ask(), ask(), release), (Some(1), Some(1), Some(1), ()));
        assert_eq!(lately.get(7, look(&count)).await, Some(1), "who comes later does not look at once");
        let rest = {
            let kept = lately.0.lock().await;
            kept.as_ref().unwrap().until.duration_since(Instant::now())
        };
        assert!(rest <= AT_MOST_IN_PART, "{rest:?}");
        let_time_pass(&lately).await;
        assert_eq!(lately.get(7, look(&count)).await, Some(2), "the failure is over");
        assert_eq!(lately.get(7, look(&count)).await, Some(2));
    }

    #[tokio::test]
    async fn a_look_knows_what_the_one_before_could_not_find_out() {
        let (lately, seen) = (Lately::default(), Arc::new(Mutex::new(Vec::new())));
        for is_failing in [true, true, false, true] {
            let seen = Arc::clone(&seen);
            let look = move |mut looking: Looking| {
                seen.lock().unwrap().push(looking.failed_before.contains("count"));
                let found = if is_failing { Err("the database is locked") } else { Ok(()) };
                assert_eq!(looking.found("count", found).is_none(), is_failing);
                std::future::ready(looking.end(0))
            };
            lately.get(7, look).await.unwrap();
            let_time_pass(&lately).await;
        }
        assert_eq!(
            *seen.lock().unwrap(),
            [false, true, true, false],
            "told of at the first and the last one"
        );
    }

    #[tokio::test]
    async fn what_was_found_is_told_again_until_something_has_changed() {
        let (lately, count) = (Lately::default(), Arc::new(AtomicU32::new(0)));
        assert_eq!(lately.get(7, look(&count)).await, Some(1));
        assert_eq!(lately.get(7, look(&count)).await, Some(1));
        assert_eq!(lately.get(8, look(&count)).await, Some(2));
        let_time_pass(&lately).await;
        assert_eq!(lately.get(8, look(&count)).await, Some(3), "its time is over");
    }

    #[tokio::test]
    async fn one_looks_for_all_and_goes_on_although_he_has_given_up() {
        let (lately, count, go) = (Lately::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let slow = || {
            let (count, go) = (Arc::clone(&count), Arc::clone(&go));
            move |looking: Looking| async move {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                go.notified().await;
                looking.end(number)
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
