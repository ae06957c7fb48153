//! What a question really takes, held against what it may.
//!
//! Work is estimated before it is begun, in plain multiply-adds. But where digits cancel or numbers leave their range, the
//! engine works them out once more in an arithmetic that takes up to sixty times as long, which nobody knows before. So
//! the processor time of answers is measured, and a question that has used up many times its estimate ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Time that a multiply-add may take: several times what it does in eliminations and sweeps of plain numbers.
const NANOSECONDS_OF_MULTIPLY_ADD: u64 = 4;

/// Time beside these for each θ: what there is to do however small the model.
const NANOSECONDS_OF_THETA: u64 = 1_000_000;

/// Processor time of one question.
#[derive(Debug)]
pub(super) struct Purse {
    spent_nanoseconds: AtomicU64,
    most_nanoseconds: u64,
    has_refused: AtomicBool,
}

impl Purse {
    /// For so many multiply-adds, and so many θ.
    pub(super) fn new(multiply_adds: u64, thetas: u64) -> Self {
        let of_work = multiply_adds.saturating_mul(NANOSECONDS_OF_MULTIPLY_ADD);
        let most_nanoseconds = of_work.saturating_add(thetas.max(1).saturating_mul(NANOSECONDS_OF_THETA));
        Self { spent_nanoseconds: AtomicU64::new(0), most_nanoseconds, has_refused: AtomicBool::new(false) }
    }

    /// Whether some work was not done because all was used up.
    pub(super) fn has_refused(&self) -> bool {
        self.has_refused.load(Ordering::Relaxed)
    }

    /// Does some work that keeps so many threads busy, this one among them, and takes its time out of the purse; `None` where
    /// the purse is empty.
    pub(super) fn pay<T>(&self, threads: u64, work: impl FnOnce() -> T) -> Option<T> {
        if self.spent_nanoseconds.load(Ordering::Relaxed) > self.most_nanoseconds {
            self.has_refused.store(true, Ordering::Relaxed);
            return None;
        }
        let (begun, before) = (Instant::now(), thread_nanoseconds());
        let done = work();
        let by_clock = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let taken = match (before, thread_nanoseconds()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => by_clock(),
        };
        self.spent_nanoseconds.fetch_add(taken.saturating_mul(threads), Ordering::Relaxed);
        Some(done)
    }
}

/// Time this thread has had on a processor, where the operating system tells it: waiting costs nobody anything.
fn thread_nanoseconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::Purse;

    #[test]
    fn work_empties_a_purse_and_waiting_does_not() {
        let purse = Purse::new(1_000_000, 1);
        purse.pay(1, || std::thread::sleep(Duration::from_millis(30))).unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(purse.pay(1, || 7), Some(7), "nothing was worked");
        }
        let busy = || {
            let begun = Instant::now();
            while std::hint::black_box(begun.elapsed() < Duration::from_millis(5)) {}
        };
        while purse.pay(1, busy).is_some() {
            assert!(!purse.has_refused());
        }
        assert!(purse.has_refused());
        let shared = Purse::new(1_000_000, 1);
        while shared.spent_nanoseconds.load(Ordering::Relaxed) == 0 {
            shared.pay(1000, busy);
        }
        assert_eq!(shared.pay(1, || 7), None, "a thousand threads were busy");
    }
}
