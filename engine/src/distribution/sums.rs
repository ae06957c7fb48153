//! Sums of so many numbers that their rounding adds up.

/// A sum with what rounding has left out of it (Kahan, Communications of the ACM 8, 1965).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    value: f64,
    missing: f64,
}

impl Sum {
    /// A sum of one number.
    pub(super) fn of(value: f64) -> Self {
        Self { value, missing: 0.0 }
    }

    pub(super) fn add(&mut self, value: f64) {
        let value = value + self.missing;
        let sum = self.value + value;
        self.missing = value - (sum - self.value);
        self.value = sum;
    }

    /// The sum times a power of two.
    pub(super) fn times(self, power_of_two: f64) -> Self {
        Self { value: self.value * power_of_two, missing: self.missing * power_of_two }
    }

    pub(super) fn value(self) -> f64 {
        self.value
    }
}
