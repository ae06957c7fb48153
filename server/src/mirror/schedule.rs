//! When the next pass is due. Pure, but for chance.

use std::time::Duration;

/// The shortest pause after a failure, where the interval is not shorter.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// Longer is not waited, whatever an upstream asks for.
const LONGEST: Duration = Duration::from_hours(24);

/// Moments are stored a little coarser than they are reckoned with.
const ROUNDING: f64 = 1.0;

/// The rhythm of one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    interval: Duration,
}

impl Timing {
    /// A pass every so often.
    pub const fn of(interval: Duration) -> Self {
        Self { interval }
    }

    /// Seconds until the next pass after one that went well.
    pub fn usual(self) -> f64 {
        self.usual_with(chance())
    }

    /// Seconds until the next pass when somebody asks to wait so long, and there is no reason to wait longer.
    pub fn asked(seconds: f64) -> f64 {
        seconds.clamp(1.0, LONGEST.as_secs_f64())
    }

    /// Seconds until the next pass after one that failed, like so many before it. What upstream asks for goes first.
    pub fn after_failure(self, failures_before: u32, asked: Option<f64>) -> f64 {
        self.after_failure_with(failures_before, asked, chance())
    }

    /// Seconds until a pass that is due in so many, while the upstream wants to be left alone for `wait`. A moment nobody can
    /// have meant is over: the clock has been set back since, or the interval was longer then.
    pub fn due(self, seconds: f64, wait: f64) -> f64 {
        let wait = if Self::is_ahead(wait) { wait } else { wait.min(0.0) };
        let latest = self.usual_with(1.0).max(wait);
        if seconds > latest + ROUNDING { wait } else { seconds }
    }

    /// Whether a moment in so many seconds is still to come, and can have been meant.
    pub fn is_ahead(seconds: f64) -> bool {
        seconds > 0.0 && seconds <= LONGEST.as_secs_f64() + ROUNDING
    }

    fn usual_with(self, chance: f64) -> f64 {
        a_little_more(self.interval, chance)
    }

    fn after_failure_with(self, failures_before: u32, asked: Option<f64>, chance: f64) -> f64 {
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures_before.min(16));
        let pause = a_little_more(doubled.min(self.interval), chance);
        asked.map_or(pause, |asked| asked.min(LONGEST.as_secs_f64()).max(pause))
    }
}

/// Up to a tenth more.
fn a_little_more(pause: Duration, chance: f64) -> f64 {
    let seconds = pause.as_secs_f64();
    seconds + seconds * chance / 10.0
}

/// A number from 0 to 1, so that a thousand hubs do not ask at the same moment.
fn chance() -> f64 {
    let mut bytes = [0; 2];
    // Without chance it is still a rhythm.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Timing;

    #[test]
    fn pauses_double_up_to_the_interval_and_no_upstream_is_asked_before_it_wants_to_be() {
        let hourly = Timing::of(Duration::from_hours(1));
        let pauses: Vec<_> = (0..8).map(|before| hourly.after_failure_with(before, None, 0.0)).collect();
        assert_eq!(pauses, [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]);
        assert_eq!(hourly.after_failure_with(u32::MAX, None, 1.0), 3960.0);
        assert_eq!(hourly.after_failure_with(0, Some(900.0), 0.5), 900.0);
        assert_eq!(hourly.after_failure_with(0, Some(1.0), 0.0), 60.0, "nor sooner than we would");
        assert_eq!(hourly.after_failure_with(0, Some(1e18), 0.0), 86_400.0, "absurd");
        assert_eq!(hourly.after_failure_with(0, Some(f64::INFINITY), 0.0), 86_400.0);
        let quick = Timing::of(Duration::from_millis(50));
        assert_eq!(quick.after_failure_with(9, None, 0.0), 0.05);
        assert_eq!((hourly.usual_with(0.0), hourly.usual_with(1.0)), (3600.0, 3960.0));
        assert!((3600.0..=3960.0).contains(&hourly.usual()));
    }

    #[test]
    fn a_moment_nobody_can_have_meant_is_over() {
        let hourly = Timing::of(Duration::from_hours(1));
        for (seconds, wait, due) in [
            (3960.0, -5.0, 3960.0),
            (-7.0, -5.0, -7.0),
            // An interval of a week, before; or a clock that was a year ahead.
            (600_000.0, -5.0, -5.0),
            (3e7, 3e7, 0.0),
            // What upstream asks for.
            (86_400.0, 86_400.0, 86_400.0),
            (3e7, 7200.0, 7200.0),
        ] {
            assert_eq!(hourly.due(seconds, wait), due, "{seconds} {wait}");
        }
    }
}
