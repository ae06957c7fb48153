//! How much a client may ask for: a bucket for each token, and for each address without one.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::Extensions;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config;

/// Who a bucket belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    /// The holder of a token, wherever he is.
    Token(String),
    /// A client without one: an IPv4 address, or an IPv6 network of 64 bits.
    Address(IpAddr),
}

impl Payer {
    /// Somebody the guard has not asked for a name.
    pub(super) const UNKNOWN: Self = Self::Address(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));

    /// Who sends a request, as the guard has found.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or(Self::UNKNOWN)
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(out, "token:{id}"),
            Self::Address(address) => write!(out, "address:{address}"),
        }
    }
}

/// The buckets.
pub(super) struct Rates {
    /// `None` when there is no limit.
    limiter: Option<DefaultKeyedRateLimiter<Payer>>,
    /// Nobody pays more at a time than the bucket holds, or the costliest actions could never be done.
    burst: NonZeroU32,
    since_tidying: AtomicU32,
}

/// Full buckets are forgotten after so many payments, so that addresses do not add up for ever.
const TIDY_EVERY: u32 = 10_000;

impl Rates {
    pub(super) fn new(limits: &config::Rate) -> Self {
        let number = |number: u64| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX));
        let burst = number(limits.burst.get()).unwrap_or(NonZeroU32::MIN);
        let limiter = number(limits.per_second.get())
            .map(|per_second| RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)));
        Self { limiter, burst, since_tidying: AtomicU32::new(0) }
    }

    /// Takes `cost` out of the bucket of `payer`, or says how long it has to fill first.
    pub(super) fn pay(&self, payer: &Payer, cost: u32) -> Result<(), Duration> {
        let (Some(limiter), Some(cost)) = (&self.limiter, NonZeroU32::new(cost)) else { return Ok(()) };
        if self.since_tidying.fetch_add(1, Ordering::Relaxed) >= TIDY_EVERY {
            self.since_tidying.store(0, Ordering::Relaxed);
            limiter.retain_recent();
        }
        match limiter.check_key_n(payer, cost.min(self.burst)) {
            Ok(Err(not_until)) => Err(not_until.wait_time_from(DefaultClock::default().now())),
            // More than the bucket holds is never asked for.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Payer, Rates};

    fn rates(text: &str) -> Rates {
        Rates::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn every_payer_has_a_bucket_that_costs_empty() {
        let rates = rates("per_second = 1\nburst = 10");
        let one = Payer::Address([192, 0, 2, 1].into());
        assert_eq!((rates.pay(&one, 6), rates.pay(&one, 4)), (Ok(()), Ok(())));
        let wait = rates.pay(&one, 3).unwrap_err();
        assert!(wait > Duration::from_secs(2) && wait <= Duration::from_secs(3), "{wait:?}");
        assert_eq!(rates.pay(&one, 0), Ok(()), "what is free stays free");
        assert_eq!(rates.pay(&Payer::Token("t".to_owned()), 10), Ok(()), "another bucket");
    }

    #[test]
    fn what_costs_more_than_a_bucket_holds_takes_a_full_one() {
        let rates = rates("per_second = 1\nburst = 2");
        let one = Payer::Token("t".to_owned());
        assert_eq!(rates.pay(&one, 100), Ok(()));
        assert!(rates.pay(&one, 1).is_err());
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rates = rates("per_second = 0\nburst = 1");
        assert!((0..100).all(|_| rates.pay(&Payer::Token("t".to_owned()), 50).is_ok()));
    }
}
