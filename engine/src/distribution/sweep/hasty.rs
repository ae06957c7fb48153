//! Mass on its way to a density so early that hardly anything is absorbed: what gets there has jumped more often than most.
//!
//! Before a time T at which a density is asked for, mass that will be absorbed there has to make at least m jumps, the length
//! of the shortest way out; beside them the process makes jumps that lead nowhere, no more of them than a share `1 − λ/Λ` of
//! all, where λ is the slowest rate on the way and Λ that of jumps. So of the state at the end of a segment of length `d` it is
//! the part with some `m d / T + (1 − λ/Λ) Λ d` jumps that counts, where that is more than the mean `Λ d`.

use std::collections::VecDeque;

use super::super::chain::Chain;
use super::super::poisson;
use super::{DEEPEST, SEGMENT, Segment, Sweep};

/// Mean number of jumps of a segment at least.
const FEWEST: f64 = 32.0;

/// How deep below the largest weight of a mean that of a share of it lies, or of a multiple, for each jump of the mean:
/// `s ln s + 1 − s`.
pub(super) fn depth(share: f64) -> f64 {
    if share > 0.0 { share * share.ln() + 1.0 - share } else { 1.0 }
}

impl Sweep {
    /// The fewest jumps from a position with mass to one with an exit; 0 if there is no way. Linear in the edges.
    pub(super) fn shortest_way(&self, chain: &Chain<'_>) -> f64 {
        let (out, rates, exits) = (&chain.pattern().out, chain.rates(), chain.exits());
        let mut jumps = vec![u32::MAX; chain.len()];
        let mut queue: VecDeque<usize> = (0..chain.len()).filter(|&at| self.p[at] > 0.0).collect();
        for &at in &queue {
            jumps[at] = 0;
        }
        while let Some(at) = queue.pop_front() {
            if exits[at] > 0.0 {
                return f64::from(jumps[at]);
            }
            for entry in out.range(at).filter(|&entry| rates[entry] > 0.0) {
                let target = out.items[entry] as usize;
                if target < jumps.len() && jumps[target] == u32::MAX {
                    jumps[target] = jumps[at] + 1;
                    queue.push_back(target);
                }
            }
        }
        0.0
    }

    /// The mean number of jumps in a segment of what will be absorbed at the next time that is asked for: no less than that
    /// of all.
    pub(super) fn most_made(&self, chain: &Chain<'_>, segment: &Segment) -> f64 {
        let length = segment.end - segment.begin;
        let (mean, needed) = (segment.rate * length, self.needed_rate(segment.end) * length);
        let most = needed + self.idle_share(chain, segment.rate) * mean;
        // Weights of more jumps are 0.
        most.min(poisson::window(mean, poisson::DEEPEST).end as f64).max(mean)
    }

    /// The mean number of jumps of a segment in which weights of those jumps are well above 0; never so few that segments
    /// cost more than they are good for.
    pub(super) fn longest_of_hasty(&self, chain: &Chain<'_>, rate: f64) -> f64 {
        let times = self.needed_rate(self.now) / rate + self.idle_share(chain, rate);
        if times > 1.0 { (DEEPEST / depth(times)).max(FEWEST) } else { f64::INFINITY }
    }

    /// Expects to be asked for small probabilities of absorption soon, at no known time.
    pub(in super::super) fn expect_early_tails(&mut self) {
        self.first_asked = self.now + SEGMENT.max(self.fewest_jumps / 8.0) / self.fastest_rate();
    }

    /// Jumps per unit of time that mass has to make for a density at the first time that is asked for from `end` on.
    fn needed_rate(&self, end: f64) -> f64 {
        // Where no time is known none comes early, and of those after the first one only that they do.
        if self.first_asked == f64::INFINITY || self.first_asked <= self.entered {
            return 0.0;
        }
        self.fewest_jumps / (self.first_asked.max(end) - self.entered)
    }

    /// The most of all jumps that lead nowhere.
    fn idle_share(&self, chain: &Chain<'_>, rate: f64) -> f64 {
        let totals = chain.totals()[self.active.clone()].iter().filter(|&&total| total > 0.0);
        1.0 - (totals.fold(rate, |slowest, &total| slowest.min(total)) / rate)
    }
}
