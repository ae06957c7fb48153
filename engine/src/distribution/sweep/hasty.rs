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
    /// The fewest jumps from a position with mass to one with an exit, by edges that are open; 0 if there is no way. Linear in
    /// the edges.
    pub(super) fn shortest_way(
        &self,
        chain: &Chain<'_>,
        is_open: impl Fn(usize) -> bool,
        has_exit: impl Fn(usize) -> bool,
    ) -> f64 {
        let out = &chain.pattern().out;
        let mut jumps = vec![u32::MAX; chain.len()];
        let mut queue: VecDeque<usize> = (0..chain.len()).filter(|&at| self.p[at] > 0.0).collect();
        for &at in &queue {
            jumps[at] = 0;
        }
        while let Some(at) = queue.pop_front() {
            if has_exit(at) {
                return f64::from(jumps[at]);
            }
            for entry in out.range(at).filter(|&entry| is_open(entry)) {
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
        let (mean, needed) = (segment.rate * length, self.needed_rate(segment.end, segment.rate) * length);
        let most = needed + self.idle_share(chain, segment.rate) * mean;
        // Weights of more jumps are 0.
        most.min(poisson::window(mean, poisson::DEEPEST).end as f64).max(mean)
    }

    /// The mean number of jumps of a segment in which weights of those jumps are well above 0; never so few that segments
    /// cost more than they are good for.
    pub(super) fn longest_of_hasty(&self, chain: &Chain<'_>, rate: f64) -> f64 {
        let times = self.needed_rate(self.now, rate) / rate + self.idle_share(chain, rate);
        if times > 1.0 { (DEEPEST / depth(times)).max(FEWEST) } else { f64::INFINITY }
    }

    /// Goes through these epochs, of which the first has begun, and is asked for densities from a time on; of small
    /// probabilities of absorption, at no known time.
    pub(in super::super) fn go_through(&mut self, chain: &Chain<'_>, epochs: EpochsAhead, first_asked: f64) {
        self.first_asked = first_asked;
        let has_exit = |at: usize| epochs.exits[at] > 0.0;
        self.fewest_jumps = self.shortest_way(chain, |entry| epochs.is_open[entry], has_exit);
        self.epochs = Some(epochs);
    }

    /// Expects to be asked for small probabilities of absorption soon, at no known time.
    pub(in super::super) fn expect_early_tails(&mut self) {
        let jumps = SEGMENT.max(self.fewest_jumps / 8.0);
        self.first_asked = match &self.epochs {
            None => self.now + jumps / self.fastest_rate(),
            Some(epochs) => epochs.time_of(jumps),
        };
    }

    /// Jumps per unit of time that mass has to make, at this rate of jumps now, for a density at the first time that is asked
    /// for from `end` on.
    fn needed_rate(&self, end: f64, rate: f64) -> f64 {
        // Where no time is known none comes early, and of those after the first one only that they do.
        if self.first_asked == f64::INFINITY || self.fewest_jumps == 0.0 {
            return 0.0;
        }
        let until = self.first_asked.max(end);
        let even = self.fewest_jumps / until;
        let Some(epochs) = &self.epochs else { return even };
        let ahead = epochs.jumps_ahead(self.now, rate, until);
        even.max(self.fewest_jumps * (rate / (self.made + ahead)))
    }

    /// The most of all jumps that lead nowhere.
    fn idle_share(&self, chain: &Chain<'_>, rate: f64) -> f64 {
        let totals = chain.totals()[self.active.clone()].iter().filter(|&&total| total > 0.0);
        1.0 - (totals.fold(rate, |slowest, &total| slowest.min(total)) / rate)
    }
}

/// The epochs that a process goes through: how fast it jumps in each at most, and where it may get to and out.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct EpochsAhead {
    /// Where each but the last ends.
    ends: Vec<f64>,
    rates: Vec<f64>,
    /// Mean numbers of jumps until each begins.
    jumps: Vec<f64>,
    /// By entry of the pattern's `out`, whether mass may pass in any of them.
    is_open: Vec<bool>,
    /// The largest exit of each position in those that count for what is asked.
    exits: Vec<f64>,
    /// Which of them it is now.
    now: usize,
}

impl EpochsAhead {
    /// Epochs that are yet to be added.
    pub(in super::super) fn ending_at(ends: &[f64]) -> Self {
        Self { ends: ends.to_vec(), ..Self::default() }
    }

    /// Adds the next. It counts unless what is asked for first is not in it.
    pub(in super::super) fn add(&mut self, chain: &Chain<'_>, first_asked: f64) {
        let epoch = self.rates.len();
        let begin = epoch.checked_sub(1).map_or(0.0, |before| self.ends[before]);
        let end = self.ends.get(epoch).copied().unwrap_or(f64::INFINITY);
        if epoch == 0 {
            self.is_open = vec![false; chain.rates().len()];
            self.exits = vec![0.0; chain.len()];
        }
        let until = self.jumps_by(begin);
        self.jumps.push(until);
        self.rates.push(chain.totals().iter().fold(0.0, |most, &total| most.max(total)));
        if begin > first_asked && first_asked.is_finite() {
            return;
        }
        self.is_open.iter_mut().zip(chain.rates()).for_each(|(open, &rate)| *open |= rate > 0.0);
        if first_asked.is_infinite() || first_asked <= end {
            let exits = self.exits.iter_mut().zip(chain.exits());
            exits.for_each(|(most, &exit)| *most = most.max(exit));
        }
    }

    pub(super) fn begin(&mut self) {
        self.now = 0;
    }

    pub(super) fn next(&mut self) {
        self.now += 1;
    }

    /// The mean number of jumps until a time, in epochs added so far.
    fn jumps_by(&self, time: f64) -> f64 {
        let Some(last) = self.rates.len().checked_sub(1) else { return 0.0 };
        let epoch = self.ends.partition_point(|&end| end < time).min(last);
        let begin = epoch.checked_sub(1).map_or(0.0, |before| self.ends[before]);
        self.jumps[epoch] + self.rates[epoch] * (time - begin)
    }

    /// The time by which so many jumps happen on average; the last beginning of an epoch if that never comes.
    fn time_of(&self, jumps: f64) -> f64 {
        let epoch = self.jumps.partition_point(|&before| before < jumps).saturating_sub(1);
        let begin = epoch.checked_sub(1).map_or(0.0, |before| self.ends[before]);
        let time = begin + (jumps - self.jumps[epoch]) / self.rates[epoch];
        if time.is_finite() { time } else { begin.max(f64::MIN_POSITIVE) }
    }

    /// The mean number of jumps between two times, if in the epoch at hand there are so many per unit of time.
    fn jumps_ahead(&self, from: f64, rate: f64, until: f64) -> f64 {
        let end = self.ends.get(self.now).copied().unwrap_or(f64::INFINITY);
        if until <= end {
            return rate * (until - from);
        }
        rate * (end - from) + (self.jumps_by(until) - self.jumps_by(end)).max(0.0)
    }
}
