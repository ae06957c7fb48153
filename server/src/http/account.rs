//! Memory that requests may take together, and each client a part of it: a few who send slowly, or ask for long answers,
//! leave room for everybody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use phasic_hub_api::ProblemCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::rate::Payer;

/// What one permit stands for, in bytes.
const UNIT_BYTES: u64 = 1024;

/// One client may take one part in so many.
const PARTS: usize = 4;

/// Clients whose parts are remembered before those are forgotten that take nothing.
const REMEMBERED: usize = 1000;

/// Memory of all requests together.
#[derive(Clone, Debug)]
pub(super) struct Account {
    permits: Arc<Semaphore>,
    parts: Arc<Mutex<HashMap<Payer, Arc<Semaphore>>>>,
    part_permits: usize,
}

/// A part of it, for as long as it lives.
#[derive(Debug)]
pub(super) struct Share {
    whole: OwnedSemaphorePermit,
    own: OwnedSemaphorePermit,
}

impl Account {
    /// So many bytes, and at least those of one request at its largest.
    pub(super) fn new(bytes: u64, largest: u64) -> Self {
        let whole = bytes.max(largest).div_ceil(UNIT_BYTES);
        let permits = usize::try_from(whole).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let one = units(largest) as usize;
        let part_permits = (permits / PARTS).max(one).min(permits).max(one);
        Self { permits: Arc::new(Semaphore::new(permits.max(one))), parts: Arc::default(), part_permits }
    }

    /// What one client may take.
    fn part(&self, payer: Payer) -> Arc<Semaphore> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.len() >= REMEMBERED {
            parts.retain(|_, part| Arc::strong_count(part) > 1);
        }
        Arc::clone(parts.entry(payer).or_insert_with(|| Arc::new(Semaphore::new(self.part_permits))))
    }

    /// Takes a share, once there is room for it: first of what is the client's, so that who waits for himself keeps
    /// nobody else waiting. Nobody waits for more than the largest request.
    pub(super) async fn take(&self, payer: Payer, bytes: u64) -> Result<Share, ApiError> {
        let closed = |_| ApiError::new(ProblemCode::Internal, "The hub is stopping.");
        let own = self.part(payer).acquire_many_owned(units(bytes)).await.map_err(closed)?;
        let whole = Arc::clone(&self.permits).acquire_many_owned(units(bytes)).await.map_err(closed)?;
        Ok(Share { whole, own })
    }

    /// Bytes that nobody has taken, about.
    #[cfg(test)]
    pub(super) fn free_bytes(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT_BYTES
    }
}

/// Permits for so many bytes: one more for small requests, which are not free either.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes / UNIT_BYTES + 1).unwrap_or(u32::MAX)
}

impl Share {
    /// Keeps so much of it, and gives the rest back.
    pub(super) fn keep(&mut self, bytes: u64) {
        for permit in [&mut self.whole, &mut self.own] {
            let beyond = permit.num_permits().saturating_sub(units(bytes) as usize);
            drop(permit.split(beyond));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{Account, Payer};

    #[test]
    fn who_asks_for_much_waits_for_himself_and_nobody_waits_for_ever() {
        let account = Account::new(8 << 20, 1 << 20);
        let client = |name: &str| Payer::Token(name.to_owned());
        let take = |name: &str| account.take(client(name), 1 << 20).now_or_never().map(Result::unwrap);
        // A quarter, of which each of its units takes a little more.
        let (first, second) = (take("one"), take("one"));
        assert!(first.is_some() && second.is_none(), "one client has a quarter");
        let others: Vec<_> = ["two", "three", "four", "five", "six", "seven"].map(take).into();
        assert!(others.iter().all(Option::is_some), "which leaves room for others");
        drop(first);
        assert!(take("one").is_some());
        drop(others);
        let small = Account::new(1, 1 << 20);
        assert!(small.take(client("one"), 1 << 20).now_or_never().is_some(), "the largest request fits");
    }
}
