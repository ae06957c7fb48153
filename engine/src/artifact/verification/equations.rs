//! Whether a program's results solve the linear equations of its graph, whatever way they were found.
//!
//! An independent check that needs no elimination: expected totals `x` for rewards `R` are the solution of
//! `rate(v)·x(v) = R(v) + Σ w(e)·x(target(e))`, with 0 at absorbing vertices.

use crate::graph::{Graph, START, WeightError};
use crate::trace::{ReplayError, Trace};

use super::VerificationError;

/// Parameters and rewards are drawn so many times.
const TRIALS: u64 = 3;
/// Far above what rounding does to an honest program, far below what a wrong one can hope for.
const TOLERANCE: f64 = 1e-9;

/// Replays `trace` at random parameters and rewards and puts its results into the equations of `graph`.
pub(super) fn check(trace: &Trace, graph: &Graph, seed: u64) -> Result<(), VerificationError> {
    (0..TRIALS)
        .try_for_each(|trial| check_once(trace, graph, &mut Draws { state: seed.wrapping_add(trial << 32) }))
}

fn check_once(trace: &Trace, graph: &Graph, draws: &mut Draws) -> Result<(), VerificationError> {
    let theta: Vec<f64> = (0..graph.param_length()).map(|_| draws.around_one()).collect();
    let weights = if graph.is_parameterized() {
        let unusable = |error: WeightError| ReplayError::WrongGraph { detail: error.to_string() };
        graph.weights(&theta).map_err(unusable)?
    } else {
        graph.unit_weights()
    };
    let rewards: Vec<f64> = (0..graph.vertex_count()).map(|_| draws.around_one()).collect();
    let totals = trace.replay(graph, &weights)?.waiting_times(Some(&rewards))?;
    (0..graph.vertex_count()).try_for_each(|vertex| solves(graph, &weights, &rewards, &totals, vertex))
}

fn solves(
    graph: &Graph,
    weights: &[f64],
    rewards: &[f64],
    totals: &[f64],
    vertex: u32,
) -> Result<(), VerificationError> {
    let here = totals[vertex as usize];
    // No time passes at the start, and nothing is earned after absorption.
    let earned = if vertex == START || graph.is_absorbing(vertex) { 0.0 } else { rewards[vertex as usize] };
    let (mut rate, mut ahead, mut size) = (0.0, earned, earned);
    for edge in graph.edges(vertex) {
        let weight = weights[edge.index as usize];
        let flow = weight * totals[edge.target as usize];
        rate += weight;
        ahead += flow;
        size += flow.abs();
    }
    let leaving = if graph.is_absorbing(vertex) { here } else { rate * here };
    let relative_error = (leaving - ahead).abs() / (size + leaving.abs()).max(f64::MIN_POSITIVE);
    // Written so that a NaN is wrong, too.
    if relative_error <= TOLERANCE {
        Ok(())
    } else {
        Err(VerificationError::Wrong { vertex, relative_error })
    }
}

/// The splitmix64 generator (Steele, Lea and Flood, 2014).
struct Draws {
    state: u64,
}

impl Draws {
    /// From a quarter to four, evenly on a logarithmic scale.
    fn around_one(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let unit = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        (4.0 * unit - 2.0).exp2()
    }
}
