//! Where the process is at a time, and where it has been until then.

use ndarray::{Array2, ArrayViewMut1, Axis};

use super::curve::{Accuracy, ascending, check_times};
use super::sweep::{Segment, Sweep};
use super::{Distribution, DistributionError};

/// What is left of the mass when a process counts as finished.
const FINISHED: f64 = 1e-20;

impl Distribution<'_> {
    /// Probability of being in each vertex at each time: a row for each time, a column for each vertex of the graph.
    ///
    /// `α e^{St}`, by uniformization (Jensen 1953); 0 for the start, for absorbing vertices and for those the start does not reach. Under
    /// [`Start::AsGiven`](super::Start) a row sums to the survival function less what never starts. One sweep for all times;
    /// see [`pdf`](Self::pdf) for its cost. The error of each probability is at most the tolerance.
    ///
    /// # Errors
    /// [`DistributionError::Time`] for a time that is negative or not a number; [`DistributionError::Jumps`], with the place of
    /// the time, when jumps are too many and no other way is shorter; at infinity, also [`DistributionError::Evaluation`]
    /// when absorption is not certain.
    pub fn stop_probability(&self, times: &[f64]) -> Result<Array2<f64>, DistributionError> {
        let mut rows = Array2::zeros((times.len(), self.chain.plan().vertex_count() as usize));
        self.each_state(times, false, |at, state, _| self.put(state, rows.index_axis_mut(Axis(0), at)))?;
        Ok(rows)
    }

    /// Expected time spent in each vertex until each time: a row for each time, a column for each vertex of the graph.
    ///
    /// `∫₀ᵗ α e^{Su} du`: `Σ_k p_k P(more than k jumps) / λ` over the states after `k` jumps of the uniformized process (Reibman
    /// and Trivedi, Stochastic Models 5, 1989). One sweep for all times, with a multiply-add more for each vertex and jump. At
    /// infinity these are the sojourn times, times the probability to start under
    /// [`Start::AsGiven`](super::Start). Unlike phasic's, the sum has no extra step at time 0.
    ///
    /// The error of each time is at most the tolerance times `t`: probabilities that have settled are taken for settled.
    ///
    /// # Errors
    /// As [`stop_probability`](Self::stop_probability).
    pub fn accumulated_visiting_time(&self, times: &[f64]) -> Result<Array2<f64>, DistributionError> {
        let mut rows = Array2::zeros((times.len(), self.chain.plan().vertex_count() as usize));
        self.each_state(times, true, |at, _, visited| self.put(visited, rows.index_axis_mut(Axis(0), at)))?;
        Ok(rows)
    }

    fn put(&self, by_position: &[f64], mut row: ArrayViewMut1<'_, f64>) {
        for (&vertex, &value) in self.chain.pattern().vertices.iter().zip(by_position) {
            row[vertex as usize] = value;
        }
    }

    /// Shows the state at each time, earliest first, and the time spent until then.
    fn each_state(
        &self,
        times: &[f64],
        visits: bool,
        mut show: impl FnMut(usize, &[f64], &[f64]),
    ) -> Result<(), DistributionError> {
        check_times(times)?;
        if times.contains(&f64::INFINITY) {
            self.at()?;
        }
        let horizon = times.iter().copied().filter(|time| time.is_finite()).fold(0.0, f64::max);
        let mut sweep = Sweep::new(&self.chain, self.precision(horizon, Accuracy::Peak));
        sweep.stops = Some(Vec::new());
        let mut segment = Segment::default();
        let mut visited = vec![0.0; if visits { self.chain.len() } else { 0 }];
        for at in ascending(times) {
            let time = times[at as usize];
            if time.is_finite() {
                let visited = visits.then_some(&mut visited[..]);
                let swept = sweep.advance(&self.chain, time, visited, &mut segment, |_| ());
                swept.map_err(|error| error.of_index(Some(at as usize)))?;
            } else {
                self.finish(&mut sweep, &mut visited).map_err(|error| error.of_index(Some(at as usize)))?;
            }
            show(at as usize, &sweep.p, &visited);
        }
        Ok(())
    }

    /// Goes on to infinity: nothing is left, and what was visited are the sojourn times.
    fn finish(&self, sweep: &mut Sweep, visited: &mut [f64]) -> Result<(), DistributionError> {
        let chain = &self.chain;
        let whole = !self.defect() && chain.surplus() <= 1.0 + 1e-14;
        if visited.is_empty() || whole || chain.pattern().back_forms.is_empty() {
            let sojourn = self.at()?.sojourn_times();
            for (slot, &vertex) in visited.iter_mut().zip(&chain.pattern().vertices) {
                *slot = chain.mass() * sojourn[vertex as usize];
            }
            sweep.p.fill(0.0);
            return Ok(());
        }
        // On a way back through the start some is lost, which sojourn times know nothing of.
        let (mut step, mut segment) = (sweep.now.max(1.0 / sweep.fastest_rate()), Segment::default());
        while sweep.alive() > FINISHED {
            let until = sweep.now + step;
            sweep.advance(chain, until, Some(&mut *visited), &mut segment, |_| ())?;
            step *= 2.0;
        }
        sweep.p.fill(0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::closed_forms::graph;
    use super::super::tests::{erlang, plan};

    #[test]
    fn visits_keep_their_digits_where_jumps_are_hardly_ever_made() {
        let one = plan(&erlang(1));
        let epochs = one.epochs(&[1e-17, 1e-13], &[[1.0]; 3]).unwrap();
        for time in [1e-300, 1e-18, 1e-16, 1e-12, 1e-8, 1e-3, 0.5, 40.0_f64] {
            let wanted = -(-time).exp_m1();
            let alone = one.distribution(&[1.0]).unwrap().accumulated_visiting_time(&[time]).unwrap()[[0, 1]];
            let across = epochs.accumulated_visiting_time(&[time]).unwrap()[[0, 1]];
            for found in [alone, across] {
                assert!((found / wanted - 1.0).abs() < 1e-14, "{time:e}: {found:e} {wanted:e}");
            }
        }
    }

    #[test]
    fn visits_are_counted_where_rates_fall_to_next_to_nothing() {
        let plan = plan(&graph(3, 1, &[(1, 2, vec![1e3]), (2, 3, vec![1e-9])]));
        let distribution = plan.distribution(&[1.0]).unwrap();
        for time in [0.1, 10.0, 1e4, 1e8, 1e12_f64] {
            let row = distribution.accumulated_visiting_time(&[time]).unwrap();
            let [first, second] = [1e3, 1e-9].map(|rate| -(-rate * time).exp_m1() / rate);
            let wanted = 1e3 / (1e3 - 1e-9) * (second - first);
            assert!((row[[0, 1]] / first - 1.0).abs() < 1e-13, "{time}: {row} {first}");
            assert!((row[[0, 2]] / wanted - 1.0).abs() < 1e-13, "{time}: {row} {wanted}");
        }
    }
}
