//! When a failed request is worth repeating, and how long to wait first.
//!
//! Only requests that change nothing are repeated here. Waiting and counting live here; what failed is decided by the error.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use super::HubError;

/// How often and how patiently a read from the hub is repeated after a passing fault: a refused or broken
/// connection, a timeout, `408`, `429` or any `5xx`. Other answers are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all; 1 never repeats, 0 counts as 1.
    pub attempts: u32,
    /// Wait before the second try; it doubles before each further one, give or take a quarter.
    pub first_delay: Duration,
    /// The longest single wait. A `Retry-After` (in seconds) beyond it ends the tries at once.
    pub longest_delay: Duration,
}

impl Default for RetryPolicy {
    /// Four tries, half a second before the second, never more than 30 s between two.
    fn default() -> Self {
        Self { attempts: 4, first_delay: Duration::from_millis(500), longest_delay: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// A policy that never repeats a request.
    pub const fn never() -> Self {
        Self { attempts: 1, first_delay: Duration::ZERO, longest_delay: Duration::ZERO }
    }

    /// The wait after `tries` failures, the last of which was `error`; `None` when it is time to give up.
    pub(super) fn delay(&self, tries: u32, error: &HubError) -> Option<Duration> {
        if tries >= self.attempts || !error.is_transient() {
            return None;
        }
        let doubled = self.first_delay.saturating_mul(1 << (tries - 1).min(16)).min(self.longest_delay);
        let seconds = doubled.as_secs_f64() * (0.75 + 0.5 * random_fraction());
        let own = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(self.longest_delay);
        match error.retry_after() {
            Some(asked) if asked > self.longest_delay => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own),
        }
    }
}

/// A number in `0.0..1.0` that differs between processes, so that clients failing together do not return together.
fn random_fraction() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, retry_after: Option<u64>) -> HubError {
        HubError::Status {
            url: "http://hub.example/registry.json".to_owned(),
            status,
            detail: None,
            retry_after: retry_after.map(Duration::from_secs),
            tries: 1,
        }
    }

    #[test]
    fn waits_double_within_a_quarter_and_stop_at_the_longest() {
        let policy = RetryPolicy {
            attempts: 100,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(1),
        };
        for (tries, nominal) in [(1, 100.0), (2, 200.0), (3, 400.0), (4, 800.0)] {
            let wait = policy.delay(tries, &failure(503, None)).unwrap().as_secs_f64() * 1000.0;
            assert!(
                (0.75 * nominal..=1000.0_f64.min(1.25 * nominal)).contains(&wait),
                "try {tries}: {wait} ms"
            );
        }
        assert!(policy.delay(90, &failure(503, None)).unwrap() <= Duration::from_secs(1));
    }

    #[test]
    fn retry_after_is_obeyed_up_to_the_longest_delay_and_ends_the_tries_beyond_it() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(1, &failure(429, Some(7))), Some(Duration::from_secs(7)));
        assert_eq!(policy.delay(1, &failure(429, Some(31))), None);
    }

    #[test]
    fn an_answer_that_would_be_the_same_again_is_not_repeated() {
        for status in [400, 401, 403, 404, 409, 410, 422] {
            assert_eq!(RetryPolicy::default().delay(1, &failure(status, None)), None, "status {status}");
        }
    }

    #[test]
    fn the_number_of_tries_is_kept() {
        let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
        assert!(policy.delay(2, &failure(500, None)).is_some());
        assert_eq!(policy.delay(3, &failure(500, None)), None);
        assert_eq!(RetryPolicy::never().delay(1, &failure(500, None)), None);
    }

    #[test]
    fn the_longest_waits_there_are_do_not_overflow() {
        let policy =
            RetryPolicy { attempts: u32::MAX, first_delay: Duration::MAX, longest_delay: Duration::MAX };
        assert!(policy.delay(1_000, &failure(500, None)).unwrap() > Duration::from_hours(1));
    }
}
