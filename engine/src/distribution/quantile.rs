//! Quantiles: one sweep brackets them, Newton's method finds them without another.

use std::iter::Peekable;

use super::chain::{Chain, DEFECT};
use super::curve::Accuracy;
use super::leaps::Leaps;
use super::poisson::{self, Reach, Reciprocals};
use super::sweep::{Segment, Sweep};
use super::{Distribution, DistributionError};

/// Newton steps at most; bisection alone needs about fifty.
const STEPS: usize = 200;
/// As close to a probability as one comes, relative to it.
const CLOSE: f64 = 2.0 * f64::EPSILON;
/// What rounding may leave of it.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

impl Distribution<'_> {
    /// The smallest time `t` with `F(t) ≥ q`, for each `q` in `[0, 1]`.
    ///
    /// 0 where `q` is at most the atom at 0; infinity where `F` never gets to `q`: for `q = 1`, and above the sum of initial
    /// probabilities under [`Start::AsGiven`](super::Start). One sweep until the largest `q` is passed, whose segments bracket
    /// every quantile; inside its segment each is found by Newton's method, safeguarded by bisection (Press et al., Numerical
    /// Recipes, third edition, 2007, section 9.4), to
    /// `|F(t) − q| ≤ 4·10⁻¹⁵` of the smaller of `F` and `1 − F`, or to neighbouring floating-point numbers. Where jumps would
    /// be too many, up to 1,024 vertices leap by powers of a dense matrix, as for [`pdf`](Self::pdf), which halve the time
    /// a quantile lies in until it is less than that of a jump; the powers' rounding moves `F` by about 1e-12 of itself. Larger
    /// models go on by the steady state that they settle in, which is looked for where a segment has more than 16,384 jumps,
    /// and held to 1e-10 of the smaller of `F` and `1 − F`, at the least of the probabilities that are asked together.
    ///
    /// # Errors
    /// [`DistributionError::Probability`] for a `q` outside `[0, 1]`; [`DistributionError::Evaluation`] when absorption is not
    /// certain for what starts; [`DistributionError::Jumps`], with the place of the `q`, when jumps are too many and no other
    /// way is shorter.
    pub fn quantile(&self, probabilities: &[f64]) -> Result<Vec<f64>, DistributionError> {
        check_probabilities(probabilities)?;
        let most = self.absorption_of_certain()?;
        // What is alive is what will be absorbed, unless some of it is lost on a way back through the start.
        let lossy = self.defect() && !self.chain.pattern().back_forms.is_empty();
        let mut search = Search::new(probabilities, self.chain.atom(), most, lossy);
        let mut sweep = Sweep::new(&self.chain, self.precision(0.0, Accuracy::Value));
        let least = search.least();
        sweep.hold_to(least);
        if least < EARLY {
            sweep.expect_early_tails();
        }
        search.go(&self.chain, &mut sweep, f64::INFINITY)?;
        Ok(search.found)
    }

    /// What is absorbed in the end; an error if what starts may stay for ever.
    pub(super) fn absorption_of_certain(&self) -> Result<f64, DistributionError> {
        self.at()?;
        if self.defect() { self.absorption() } else { Ok(self.chain.mass()) }
    }
}

/// Probabilities below this may be reached by mass that hurries.
pub(super) const EARLY: f64 = 1e-9;

/// Refuses what is no probability.
pub(super) fn check_probabilities(probabilities: &[f64]) -> Result<(), DistributionError> {
    match probabilities.iter().position(|q| !(0.0..=1.0).contains(q)) {
        Some(index) => Err(DistributionError::Probability { index, value: probabilities[index] }),
        None => Ok(()),
    }
}

/// Quantiles that are looked for in one segment after the other, the smallest first.
#[derive(Debug)]
pub(super) struct Search<'a> {
    probabilities: &'a [f64],
    most: f64,
    lossy: bool,
    /// Places of those not found yet, ascending by probability.
    wanted: Peekable<std::vec::IntoIter<usize>>,
    /// By position, the share of what is there now that will be absorbed, where some of it never is.
    shares: Option<Vec<f64>>,
    /// Infinite as long as it is not found.
    pub(super) found: Vec<f64>,
    root: Root,
}

