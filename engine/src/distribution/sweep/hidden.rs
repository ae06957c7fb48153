//! What rates of next to nothing hide: vertices that no mass gets to, and whose slopes count all the same.
//!
//! The slope by a rate from `v` to `w` is `Σ p(v) z(w)`, whatever the rate is: with a rate of 0 there is no mass at `w`, and
//! `z(w)`, what mass there would come to, may be larger than anything else. Where a rate `r` is not that small, what is dropped
//! as nothing beside the numbers asked for is nothing beside `r` times that slope, either.

use super::super::chain::Chain;
use super::Sweep;

/// Rates of less than this within all the time there is hide what they lead to.
const HIDING: f64 = 1e-9;

impl Sweep {
    /// Keeps all positions that rates of next to nothing lead to in any of the processes that this sweep goes through, until
    /// the horizon: they have part in every jump.
    ///
    /// One pass over the edges, and where there are such rates another one for each parameter.
    pub(in super::super) fn keep_what_is_hidden(&mut self, chains: &[Chain<'_>], horizon: f64) {
        let last = chains.iter().filter_map(|chain| last_hidden(chain, self.active.end, horizon)).max();
        let (Some(last), Some(chain)) = (last, chains.first()) else { return };
        // Whatever is reached from there is below the next cut.
        self.kept = first_cut(chain, last as usize + 1);
        self.active.start = 0;
        self.reach = 0;
    }
}

/// The last position that is led to by a rate of next to nothing that may be another at another θ, from those below `end`.
fn last_hidden(chain: &Chain<'_>, end: usize, horizon: f64) -> Option<u32> {
    let out = &chain.pattern().out;
    let edges = out.start[end] as usize;
    let is_hiding = |entry: usize| chain.rates()[entry] * horizon < HIDING;
    if !(0..edges).any(is_hiding) {
        return None;
    }
    let slopes = (0..chain.plan().param_length()).map(|parameter| chain.slope(parameter).rates);
    let last = slopes.filter_map(|slopes| {
        let hiding = (0..edges).filter(|&entry| slopes[entry] != 0.0 && is_hiding(entry));
        hiding.map(|entry| out.items[entry]).max()
    });
    last.max()
}

/// The first number of positions, from `at` on, that edges from below do not pass.
pub(super) fn first_cut(chain: &Chain<'_>, at: usize) -> usize {
    let cut_below = &chain.pattern().cut_below;
    (at..chain.len()).find(|&at| cut_below[at + 1] as usize == at).unwrap_or(chain.len())
}

/// The lowest position that each position leads to, itself included.
pub(super) fn lowest_targets(chain: &Chain<'_>) -> Vec<u32> {
    let out = &chain.pattern().out;
    let lowest = |at: usize| out.items[out.range(at)].iter().fold(at as u32, |low, &target| low.min(target));
    (0..chain.len()).map(lowest).collect()
}
