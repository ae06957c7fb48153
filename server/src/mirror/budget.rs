//! How many requests an upstream may still be sent.
//!
//! The count is in the database, and is taken before a request is sent, so that neither a restart nor a crash gives it
//! back. To write less, several are taken at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::upstream::FetchError;
use crate::fetch::{Toll, Unpaid};
use crate::store::{Store, StoreError};

/// Requests that are taken out of the database at a time.
const AT_A_TIME: u32 = 16;

/// The requests of one pass.
pub struct Requests {
    /// Where the count is; `None` when somebody has asked by hand for this very pass.
    limit: Option<Limit>,
    /// Taken, and not sent yet.
    reserved: Mutex<u32>,
    sent: AtomicU64,
    /// Whether files are asked for by now, of which there are many.
    expects_more: AtomicBool,
}

struct Limit {
    store: Store,
    upstream: String,
    per_hour: u32,
}

impl Requests {
    /// As many as anybody likes, counted.
    pub fn unlimited() -> Self {
        Self {
            limit: None,
            reserved: Mutex::default(),
            sent: AtomicU64::new(0),
            expects_more: AtomicBool::new(false),
        }
    }

    /// At most so many an hour, all passes together.
    pub fn limited(store: Store, upstream: String, per_hour: u64) -> Self {
        let per_hour = u32::try_from(per_hour).unwrap_or(u32::MAX);
        let limit = Some(Limit { store, upstream, per_hour });
        Self { limit, ..Self::unlimited() }
    }

    /// Files are asked for from now on.
    pub(super) fn expect_more(&self) {
        self.expects_more.store(true, Ordering::Relaxed);
    }

    /// One more request is about to be sent.
    ///
    /// # Errors
    /// [`FetchError::Spent`] when there is none left.
    async fn take(&self) -> Result<(), FetchError> {
        if let Some(limit) = &self.limit
            && !self.take_reserved()
        {
            let wanted = if self.expects_more.load(Ordering::Relaxed) { AT_A_TIME } else { 1 };
            let allowance = limit
                .store
                .spend(&limit.upstream, wanted, limit.per_hour)
                .await
                .map_err(FetchError::Uncounted)?;
            if allowance.requests == 0 {
                let (per_hour, seconds) = (limit.per_hour, allowance.wait_seconds);
                return Err(FetchError::Spent { per_hour, seconds });
            }
            *self.reserved.lock().unwrap_or_else(PoisonError::into_inner) += allowance.requests - 1;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn take_reserved(&self) -> bool {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = *reserved > 0;
        *reserved = reserved.saturating_sub(1);
        is_there
    }

    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Gives back what was taken and not sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let rest = std::mem::take(&mut *self.reserved.lock().unwrap_or_else(PoisonError::into_inner));
        match &self.limit {
            Some(limit) if rest > 0 => limit.store.give_back(&limit.upstream, rest).await,
            _ => Ok(()),
        }
    }
}

impl Toll for Requests {
    fn pay(&self) -> BoxFuture<'_, Result<(), Unpaid>> {
        Box::pin(async { Ok(self.take().await?) })
    }
}
