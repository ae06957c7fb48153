//! Sums of so many numbers that their rounding adds up.

use pulp::{Arch, NullaryFnOnce};

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
        add(&mut self.value, &mut self.missing, value);
    }

    /// The sum times a power of two.
    pub(super) fn times(self, power_of_two: f64) -> Self {
        Self { value: self.value * power_of_two, missing: self.missing * power_of_two }
    }

    pub(super) fn value(self) -> f64 {
        self.value
    }
}

#[inline(always)]
fn add(sum: &mut f64, missing: &mut f64, value: f64) {
    let value = value + *missing;
    let more = *sum + value;
    *missing = value - (more - *sum);
    *sum = more;
}

/// Many sums side by side, each what [`Sum`] would be, in columns, so that one instruction serves several.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    values: Vec<f64>,
    missing: Vec<f64>,
}

impl Sums {
    /// Sums of one number each.
    pub(super) fn of(values: &[f64]) -> Self {
        Self { values: values.to_vec(), missing: vec![0.0; values.len()] }
    }

    /// Adds a number to each.
    pub(super) fn add(&mut self, values: &[f64]) {
        Arch::new().dispatch(AddEach { sums: self, values });
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }
}

/// An addition as a task for the widest instruction set of the machine.
struct AddEach<'a> {
    sums: &'a mut Sums,
    values: &'a [f64],
}

impl NullaryFnOnce for AddEach<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Sums { values: sums, missing } = self.sums;
        for ((sum, missing), &value) in sums.iter_mut().zip(missing).zip(self.values) {
            add(sum, missing, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_side_by_side_are_those_alone_and_lose_nothing() {
        // A third, a fifth, … of each power of two, ten thousand times.
        let numbers: Vec<f64> = (0..37).map(|place| 2.0_f64.powi(place) / f64::from(2 * place + 3)).collect();
        let (mut sums, mut alone) =
            (Sums::of(&numbers), numbers.clone().into_iter().map(Sum::of).collect::<Vec<_>>());
        for _ in 1..10_000 {
            sums.add(&numbers);
            alone.iter_mut().zip(&numbers).for_each(|(sum, &number)| sum.add(number));
        }
        for ((&found, sum), number) in sums.values().iter().zip(alone).zip(&numbers) {
            assert_eq!(found, sum.value());
            assert!((found / (1e4 * number) - 1.0).abs() <= 2.0 * f64::EPSILON, "{number}");
        }
    }
}
