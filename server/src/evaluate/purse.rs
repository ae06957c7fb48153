//! What a question really takes, held against what it may.
//!
//! Work is estimated before it is begun, in plain multiply-adds. But where digits cancel or numbers leave their range, the
//! engine works them out once more in an arithmetic that takes up to sixty times as long, which nobody knows before. So
//! the processor time of answers is measured, also on the way to an answer that has many parts, and a question that has used up
//! many times its estimate ends.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time that a multiply-add may take: several times what it does in eliminations and sweeps of plain numbers.
const NANOSECONDS_OF_MULTIPLY_ADD: u64 = 4;

/// Time beside these for each θ: what there is to do however small the model.
const NANOSECONDS_OF_THETA: u64 = 1_000_000;

/// How often work on one answer is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

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

    /// Nanoseconds that were taken out.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u64 {
        self.spent_nanoseconds.load(Ordering::Relaxed)
    }

    /// Whether all is used up, so that some work is not done.
    fn is_empty(&self) -> bool {
        let is_empty = self.spent_nanoseconds.load(Ordering::Relaxed) > self.most_nanoseconds;
        if is_empty {
            self.has_refused.store(true, Ordering::Relaxed);
        }
        is_empty
    }

    /// Whether some work was not done because all was used up.
    pub(super) fn has_refused(&self) -> bool {
        self.has_refused.load(Ordering::Relaxed)
    }

    /// For work that keeps so many threads busy, this one among them.
    pub(super) fn bill(&self, threads: u64) -> Bill<'_> {
        Bill { purse: self, threads, begun: Cell::new(None) }
    }
}

/// What some work on this thread takes out of a purse.
#[derive(Debug)]
pub(super) struct Bill<'p> {
    purse: &'p Purse,
    threads: u64,
    /// When the work began or was last looked at, and the time that this thread had had by then; `None` while there is none.
    begun: Cell<Option<(Instant, Option<u64>)>>,
}

impl Bill<'_> {
    /// Does some work and takes its time out of the purse; `None` where the purse is empty.
    pub(super) fn pay<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        if self.purse.is_empty() {
            return None;
        }
        self.begun.set(Some((Instant::now(), thread_nanoseconds())));
        let done = work();
        self.take();
        self.begun.set(None);
        Some(done)
    }

    /// Whether the work that is being paid for may go on. Asked as often as one likes.
    pub(super) fn go_on(&self) -> bool {
        match self.begun.get() {
            Some((begun, _)) if begun.elapsed() >= BETWEEN_LOOKS => {
                self.take();
                !self.purse.is_empty()
            }
            _ => true,
        }
    }

    /// Takes out what the work has taken since it began or was last looked at.
    fn take(&self) {
        let Some((begun, before)) = self.begun.get() else { return };
        let (now, after) = (Instant::now(), thread_nanoseconds());
        let taken = match (before, after) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => u64::try_from((now - begun).as_nanos()).unwrap_or(u64::MAX),
        };
        self.purse.spent_nanoseconds.fetch_add(taken.saturating_mul(self.threads), Ordering::Relaxed);
        self.begun.set(Some((now, after)));
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
        let bill = purse.bill(1);
        bill.pay(|| std::thread::sleep(Duration::from_millis(30))).unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(bill.pay(|| 7), Some(7), "nothing was worked");
        }
        while bill.pay(busy).is_some() {
            assert!(!purse.has_refused());
        }
        assert!(purse.has_refused());
        let shared = Purse::new(1_000_000, 1);
        while shared.spent_nanoseconds.load(Ordering::Relaxed) == 0 {
            shared.bill(1000).pay(busy);
        }
        assert_eq!(shared.bill(1).pay(|| 7), None, "a thousand threads were busy");
    }

    #[test]
    fn work_on_one_answer_is_told_when_the_purse_is_empty() {
        // A hundredth of a second.
        let purse = Purse::new(2_250_000, 1);
        let bill = purse.bill(1);
        assert!(bill.go_on(), "there is no work yet");
        let begun = Instant::now();
        let rounds = bill.pay(|| {
            let mut rounds = 1;
            busy();
            while bill.go_on() && begun.elapsed() < Duration::from_mins(1) {
                busy();
                rounds += 1;
            }
            rounds
        });
        assert!(rounds.is_some_and(|rounds| rounds > 1) && purse.has_refused());
        let spent = Duration::from_nanos(purse.spent_nanoseconds.load(Ordering::Relaxed));
        assert!(spent <= begun.elapsed(), "nothing is paid twice: {spent:?}");
        assert_eq!(bill.pay(|| 7), None);
    }

    fn busy() {
        let begun = Instant::now();
        while std::hint::black_box(begun.elapsed() < Duration::from_millis(5)) {}
    }
}