impl<'a> Search<'a> {
    /// Of probabilities up to `most`, what is absorbed in the end: all but for rounding is 1. What is alive will be absorbed,
    /// unless it is `lossy`.
    pub(super) fn new(probabilities: &'a [f64], atom: f64, most: f64, lossy: bool) -> Self {
        let most = if (most - 1.0).abs() <= DEFECT { 1.0 } else { most };
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        order.retain(|&at| probabilities[at] < most);
        let mut found = vec![f64::INFINITY; probabilities.len()];
        let at_once = order.partition_point(|&at| probabilities[at] <= atom);
        for at in order.drain(..at_once) {
            found[at] = 0.0;
        }
        let wanted = order.into_iter().peekable();
        Self { probabilities, most, lossy, wanted, shares: None, found, root: Root::default() }
    }

    /// The place of the first that is not found yet.
    pub(super) fn first(&mut self) -> Option<usize> {
        self.wanted.peek().copied()
    }

    /// The least number whose relative error counts.
    pub(super) fn least(&self) -> f64 {
        let tails = self.wanted.clone().map(|at| self.probabilities[at].min(self.above(at)));
        tails.fold(1.0, f64::min)
    }

    fn above(&self, at: usize) -> f64 {
        if self.lossy { f64::INFINITY } else { self.most - self.probabilities[at] }
    }

    /// Of what is alive some stays for ever: no more than `most` will be absorbed, of each position this share. What is not
    /// reached by then stays infinite, and so does what is within rounding of it: only the end is known to be that late.
    pub(super) fn end_at(&mut self, most: f64, shares: Vec<f64>) {
        (self.most, self.lossy, self.shares) = (most, true, Some(shares));
        let probabilities = self.probabilities;
        let is_before = |&at: &usize| probabilities[at] < most * (1.0 - ROUNDING);
        let wanted: Vec<usize> = self.wanted.by_ref().filter(is_before).collect();
        self.wanted = wanted.into_iter().peekable();
    }

    /// Whether nothing that is left will be absorbed that rounding would show.
    fn is_over(&self, sweep: &Sweep) -> bool {
        let Some(shares) = &self.shares else { return false };
        let left: f64 = shares.iter().zip(&sweep.p).map(|(share, mass)| share * mass).sum();
        left * sweep.unit() <= f64::EPSILON * self.most
    }

    /// Finds those that lie in a segment.
    pub(super) fn look(&mut self, segment: &Segment) {
        while let Some(at) = self.first() {
            let (below, above) = (self.probabilities[at], self.above(at));
            if !self.root.lies_in(segment, below, above) {
                return;
            }
            self.found[at] = self.root.find(segment, below, above);
            self.wanted.next();
        }
    }

    /// Goes on with a sweep until all are found, nothing is left, or it is at `end`: twice as far each time, by leaps once
    /// those are shorter.
    pub(super) fn go(
        &mut self,
        chain: &Chain<'_>,
        sweep: &mut Sweep,
        end: f64,
    ) -> Result<(), DistributionError> {
        let mut segment = Segment::default();
        sweep.searched_until = Some(end);
        let mut step = 16.0 / sweep.fastest_rate();
        while let Some(first) = self.first()
            && sweep.now < end
            && sweep.alive() > 0.0
            && !self.is_over(sweep)
            && (sweep.fastest_rate() > 0.0 || end.is_finite())
        {
            let until = end.min(sweep.now + step);
            if let Some(leaps) = sweep.quantile_leaps(chain, until - sweep.now) {
                return self.leap(chain, sweep, leaps, end);
            }
            step *= 2.0;
            let swept = sweep.advance(chain, until, None, &mut segment, |segment| self.look(segment));
            swept.map_err(|error| error.of_index(Some(self.first().unwrap_or(first))))?;
        }
        Ok(())
    }

