//! What is dear to find out and asked often: found out once for all who ask at a time, and not again for a while.

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
    /// Until when it is told.
    until: Instant,
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
    pub(super) async fn get<F>(&self, version: u64, look: impl FnOnce() -> F + Send + 'static) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let kept = Arc::clone(&self.0);
        let told = async move {
            let mut kept = kept.lock().await;
            let begun = Instant::now();
            if let Some(found) = kept.as_ref().filter(|found| found.version == version && begun < found.until)
            {
                return found.value.clone();
            }
            let value = look().await;
            let now = Instant::now();
            let rest = now.duration_since(begun).saturating_mul(TIMES_AS_LONG);
            let until = now + rest.clamp(AT_LEAST, AT_MOST);
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

    use super::Lately;

    /// Looks, and counts how often.
    fn look(count: &Arc<AtomicU32>) -> impl FnOnce() -> std::future::Ready<u32> + Send + 'static {
        let count = Arc::clone(count);
        move || std::future::ready(count.fetch_add(1, Ordering::SeqCst) + 1)
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
                number
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
