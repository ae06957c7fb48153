//! Observed times, sorted and counted.

use super::DistributionError;
use super::curve::ascending;

/// Independent observations of the time to absorption, some of them right-censored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Observations {
    /// Observations of exactly 0.
    pub(super) zeros: usize,
    /// Other times, ascending and distinct: how often seen, and how often censored.
    pub(super) times: Vec<f64>,
    pub(super) counts: Vec<[f64; 2]>,
    /// The place of the first observation of each time, censored ones counted on from the observed.
    places: Vec<usize>,
}

impl Observations {
    /// Sorts and counts; a faulty censored time is counted on from the observed ones.
    pub(super) fn new(observed: &[f64], censored: &[f64]) -> Result<Self, DistributionError> {
        let all: Vec<f64> = observed.iter().chain(censored).copied().collect();
        if all.is_empty() {
            return Err(DistributionError::NoObservations);
        }
        if let Some(index) = all.iter().position(|time| !(0.0..f64::INFINITY).contains(time)) {
            return Err(DistributionError::Observation { index, value: all[index] });
        }
        let (mut zeros, mut times, mut counts) = (0, Vec::new(), Vec::<[f64; 2]>::new());
        let mut places = Vec::new();
        for at in ascending(&all) {
            let (time, kind) = (all[at as usize], usize::from(at as usize >= observed.len()));
            if time == 0.0 && kind == 0 {
                zeros += 1;
                continue;
            }
            if times.last() != Some(&time) {
                times.push(time);
                counts.push([0.0; 2]);
                places.push(at as usize);
            }
            if let Some(counts) = counts.last_mut() {
                counts[kind] += 1.0;
            }
        }
        Ok(Self { zeros, times, counts, places })
    }

    /// The error with the place that an observation was given at, instead of that of its time.
    pub(super) fn place(&self, error: DistributionError) -> DistributionError {
        error.map_index(|index| self.places.get(index).copied())
    }
}
