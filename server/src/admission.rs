//! Who may eliminate, and with how much memory: one account for jobs, healing and the reference computes.
//!
//! Whoever is about to make a program says beforehand how much memory that takes, and waits until so much is free. Who
//! waits is served in turn, so that many small ones do not keep a large one waiting for ever. Which job is next, and what
//! anything takes, is known elsewhere.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::workers::Workers;

/// What one permit stands for.
const UNIT_BYTES: u64 = 64 << 10;

/// The threads of eliminations, and the memory they may take together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    workers: Workers,
    max_bytes: u64,
    memory: Arc<Semaphore>,
    freed: Arc<Notify>,
}

/// Memory somebody may take, for as long as this lives.
#[derive(Debug)]
pub struct Share {
    permit: OwnedSemaphorePermit,
    max_bytes: u64,
    freed: Arc<Notify>,
    /// Whether giving it back is news: not where it was only looked at.
    is_used: bool,
}

/// Something takes more memory than all eliminations together may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it needs up to {bytes} bytes of memory, and eliminations may take {max_bytes} (compute.max_memory_bytes)"
)]
pub struct TooLarge {
    bytes: u64,
    max_bytes: u64,
}

impl Admission {
    /// Threads, and the memory that is taken on them at most.
    pub fn new(workers: Workers, max_bytes: u64) -> Self {
        // A terabyte, the most there may be, is 16 million permits.
        let permits = units(max_bytes) as usize;
        Self { workers, max_bytes, memory: Arc::new(Semaphore::new(permits)), freed: Arc::default() }
    }

    /// The threads.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Memory there is for all together.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Waits until so much memory is free, and takes it.
    ///
    /// # Errors
    /// [`TooLarge`] when there will never be so much.
    pub async fn take(&self, bytes: u64) -> Result<Share, TooLarge> {
        let too_large = TooLarge { bytes, max_bytes: self.max_bytes };
        if bytes > self.max_bytes {
            return Err(too_large);
        }
        let permit = Arc::clone(&self.memory).acquire_many_owned(units(bytes)).await;
        // The semaphore is never closed.
        permit.map(|permit| self.share(permit, true)).map_err(|_| too_large)
    }

    /// Takes all that is free and nobody waits for. Giving it back wakes nobody, unless some of it was [kept](Share::keep).
    pub fn take_free(&self) -> Option<Share> {
        let free = u32::try_from(self.memory.available_permits()).unwrap_or(u32::MAX);
        if free == 0 {
            return None;
        }
        Arc::clone(&self.memory).try_acquire_many_owned(free).ok().map(|permit| self.share(permit, false))
    }

    /// Waits until somebody gives memory back.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    fn share(&self, permit: OwnedSemaphorePermit, is_used: bool) -> Share {
        Share { permit, max_bytes: self.max_bytes, freed: Arc::clone(&self.freed), is_used }
    }
}

impl Share {
    /// How much it is.
    pub fn bytes(&self) -> u64 {
        (self.permit.num_permits() as u64 * UNIT_BYTES).min(self.max_bytes)
    }

    /// Keeps so much of it, and gives the rest back.
    pub fn keep(&mut self, bytes: u64) {
        self.is_used = true;
        let beyond = self.permit.num_permits().saturating_sub(units(bytes) as usize);
        drop(self.permit.split(beyond));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First the memory, then the bell: whoever is woken is to find it.
        drop(self.permit.split(self.permit.num_permits()));
        if self.is_used {
            self.freed.notify_one();
        }
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Admission, UNIT_BYTES};
    use crate::workers::Workers;

    fn admission(max_bytes: u64) -> Admission {
        Admission::new(Workers::new("test", 1).unwrap(), max_bytes)
    }

    #[tokio::test]
    async fn what_is_taken_is_not_free_and_is_given_back() {
        let admission = admission(10 * UNIT_BYTES);
        let mut all = admission.take_free().unwrap();
        assert_eq!(all.bytes(), 10 * UNIT_BYTES);
        assert!(admission.take_free().is_none());
        all.keep(3 * UNIT_BYTES - 1);
        assert_eq!(all.bytes(), 3 * UNIT_BYTES);
        assert_eq!(admission.take_free().map(|share| share.bytes()), Some(7 * UNIT_BYTES));
        drop(all);
        let bell = Duration::from_millis(50);
        assert!(tokio::time::timeout(bell, admission.freed()).await.is_ok());
        assert_eq!(admission.take_free().map(|share| share.bytes()), Some(10 * UNIT_BYTES));
        assert!(tokio::time::timeout(bell, admission.freed()).await.is_err(), "only looked at");
    }

    #[tokio::test]
    async fn who_waits_is_served_before_those_who_take_what_is_free() {
        let admission = admission(10 * UNIT_BYTES);
        let small = admission.take(4 * UNIT_BYTES).await.unwrap();
        let large = tokio::spawn({
            let admission = admission.clone();
            async move { admission.take(9 * UNIT_BYTES).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(admission.take_free().is_none(), "all of it is being waited for");
        assert!(!large.is_finished());
        drop(small);
        assert_eq!(large.await.unwrap().unwrap().bytes(), 9 * UNIT_BYTES);
    }

    #[tokio::test]
    async fn what_never_fits_is_refused_and_all_there_is_fits() {
        let admission = admission(2 * UNIT_BYTES - 7);
        assert!(admission.take(2 * UNIT_BYTES - 6).await.unwrap_err().to_string().contains("131066 bytes"));
        assert_eq!(admission.take(2 * UNIT_BYTES - 7).await.unwrap().bytes(), 2 * UNIT_BYTES - 7);
    }
}
