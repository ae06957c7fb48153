//! What was made for one request and may serve the next, in a bounded amount of memory; each is made once, however many
//! ask for it at a time.
//!
//! The least recently used go first. What is being made counts from the moment it is there. What the values are is not
//! known here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use phasic_hub_api::Sha256;
use tokio::sync::OnceCell;

/// Something that takes memory.
pub(crate) trait Weighed {
    /// How much, in bytes.
    fn size_bytes(&self) -> u64;
}

/// Values by key. Failures are handed to all who wait for them, and then forgotten.
#[derive(Debug)]
pub(crate) struct Cache<V, E> {
    most_bytes: u64,
    inner: Mutex<Inner<V, E>>,
}

type Cell<V, E> = Arc<OnceCell<Result<Arc<V>, E>>>;

#[derive(Debug)]
struct Inner<V, E> {
    slots: HashMap<Sha256, Slot<V, E>>,
    bytes: u64,
    clock: u64,
}

#[derive(Debug)]
struct Slot<V, E> {
    cell: Cell<V, E>,
    /// 0 until the value is there.
    bytes: u64,
    used: u64,
}

impl<V: Weighed, E: Clone> Cache<V, E> {
    pub(crate) fn new(most_bytes: u64) -> Self {
        let inner = Inner { slots: HashMap::new(), bytes: 0, clock: 0 };
        Self { most_bytes, inner: Mutex::new(inner) }
    }

    /// The value of a key; made by `make` unless it is there, or somebody else is at it.
    ///
    /// Should whoever makes it stop asking, the next in line begins anew.
    pub(crate) async fn get(
        &self,
        key: Sha256,
        make: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E> {
        let cell = self.lock().cell(key);
        let waiting = Waiting { cache: self, key, cell: &cell };
        let found = cell.get_or_init(|| async { make.await.map(Arc::new) }).await.clone();
        drop(waiting);
        found
    }

    /// The value of a key, once `before` is had where it is not there: what whoever makes it needs, and is not to wait for
    /// while others wait for the value.
    ///
    /// # Errors
    /// What `make` gives, also to all who wait for it.
    pub(crate) async fn get_after<T, F: Future<Output = Result<V, E>>>(
        &self,
        key: Sha256,
        before: impl Future<Output = T>,
        make: impl FnOnce(T) -> F,
    ) -> Result<Arc<V>, E> {
        if let Some(found) = self.there(key) {
            return Ok(found);
        }
        let had = before.await;
        self.get(key, make(had)).await
    }

    /// The value of a key, if it is there.
    fn there(&self, key: Sha256) -> Option<Arc<V>> {
        let mut inner = self.lock();
        inner.clock += 1;
        let clock = inner.clock;
        let slot = inner.slots.get_mut(&key)?;
        let found = slot.cell.get()?.clone().ok()?;
        slot.used = clock;
        Some(found)
    }

    /// Bytes of all values that are there.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner<V, E>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a value. Puts things in order when the waiting ends, for whatever reason.
struct Waiting<'a, V: Weighed, E: Clone> {
    cache: &'a Cache<V, E>,
    key: Sha256,
    cell: &'a Cell<V, E>,
}

impl<V: Weighed, E: Clone> Drop for Waiting<'_, V, E> {
    fn drop(&mut self) {
        self.cache.lock().settle(self.key, self.cell, self.cache.most_bytes);
    }
}

impl<V: Weighed, E: Clone> Inner<V, E> {
    fn cell(&mut self, key: Sha256) -> Cell<V, E> {
        self.clock += 1;
        let clock = self.clock;
        let slot = self.slots.entry(key).or_insert_with(|| Slot { cell: Cell::default(), bytes: 0, used: 0 });
        slot.used = clock;
        Arc::clone(&slot.cell)
    }