    /// Finds all others that lie before `end` by leaps, and goes there if there are later ones.
    fn leap(
        &mut self,
        chain: &Chain<'_>,
        sweep: &mut Sweep,
        mut leaps: Leaps,
        end: f64,
    ) -> Result<(), DistributionError> {
        let mut segment = Segment::default();
        while let Some(at) = self.first() {
            let (below, above) = (self.probabilities[at], self.above(at));
            let reached = |absorbed: f64, alive: f64| is_reached([absorbed, alive], below, above);
            let named = |error: DistributionError| error.of_index(Some(at));
            if end.is_finite() {
                let ahead;
                (ahead, leaps) = sweep.leapt(chain, leaps, end).map_err(named)?;
                if !reached(ahead.absorbed, ahead.alive()) {
                    *sweep = ahead;
                    return Ok(());
                }
            }
            if !reached(sweep.absorbed, sweep.alive()) {
                let leapt = sweep.leap_until(chain, &mut leaps, reached, &mut segment);
                if leapt.is_err() && self.lossy && leaps.is_at_rest(leaps.last()) {
                    // However long it goes on, no more is absorbed.
                    return Ok(());
                }
                leapt.map_err(named)?;
            }
            self.found[at] = self.root.find(&segment, below, above).min(end);
            self.wanted.next();
        }
        Ok(())
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
    /// `t`, where exponentials are; a step that leaves the bracket is a bisection, and so is one after a step that did not halve the distance.
    fn find(&mut self, segment: &Segment, below: f64, above: f64) -> f64 {
        let (mut low, mut high) = (segment.begin, segment.end);
        let mut time = 0.5 * (low + high);
        let (mut best, mut before, mut bisected) = ((f64::INFINITY, time), f64::INFINITY, true);
        for _ in 0..STEPS {
            let [density, absorbed, alive] = self.values(segment, time);
            let (late, off, newton) = if below <= above {
                let off = (below / absorbed).ln();
                (absorbed >= below, off.abs(), time * (off * absorbed / (time * density)).exp())
            } else {
                let off = (above / alive).ln();
                (alive <= above, off.abs(), time - off * alive / density)
            };
            if off < best.0 {
                best = (off, time);
            }
            if late {
                high = time;
            } else {
                low = time;
            }
            let halved = off <= 0.5 * before;
            if off <= CLOSE || off <= ROUNDING && !halved || high - low <= f64::EPSILON * high {
                break;
            }
            let trusted = newton > low && newton < high && (bisected || halved);
            (before, bisected) = (off, !trusted);
            time = if trusted { newton } else { 0.5 * (low + high) };
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use crate::graph::{GraphBuilder, Rate, START};

    /// An exponential time of rate 1 that begins in one of several vertices alike.
    fn starts(count: i32) -> crate::plan::Plan {
        let mut builder = GraphBuilder::new(1).unwrap();
        let end = builder.add_vertex(&[0]).unwrap();
        for state in 1..=count {
            let vertex = builder.add_vertex(&[state]).unwrap();
            builder.add_edge(START, vertex, Rate::Scalar(1.0 / f64::from(count))).unwrap();
            builder.add_edge(vertex, end, Rate::Coefficients(&[1.0])).unwrap();
        }
        plan(&builder.finish())
    }

    #[test]
    fn initial_probabilities_that_sum_to_one_but_for_rounding_sum_to_one() {
        for count in 1..40 {
            let plan = starts(count);
            let (alone, epochs) =
                (plan.distribution(&[1.0]).unwrap(), plan.epochs(&[0.5], &[[1.0]; 2]).unwrap());
            let asked = [1.0, 1.0 - 1e-13, 0.5];
            for found in [alone.quantile(&asked).unwrap(), epochs.quantile(&asked).unwrap()] {
                assert_eq!(found[0], f64::INFINITY, "{count}");
                for (found, asked) in found.into_iter().zip(asked).skip(1) {
                    let wanted = -(-asked).ln_1p();
                    // Of the tail that is asked for no more is known than 1 − q holds.
                    assert!((found / wanted - 1.0).abs() < 1e-14, "{count} {asked}: {found} {wanted}");
                }
            }
        }
    }
}
