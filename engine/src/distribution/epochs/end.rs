//! What becomes of a process across epochs in the end.

use super::super::DistributionError;
use super::super::chain::Chain;
use super::super::error::of_epoch;
use super::super::sweep::{Segment, Sweep, in_ones};
use super::Epochs;
use crate::plan::At;

impl<'p> Epochs<'p> {
    /// What is absorbed in the end of what a sweep has reached, and what never is; the sweep goes on to the last breakpoint,
    /// if it is not there yet.
    pub(super) fn in_the_end(
        &self,
        chain: &mut Chain<'p>,
        sweep: &mut Sweep,
    ) -> Result<[f64; 2], DistributionError> {
        let begin = self.breakpoints.last().copied().unwrap_or(0.0);
        if sweep.now < begin {
            self.advance(chain, sweep, begin, None, &mut Segment::default(), |_| ())?;
        }
        let last = self.thetas.len() - 1;
        let lossy = chain.kept_back() > 0.0 && !chain.pattern().back_forms.is_empty();
        let is_sure = |at: &At<'_>| lets_all_out(at, chain, sweep);
        if !lossy && self.plan.at(&self.thetas[last]).is_ok_and(|at| is_sure(&at)) {
            return Ok([sweep.absorbed + in_ones(sweep.alive(), sweep.exponent), 0.0]);
        }
        let (mut absorbed, mut alive) = (sweep.absorbed, 0.0);
        for (share, &mass) in self.shares_in_the_end(chain)?.into_iter().zip(&sweep.p) {
            let mass = in_ones(mass, sweep.exponent);
            absorbed += mass * share;
            alive += mass * (1.0 - share);
        }
        Ok([absorbed, alive])
    }

    /// By position, the share of what is there in the last epoch that will be absorbed.
    pub(super) fn shares_in_the_end(&self, chain: &Chain<'_>) -> Result<Vec<f64>, DistributionError> {
        let last = self.thetas.len() - 1;
        let resolvent = self.plan.resolvent(&self.thetas[last]);
        let shares = resolvent.map_err(of_epoch(last))?.absorption(chain.kept_back());
        Ok(chain.pattern().vertices.iter().map(|&vertex| shares[vertex as usize]).collect())
    }
}

/// What is left of the mass when a process counts as finished.
const FINISHED: f64 = 1e-20;

impl<'p> Epochs<'p> {
    /// Goes on to infinity: nothing is left. `visited` collects `∫ p dt`.
    ///
    /// # Errors
    /// When some of it is left for ever.
    pub(super) fn finish(
        &self,
        chain: &mut Chain<'p>,
        sweep: &mut Sweep,
        mut visited: Option<&mut [f64]>,
    ) -> Result<(), DistributionError> {
        let mut segment = Segment::default();
        let begin = self.breakpoints.last().copied().unwrap_or(0.0);
        if sweep.now < begin {
            self.advance(chain, sweep, begin, visited.as_deref_mut(), &mut segment, |_| ())?;
        }
        let last = self.thetas.len() - 1;
        let at = self.plan.at(&self.thetas[last]).map_err(of_epoch(last))?;
        let masses = sweep.p.iter().map(|&mass| in_ones(mass, sweep.exponent));
        let held = chain.pattern().vertices.iter().copied().zip(masses);
        let times = at.sojourn_times_from(held).map_err(of_epoch(last))?;
        let lossy = chain.kept_back() > 0.0 && !chain.pattern().back_forms.is_empty();
        match visited {
            // On a way back through the start some is lost, which sojourn times know nothing of.
            Some(visited) if lossy => {
                let mut step = sweep.now.max(1.0 / sweep.fastest_rate());
                while sweep.alive() > FINISHED {
                    let until = sweep.now + step;
                    self.advance(chain, sweep, until, Some(&mut *visited), &mut segment, |_| ())?;
                    step *= 2.0;
                }
            }
            Some(visited) => {
                let vertices = &chain.pattern().vertices;
                visited.iter_mut().zip(vertices).for_each(|(slot, &vertex)| *slot += times[vertex as usize]);
            }
            None => {}
        }
        sweep.p.fill(0.0);
        Ok(())
    }
}

/// Whether all mass of a sweep will be absorbed at a θ. It may have come to where that θ lets nothing out, though it leads
/// nothing there from the start.
pub(super) fn lets_all_out(at: &At<'_>, chain: &Chain<'_>, sweep: &Sweep) -> bool {
    let times = at.waiting_times();
    let mut here = chain.pattern().vertices.iter().zip(&sweep.p);
    here.all(|(&vertex, &mass)| mass == 0.0 || !times[vertex as usize].is_infinite())
}

#[cfg(test)]
mod tests {
    use super::super::super::DistributionError;
    use super::super::super::tests::{cycle, plan};
    use super::super::tests::THETAS;
    use crate::graph::{GraphBuilder, Rate, START};
    use crate::plan::{EvaluationError, Plan};

