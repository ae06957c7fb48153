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
        let resolvent = self.plan.resolvent(&self.thetas[last]);
        let ends = resolvent.map_err(of_epoch(last))?.absorption(chain.kept_back());
        let here = chain.pattern().vertices.iter().zip(&sweep.p);
        let (mut absorbed, mut alive) = (sweep.absorbed, 0.0);
        for (&vertex, &mass) in here {
            let (mass, share) = (in_ones(mass, sweep.exponent), ends[vertex as usize]);
            absorbed += mass * share;
            alive += mass * (1.0 - share);
        }
        Ok([absorbed, alive])
    }
}

/// Whether all mass of a sweep will be absorbed at a θ. It may have come to where that θ lets nothing out, though it leads
/// nothing there from the start.
pub(super) fn lets_all_out(at: &At<'_>, chain: &Chain<'_>, sweep: &Sweep) -> bool {
    let times = at.waiting_times();
    let mut here = chain.pattern().vertices.iter().zip(&sweep.p);
    here.all(|(&vertex, &mass)| mass == 0.0 || !times[vertex as usize].is_infinite())
}
