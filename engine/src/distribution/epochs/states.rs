//! Where the process is at a time, and where it has been until then, across epochs.

use ndarray::Array2;

use super::super::curve::{Accuracy, ascending, check_finite, check_times};
use super::super::sweep::Segment;
use super::super::{DistributionError, Start};
use super::Epochs;

impl Epochs<'_> {
    /// Probability of being in each vertex at each time: a row for each time, a column for each vertex of the graph. The state
    /// `p(t)` of [`Epochs`]; one sweep by uniformization for all times, as [`curve`](Self::curve). At infinity, where the last
    /// epoch lets out all that has come to it, 0.
    ///
    /// # Errors
    /// As [`curve`](Self::curve); at infinity, also [`DistributionError::Epoch`] around
    /// [`DistributionError::Evaluation`] when absorption is not certain in the last epoch.
    pub fn stop_probability(&self, times: &[f64]) -> Result<Array2<f64>, DistributionError> {
        self.rows(times, false)
    }

    /// Expected time spent in each vertex until each time: a row for each time, a column for each vertex of the graph.
    /// `∫₀ᵗ p(u) du`; one sweep, as [`curve`](Self::curve), with a multiply-add more for each vertex and jump. See
    /// [`Distribution::accumulated_visiting_time`](crate::distribution::Distribution::accumulated_visiting_time). At infinity
    /// what comes after the last breakpoint τ is `p(τ) (−S)⁻¹` for the last epoch's `S`: one transposed solve.
    ///
    /// # Errors
    /// As [`stop_probability`](Self::stop_probability).
    pub fn accumulated_visiting_time(&self, times: &[f64]) -> Result<Array2<f64>, DistributionError> {
        self.rows(times, true)
    }

    /// Masses above 0 by position at a time, each with a small relative error, given that the process starts and is alive.
    pub(in super::super) fn alive_at(&self, time: f64) -> Result<Vec<(u32, f64)>, DistributionError> {
        check_finite(&[time])?;
        let (mut chain, mut sweep) =
            self.begin(Start::Conditional, time, Accuracy::Logarithm, f64::INFINITY)?;
        sweep.stops = Some(Vec::new());
        self.advance(&mut chain, &mut sweep, time, None, &mut Segment::default(), |_| ())?;
        let alive = sweep.alive();
        let masses = (0..).zip(sweep.p.iter().copied());
        Ok(masses
            .take(chain.len())
            .filter(|&(_, mass)| mass > 0.0)
            .map(|(at, mass)| (at, mass / alive))
            .collect())
    }

    fn rows(&self, times: &[f64], visits: bool) -> Result<Array2<f64>, DistributionError> {
        check_times(times)?;
        let horizon = times.iter().copied().filter(|time| time.is_finite()).fold(0.0, f64::max);
        let (mut chain, mut sweep) = self.begin(self.start, horizon, Accuracy::Peak, f64::INFINITY)?;
        sweep.stops = Some(Vec::new());
        let mut rows = Array2::zeros((times.len(), self.plan.vertex_count() as usize));
        let mut visited = vec![0.0; if visits { chain.len() } else { 0 }];
        let mut segment = Segment::default();
        for at in ascending(times) {
            let (at, until) = (at as usize, times[at as usize]);
            let spent = visits.then_some(&mut visited[..]);
            let swept = if until.is_finite() {
                self.advance(&mut chain, &mut sweep, until, spent, &mut segment, |_| ())
            } else {
                self.finish(&mut chain, &mut sweep, spent)
            };
            swept.map_err(|error| error.of_index(Some(at)))?;
            let found = if visits { &visited } else { &sweep.p };
            for (&vertex, &value) in chain.pattern().vertices.iter().zip(found) {
                rows[[at, vertex as usize]] = value;
            }
        }
        Ok(rows)
    }
}
