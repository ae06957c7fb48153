//! Quantiles: one sweep brackets them, Newton's method finds them without another.

use super::curve::Accuracy;
use super::poisson::{self, Reach, Reciprocals};
use super::sweep::{Segment, Sweep};
use super::{Distribution, DistributionError};

/// Newton steps at most; bisection alone needs about fifty.
const STEPS: usize = 200;

impl Distribution<'_> {
    /// The smallest time `t` with `F(t) ≥ q`, for each `q` in `[0, 1]`.
    ///
    /// 0 where `q` is at most the atom at 0; infinity where `F` never gets to `q`: for `q = 1`, and above the sum of initial
    /// probabilities under [`Start::AsGiven`](super::Start). One sweep until the largest `q` is passed, whose segments bracket
    /// every quantile; inside its segment each is found by Newton's method, safeguarded by bisection, to
    /// `|F(t) − q| ≤ 4·10⁻¹⁶` of the smaller of `F` and `1 − F`, or to neighbouring floating-point numbers. Where jumps would
    /// be too many, up to 1,024 vertices leap by powers of a dense matrix, as for [`pdf`](Self::pdf), which halve the time
    /// a quantile lies in until it is less than that of a jump; the powers' rounding moves `F` by about 1e-12 of itself.
    ///
    /// # Errors
    /// [`DistributionError::Probability`] for a `q` outside `[0, 1]`; [`DistributionError::Evaluation`] when absorption is not
    /// certain for what starts.
    pub fn quantile(&self, probabilities: &[f64]) -> Result<Vec<f64>, DistributionError> {
        if let Some(index) = probabilities.iter().position(|q| !(0.0..=1.0).contains(q)) {
            return Err(DistributionError::Probability { index, value: probabilities[index] });
        }
        let most = self.absorption_of_certain()?;
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        let mut found = vec![f64::INFINITY; probabilities.len()];
        let mut wanted = order.into_iter().filter(|&at| probabilities[at] < most).peekable();
        while let Some(at) = wanted.next_if(|&at| probabilities[at] <= self.chain.atom()) {
            found[at] = 0.0;
        }
        let mut segment = Segment::default();
        let mut root = Root::default();
        // What is alive is what will be absorbed, unless some of it is lost on a way back through the start.
        let lossy = self.defect() && !self.chain.pattern().back_forms.is_empty();
        let above = |at: usize| if lossy { f64::INFINITY } else { most - probabilities[at] };
        let mut precision = self.precision(0.0, Accuracy::OfValue);
        let tails = wanted.clone().map(|at| probabilities[at].min(above(at)));
        precision.least = tails.fold(1.0, f64::min);
        let mut sweep = Sweep::new(&self.chain, precision);
        let mut step = 16.0 / sweep.fastest_rate();
        while wanted.peek().is_some() {
            if let Some(mut leaps) = sweep.quantile_leaps(&self.chain, step) {
                for at in wanted {
                    let (below, above) = (probabilities[at], above(at));
                    let reached = |absorbed: f64, alive: f64| is_reached([absorbed, alive], below, above);
                    if !reached(sweep.absorbed, sweep.alive()) {
                        let led = sweep.leap_until(&self.chain, &mut leaps, reached, &mut segment);
                        led.map_err(|error| error.of_index(Some(at)))?;
                    }
                    found[at] = root.find(&segment, below, above);
                }
                break;
            }
            let until = sweep.now + step;
            step *= 2.0;
            let swept = sweep.advance(&self.chain, until, None, &mut segment, |segment| {
                while let Some(at) = wanted.next_if(|&at| root.lies_in(segment, probabilities[at], above(at)))
                {
                    found[at] = root.find(segment, probabilities[at], above(at));
                }
            });
            swept.map_err(|error| error.of_index(wanted.peek().copied()))?;
            if sweep.alive() == 0.0 {
                break;
            }
        }
        Ok(found)
    }

    /// What is absorbed in the end; an error if what starts may stay for ever.
    fn absorption_of_certain(&self) -> Result<f64, DistributionError> {
        self.at()?;
        if self.defect() { self.absorption() } else { Ok(self.chain.mass()) }
    }
}

/// Whether `F` has got to `below`, or what is left to `above`, whichever of the two is smaller.
fn is_reached([absorbed, alive]: [f64; 2], below: f64, above: f64) -> bool {
    if below <= above { absorbed >= below } else { alive <= above }
}

/// Roots within a segment.
#[derive(Debug, Default)]
struct Root {
    reciprocals: Reciprocals,
}

impl Root {
    /// Density, and what is absorbed and alive, at a time within a segment.
    fn values(&mut self, segment: &Segment, time: f64) -> [f64; 3] {
        let mut out = [[0.0; 3]];
        let series = [&segment.flows[..], &segment.absorbed, &segment.alive];
        let mean = [(time - segment.begin) * segment.rate];
        poisson::mix(&mean, series, Reach::Tails, &mut self.reciprocals, &mut out);
        out[0]
    }

    /// Whether `F` gets to `below`, and what is left to `above`, by the end of a segment.
    fn lies_in(&mut self, segment: &Segment, below: f64, above: f64) -> bool {
        let [_, absorbed, alive] = self.values(segment, segment.end);
        is_reached([absorbed, alive], below, above)
    }

    /// Where `F` is `below` and what is left to absorb is `above`, whichever of the two is smaller.
    ///
    /// Newton's method for `ln F` by `ln t`, where powers of `t` are straight lines, or for the logarithm of what is left by
    /// `t`, where exponentials are; a step that leaves the bracket, or is more than half the one before, is a bisection.
    fn find(&mut self, segment: &Segment, below: f64, above: f64) -> f64 {
        let (mut low, mut high) = (segment.begin, segment.end);
        let mut time = 0.5 * (low + high);
        let mut step = high - low;
        for _ in 0..STEPS {
            let [density, absorbed, alive] = self.values(segment, time);
            let (excess, newton) = if below <= above {
                let slope = time * density / absorbed;
                (absorbed - below, time * ((below / absorbed).ln() / slope).exp())
            } else {
                (above - alive, time - (above / alive).ln() * alive / density)
            };
            if excess < 0.0 {
                low = time;
            } else {
                high = time;
            }
            if excess.abs() <= 2.0 * f64::EPSILON * below.min(above) {
                return time;
            }
            let trusted = newton > low && newton < high && 2.0 * (newton - time).abs() <= step;
            let next = if trusted { newton } else { 0.5 * (low + high) };
            step = (next - time).abs();
            if step <= f64::EPSILON * time || next <= low && time <= low || high - low <= f64::EPSILON * high
            {
                return next;
            }
            time = next;
        }
        time
    }
}
