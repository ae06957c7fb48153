//! Processor time and wall-clock time.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// What a stage is timed by.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// Time of all threads of this process.
    Processor,
    Wall,
}

impl Clock {
    pub(crate) fn seconds(self) -> f64 {
        let now = clock_gettime(match self {
            Self::Processor => ClockId::ProcessCPUTime,
            Self::Wall => ClockId::Monotonic,
        });
        now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
    }

    /// Runs once; dropping the result is not timed.
    pub(crate) fn timed<T>(self, run: impl FnOnce() -> T) -> (f64, T) {
        let before = self.seconds();
        let result = black_box(run());
        (self.seconds() - before, result)
    }
}
