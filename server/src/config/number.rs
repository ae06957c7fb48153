//! Whole numbers that are known to lie in a range, so that no setting can panic, hang or be silently another one.
//!
//! Which setting has which range is written where the settings are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A whole number from `MIN`, which is not negative, to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub struct Whole<const MIN: i64, const MAX: i64>(i64);

/// A duration in whole milliseconds, from one of them to a day.
pub type Millis = Whole<1, 86_400_000>;

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// The number `N`. Whether it is in range is found out at compile time.
    pub(super) const fn of<const N: i64>() -> Self {
        const { assert!(0 <= MIN && MIN <= N && N <= MAX) };
        Self(N)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.cast_unsigned()
    }

    /// The number as a count of things in memory; cut to what this machine can count.
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Millis {
    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.get())
    }
}

impl<const MIN: i64, const MAX: i64> From<Whole<MIN, MAX>> for i64 {
    fn from(number: Whole<MIN, MAX>) -> Self {
        number.0
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<i64> for Whole<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is out of range: it must be from {MIN} to {MAX}"))
        }
    }
}