    /// A defective start, with a way back to it on which some is lost.
    fn lossy() -> Plan {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        builder.add_edge(START, on, Rate::Scalar(0.5)).unwrap();
        builder.add_edge(on, START, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(on, off, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        plan(&builder.finish())
    }

    #[test]
    fn functions_at_infinity_are_those_of_what_is_absorbed_in_the_end() {
        let plan = plan(&cycle());
        let times = [f64::INFINITY, 0.3, f64::INFINITY, 2.0];
        for breakpoint in [0.8, 0.3, 5.0] {
            let curve = plan.epochs(&[breakpoint], &THETAS).unwrap().curve(&times).unwrap();
            assert_eq!((curve.pdf[0], curve.survival[2]), (0.0, 0.0));
            assert!((curve.cdf[0] - 1.0).abs() < 1e-13 && curve.cdf[0] == curve.cdf[2], "{curve:?}");
            assert!(curve.cdf[1] < curve.cdf[3] && curve.cdf[3] < 1.0);
        }
        // Without exits in the last epoch nothing more is absorbed.
        let closed = plan.epochs(&[0.8], &[[1.0, 1.0], [1.0, 0.0]]).unwrap();
        let curve = closed.curve(&[0.8, f64::INFINITY]).unwrap();
        assert!(
            (curve.cdf[1] - curve.cdf[0]).abs() < 1e-14
                && (curve.survival[1] - curve.survival[0]).abs() < 1e-14
        );
        let none = closed.survival(&[f64::INFINITY]).unwrap()[0];
        assert!((none / curve.survival[0] - 1.0).abs() < 1e-12, "{none}");
        let lossy = lossy();
        let epochs = lossy.epochs(&[0.5], &[[1.0, 1.0], [3.0, 0.5]]).unwrap();
        let curve = epochs.curve(&[f64::INFINITY, 300.0]).unwrap();
        assert!(
            (curve.cdf[0] - curve.cdf[1]).abs() < 1e-12
                && (curve.survival[0] - curve.survival[1]).abs() < 1e-12
        );
        // α e^−1.5t until 1/2 of what is left at rate 1/2 + 1: e^(−3/4) · 1/2 · 1/4 after that.
        let before = 0.5 * (1.0 - (-0.75_f64).exp()) / 1.5;
        let after = 0.5 * (-0.75_f64).exp() * 0.5 / 2.0;
        assert!((curve.cdf[0] - before - after).abs() < 1e-12, "{curve:?} {}", before + after);
        let refused = epochs.cdf(&[0.5, f64::NAN]).unwrap_err();
        assert!(matches!(refused, DistributionError::Time { index: 1, .. }), "{refused:?}");
    }

    #[test]
    fn states_at_infinity_are_empty_and_times_until_then_those_of_all_epochs() {
        let plan = plan(&cycle());
        for breakpoint in [0.8, 0.3, 5.0] {
            let epochs = plan.epochs(&[breakpoint], &THETAS).unwrap();
            let times = [f64::INFINITY, 0.4, 200.0, f64::INFINITY];
            let states = epochs.stop_probability(&times).unwrap();
            assert!(states.row(0).iter().chain(states.row(3)).all(|&mass| mass == 0.0), "{states}");
            assert_eq!(states[[1, 1]], epochs.stop_probability(&[0.4]).unwrap()[[0, 1]]);
            let visited = epochs.accumulated_visiting_time(&times).unwrap();
            for vertex in 0..4 {
                let mut rewards = [0.0; 4];
                rewards[vertex] = 1.0;
                let wanted = epochs.reward_expectation(&rewards).unwrap();
                assert!((visited[[0, vertex]] - wanted).abs() <= 1e-12 * wanted, "{visited} {wanted}");
                assert!((visited[[2, vertex]] - wanted).abs() <= 1e-10 * wanted, "{visited} {wanted}");
                assert_eq!(visited[[0, vertex]], visited[[3, vertex]]);
            }
            let only = epochs.accumulated_visiting_time(&[f64::INFINITY]).unwrap();
            assert!((&only.row(0) - &visited.row(0)).iter().all(|off| off.abs() < 1e-12), "{only} {visited}");
        }
        let refused = plan.epochs(&[0.8], &THETAS).unwrap().stop_probability(&[0.5, -1.0]).unwrap_err();
        assert!(matches!(refused, DistributionError::Time { index: 1, .. }), "{refused:?}");
    }

    #[test]
    fn states_at_infinity_are_refused_where_mass_is_left_for_ever() {
        let edges = [(1, 2, vec![1.0, 0.0, 0.0]), (1, 3, vec![0.0, 1.0, 0.0]), (2, 3, vec![0.0, 0.0, 1.0])];
        let plan = plan(&super::super::super::closed_forms::graph(3, 1, &edges));
        let epochs = plan.epochs(&[1.0], &[[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]).unwrap();
        for refused in [
            epochs.stop_probability(&[0.5, f64::INFINITY]).unwrap_err(),
            epochs.accumulated_visiting_time(&[f64::INFINITY]).unwrap_err(),
        ] {
            let DistributionError::Epoch { epoch: 1, error } = refused else { panic!("{refused:?}") };
            assert!(
                matches!(*error, DistributionError::Evaluation(EvaluationError::Trapped { vertex: 2, .. })),
                "{error:?}"
            );
        }
        // With a way back on which some is lost: ∫ e^−1.5t / 2 until 1/2, and then e^−2t of what is left.
        let lossy = lossy();
        let epochs = lossy.epochs(&[0.5], &[[1.0, 1.0], [3.0, 0.5]]).unwrap();
        let left = (-0.75_f64).exp();
        let wanted = 0.5 * ((1.0 - left) / 1.5 + left / 2.0);
        let visited = epochs.accumulated_visiting_time(&[f64::INFINITY]).unwrap();
        assert!((visited[[0, 1]] / wanted - 1.0).abs() < 1e-12, "{visited} {wanted}");
    }

    #[test]
    fn mass_that_the_last_epoch_never_lets_out_is_never_absorbed() {
        // To 2 or to the end, and from 2 to the end; later no longer to 2, nor from it.
        let edges = [(1, 2, vec![1.0, 0.0, 0.0]), (1, 3, vec![0.0, 1.0, 0.0]), (2, 3, vec![0.0, 0.0, 1.0])];
        let plan = plan(&super::super::super::closed_forms::graph(3, 1, &edges));
        let epochs = plan.epochs(&[1.0], &[[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]).unwrap();
        let trapped = (-1.0_f64).exp() - (-2.0_f64).exp();
        for (time, found) in
            [1e6, f64::INFINITY].into_iter().zip(epochs.curve(&[1e6, f64::INFINITY]).unwrap().cdf)
        {
            assert!((found - (1.0 - trapped)).abs() < 1e-15, "{time}: {found}");
        }
        let survival = epochs.survival(&[f64::INFINITY]).unwrap()[0];
        assert!((survival / trapped - 1.0).abs() < 1e-14, "{survival}");
        let found = epochs.quantile(&[0.9, 0.5, 0.76, 1.0 - trapped + 1e-9, 1.0]).unwrap();
        assert_eq!([found[0], found[3], found[4]], [f64::INFINITY; 3]);
        let reached = epochs.cdf(&[found[1], found[2]]).unwrap();
        assert!(
            (reached[0] - 0.5).abs() < 1e-13 && (reached[1] - 0.76).abs() < 1e-13,
            "{reached:?} at {found:?}"
        );
    }

    /// Out, or for ever to and fro between 2 and 4 once the last epoch has begun.
    #[test]
    fn quantiles_about_all_that_a_cycle_lets_out_are_found_or_infinite() {
        let edges = [
            (1, 2, vec![1.0, 0.0, 0.0]),
            (1, 3, vec![0.0, 1.0, 0.0]),
            (2, 4, vec![1.0, 0.0, 1.0]),
            (4, 2, vec![0.5, 0.0, 1.0]),
            (2, 3, vec![1.0, 0.0, 0.0]),
        ];
        let plan = plan(&super::super::super::closed_forms::graph(4, 1, &edges));
        for fast in [3.0, 3e5, 3e10] {
            let epochs = plan.epochs(&[1.0], &[[0.7, 1.0, 0.5], [0.0, 1.0, fast]]).unwrap();
            let epochs = epochs.with_jump_limit(20_000_000);
            let most = epochs.cdf(&[f64::INFINITY]).unwrap()[0];
            assert!(most < 0.9);
            let shares: Vec<f64> = (0..40)
                .map(|step| most * (1.0 - f64::from(step) * f64::EPSILON))
                .chain([1e-14, 1e-13, 1e-12, 1e-9, 1e-6, 0.1].map(|less| most * (1.0 - less)))
                .collect();
            let found = epochs.quantile(&shares).unwrap();
            // Of what is within rounding only that much is known.
            assert!(
                found.is_sorted_by(|one, next| one.is_infinite() || next.is_finite()),
                "{fast:e}: {found:?}"
            );
            assert!(found[40..].is_sorted_by(|later, earlier| later >= earlier), "{fast:e}: {found:?}");
            assert_eq!((found[0], found[1]), (f64::INFINITY, f64::INFINITY));
            for (&share, &time) in shares.iter().zip(&found).filter(|(_, time)| time.is_finite()) {
                let reached = epochs.cdf(&[time]).unwrap()[0];
                assert!((reached / share - 1.0).abs() < 1e-11, "{fast:e} {share}: {reached} at {time}");
            }
            assert!(found[43..].iter().all(|time| time.is_finite()), "{fast:e}: {found:?}");
        }
    }
}
