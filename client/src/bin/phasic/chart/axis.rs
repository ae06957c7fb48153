//! An axis: its range, and round numbers on it.

/// From where to where, and what is written along it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
    decimals: usize,
}

impl Axis {
    /// An axis over `low` to `high` with about `count` round ticks; it ends at ticks if `round` says so.
    pub(super) fn new(low: f64, high: f64, count: usize, round: bool) -> Self {
        // A single value, or none, still needs an axis; values so near to each other are one, for steps between them would be
        // lost beside them.
        let largest = low.abs().max(high.abs());
        let (low, high) = match (low.is_finite() && high.is_finite(), high - low > 1e-12 * largest) {
            (true, true) => (low, high),
            (true, false) => (low, low + if low == 0.0 { 1.0 } else { low.abs() }),
            _ => (0.0, 1.0),
        };
        let step = round_step((high - low) / count.max(1) as f64);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let (low, high) = if round { (first * step, last * step) } else { (low, high) };
        let mut ticks = Vec::new();
        let mut at = first;
        while at <= last && ticks.len() <= 4 * count {
            let tick = at * step;
            // What is left of a step after rounding is not outside.
            if tick >= low - 1e-9 * step && tick <= high + 1e-9 * step {
                ticks.push(tick);
            }
            at += 1.0;
        }
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 12")]
        let decimals = decimals as usize;
        Self { low, high, ticks, decimals }
    }

    /// Where a value lies, from 0 at the low end to 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// A tick as text.
    pub(super) fn label(&self, tick: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        if tick == 0.0 {
            "0".to_owned()
        } else if !(1e-4..1e6).contains(&largest) {
            format!("{:e}", format!("{tick:.3e}").parse().unwrap_or(tick))
        } else {
            format!("{tick:.*}", self.decimals)
        }
    }
}

/// The next of 1, 2, 5, 10, … times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, round: bool) -> Vec<String> {
        let axis = Axis::new(low, high, 5, round);
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_numbers_with_as_many_decimals_as_they_need() {
        assert_eq!(labels(0.0, 10.0, false), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(0.0, 0.43, true), ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(0.3, 1.0, false), ["0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-1.0, 1.0, false), ["-1.0", "-0.5", "0", "0.5", "1.0"]);
        assert_eq!(labels(0.0, 3e-7, true), ["0", "1e-7", "2e-7", "3e-7"]);
        assert_eq!(labels(0.0, 2e8, false), ["0", "5e7", "1e8", "1.5e8", "2e8"]);
    }

    #[test]
    fn a_single_value_or_none_still_has_an_axis() {
        let next = 1.0 + f64::EPSILON;
        for (low, high) in [
            (2.0, 2.0),
            (0.0, 0.0),
            (f64::INFINITY, f64::NEG_INFINITY),
            (-3.0, -3.0),
            (1.0, next),
            (1e6, 1e6 * next),
        ] {
            let axis = Axis::new(low, high, 5, true);
            assert!(axis.high > axis.low && axis.ticks.len() >= 2, "{axis:?}");
        }
    }
}
