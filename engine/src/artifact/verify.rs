//! Whether a program belongs to a graph: regenerated and compared, or at least the same numbers.
//!
//! The loader's checks show that a program is safe to run; only this shows what it computes (artifact specification,
//! section 10, item 7).

use crate::graph::Graph;
use crate::trace::{EliminationError, Limits, Observer, ReplayError, Trace, eliminate};

/// What a comparison with our own elimination shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The very same program.
    Reproduced,
    /// Another program that yields the same numbers, as phasic's dynamic ordering makes.
    Equivalent {
        /// Largest relative difference seen.
        relative_error: f64,
    },
    /// The program yields other numbers, or none.
    Mismatch {
        /// In words, for people.
        detail: String,
    },
}

/// Differences below this count as rounding.
const TOLERANCE: f64 = 1e-9;

/// Regenerates the graph's program and compares; if it differs, compares expected waiting times from every vertex at two
/// sets of positive parameters drawn from `seed` with those of the graph's own program (parallel edges merged, since
/// phasic's elimination is wrong with them). Costs an elimination.
///
/// # Errors
/// [`EliminationError`] when our own elimination does not finish within its limits.
pub fn verify(
    trace: &Trace,
    graph: &Graph,
    limits: &Limits,
    seed: u64,
    observer: &mut impl Observer,
) -> Result<Verdict, EliminationError> {
    let own = eliminate(graph, limits, observer)?;
    if own == *trace {
        return Ok(Verdict::Reproduced);
    }
    let (merged, reference) = if graph.has_parallel_edges() {
        let merged = graph.merge_parallel_edges();
        let reference = eliminate(&merged, limits, observer)?;
        (merged, reference)
    } else {
        (graph.clone(), own)
    };
    let mut state = seed;
    let mut worst = 0.0_f64;
    for _ in 0..2 {
        let theta: Vec<f64> = (0..graph.param_length()).map(|_| positive(&mut state)).collect();
        let weigh = |graph: &Graph| graph.weights(&theta).unwrap_or_else(|_| graph.unit_weights());
        let waiting = |trace: &Trace, graph: &Graph| trace.replay(graph, &weigh(graph))?.waiting_times(None);
        match compare(waiting(trace, graph), waiting(&reference, &merged)) {
            Ok(error) => worst = worst.max(error),
            Err(detail) => return Ok(Verdict::Mismatch { detail }),
        }
    }
    Ok(Verdict::Equivalent { relative_error: worst })
}

/// The largest relative difference, or in words why the numbers are not the same.
fn compare(
    found: Result<Vec<f64>, ReplayError>,
    wanted: Result<Vec<f64>, ReplayError>,
) -> Result<f64, String> {
    let (found, wanted) = match (found, wanted) {
        (Ok(found), Ok(wanted)) => (found, wanted),
        (Err(_), Err(_)) => return Ok(0.0),
        (Err(error), Ok(_)) => return Err(format!("the artifact yields no number: {error}")),
        (Ok(_), Err(error)) => {
            return Err(format!("the artifact yields numbers where there are none: {error}"));
        }
    };
    let mut worst = 0.0_f64;
    for (vertex, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let error = if found == wanted { 0.0 } else { (found - wanted).abs() / wanted.abs() };
        if error.is_nan() || error > TOLERANCE {
            return Err(format!(
                "the expected waiting time from vertex {vertex} is {found}, but must be {wanted}"
            ));
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

/// A number from 0.5 up to 2, by the splitmix64 generator (Steele, Lea, Flood 2014).
fn positive(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    0.5 + 1.5 * ((z >> 11) as f64 / (1_u64 << 53) as f64)
}