    fn settle(&mut self, key: Sha256, cell: &Cell<V, E>, most_bytes: u64) {
        let Some(slot) = self.slots.get_mut(&key).filter(|slot| Arc::ptr_eq(&slot.cell, cell)) else {
            return;
        };
        match cell.get() {
            Some(Ok(value)) if slot.bytes == 0 => {
                slot.bytes = value.size_bytes().max(1);
                self.bytes += slot.bytes;
                self.make_room(most_bytes);
            }
            Some(Err(_)) => drop(self.slots.remove(&key)),
            // The last who waited, beside the slot itself, has gone.
            None if Arc::strong_count(cell) <= 2 => drop(self.slots.remove(&key)),
            Some(Ok(_)) | None => {}
        }
    }

    /// Lets go of the least recently used. A look at every slot for each, of which there are few: plans are large.
    fn make_room(&mut self, most_bytes: u64) {
        while self.bytes > most_bytes {
            let there = self.slots.iter().filter(|(_, slot)| slot.bytes > 0);
            let Some((&oldest, _)) = there.min_by_key(|(_, slot)| slot.used) else { return };
            if let Some(slot) = self.slots.remove(&oldest) {
                self.bytes -= slot.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Weighed};
    use phasic_hub_api::Sha256;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[derive(Debug, PartialEq)]
    struct Value(u64);

    impl Weighed for Value {
        fn size_bytes(&self) -> u64 {
            self.0
        }
    }

    fn key(number: u8) -> Sha256 {
        [number; 32].into()
    }

    async fn fill(cache: &Cache<Value, &'static str>, number: u8, bytes: u64) -> bool {
        let mut made = false;
        let make = async {
            made = true;
            Ok(Value(bytes))
        };
        assert_eq!(*cache.get(key(number), make).await.unwrap(), Value(bytes));
        made
    }

    #[tokio::test]
    async fn the_least_recently_used_go_when_there_is_no_room() {
        let cache = Cache::new(100);
        assert!(fill(&cache, 1, 40).await && fill(&cache, 2, 40).await);
        assert!(!fill(&cache, 1, 40).await);
        assert!(fill(&cache, 3, 40).await);
        assert_eq!(cache.size_bytes(), 80);
        assert!(!fill(&cache, 1, 40).await, "used lately");
        assert!(fill(&cache, 2, 40).await, "the oldest had to go");
        assert!(fill(&cache, 4, 101).await && fill(&cache, 4, 101).await, "never fits");
        assert_eq!(cache.size_bytes(), 0);
    }

    #[tokio::test]
    async fn many_who_ask_at_a_time_wait_for_one() {
        let cache = Arc::new(Cache::<Value, &'static str>::new(100));
        let (made, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let ask = |_| {
            let (cache, made, go) = (Arc::clone(&cache), Arc::clone(&made), Arc::clone(&go));
            tokio::spawn(async move {
                let make = async {
                    made.fetch_add(1, Ordering::SeqCst);
                    go.notified().await;
                    Ok(Value(1))
                };
                cache.get(key(1), make).await
            })
        };
        let all: Vec<_> = (0..64).map(ask).collect();
        tokio::task::yield_now().await;
        go.notify_one();
        for one in all {
            assert_eq!(*one.await.unwrap().unwrap(), Value(1));
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_and_an_abandoned_making_leave_nothing() {
        let cache = Cache::<Value, &'static str>::new(100);
        assert_eq!(cache.get(key(1), async { Err("no") }).await, Err("no"));
        assert!(cache.lock().slots.is_empty());
        {
            let asking = cache.get(key(1), std::future::pending());
            assert!(tokio::time::timeout(std::time::Duration::from_millis(5), asking).await.is_err());
        }
        assert!(cache.lock().slots.is_empty());
        assert!(fill(&cache, 1, 10).await);
    }

    #[tokio::test]
    async fn what_is_there_waits_for_nothing_that_making_it_would() {
        let cache = Cache::<Value, &str>::new(100);
        let made = cache.get_after(key(1), async { 7 }, |bytes| async move { Ok(Value(bytes)) });
        assert_eq!(*made.await.unwrap(), Value(7));
        let there = cache.get_after(key(1), std::future::pending::<u64>(), |_| async { Err("made again") });
        assert_eq!(*there.await.unwrap(), Value(7));
    }
}
