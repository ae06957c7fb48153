//! Which paths never end: vertices from which absorption is impossible, and whether a start leads there.
//!
//! Nothing is drawn here.

use super::SamplingError;
use super::table::Table;
use crate::distribution::chain::Chain;
use crate::plan::EvaluationError;

/// The positions that no path may come to at a θ, ascending, each with what to say of it: absorption is impossible from there,
/// or a visit takes longer than f64 holds.
#[derive(Debug, Clone)]
pub(super) struct Traps(Vec<(u32, EvaluationError)>);

impl Traps {
    /// Those of a chain. `O(V + E)`.
    pub(super) fn new(chain: &Chain<'_>) -> Self {
        let (plan, totals) = (chain.plan(), chain.totals());
        let escapes = escapes(chain);
        let lasts = |at: usize| !chain.is_discrete() && (1.0 / totals[at]).is_infinite();
        let error = |at: usize| {
            let vertex = chain.pattern().vertices[at];
            if escapes[at] { plan.out_of_range(vertex) } else { plan.trapped(vertex) }
        };
        let traps = (0..chain.len()).filter(|&at| !escapes[at] || lasts(at));
        Self(traps.map(|at| (at as u32, error(at))).collect())
    }

    /// Makes sure that every path ends which begins in the first table's start, goes on by each of the tables in turn, and
    /// stays with the last, whose traps these are. `O(V + E)` for each table, nothing where there are no traps.
    ///
    /// # Errors
    /// [`SamplingError::Evaluation`] with a trap that paths come to; with one they begin in, if there is one.
    pub(super) fn check(&self, tables: &[Table]) -> Result<(), SamplingError> {
        let (Some(first), false) = (tables.first(), self.0.is_empty()) else { return Ok(()) };
        let mut reached = Reached::new(first);
        for table in tables {
            reached.follow(table);
        }
        let trap = |&at: &u32| self.0.binary_search_by_key(&at, |&(trap, _)| trap).ok();
        match reached.order.iter().find_map(trap) {
            Some(place) => Err(self.0[place].1.clone().into()),
            None => Ok(()),
        }
    }
}

/// By position, whether absorption is possible.
fn escapes(chain: &Chain<'_>) -> Vec<bool> {
    let (pattern, rates) = (chain.pattern(), chain.rates());
    let mut escapes = vec![false; chain.len()];
    let mut stack: Vec<u32> =
        (0..).zip(chain.exits()).filter(|&(_, &exit)| exit > 0.0).map(|(at, _)| at).collect();
    while let Some(at) = stack.pop() {
        if !std::mem::replace(&mut escapes[at as usize], true) {
            let range = pattern.into.range(at as usize);
            let edges = pattern.into.items[range.clone()].iter().zip(&pattern.entry[range]);
            let open = edges.filter(|&(_, &entry)| rates[entry as usize] > 0.0);
            stack.extend(open.map(|(&source, _)| source));
        }
    }
    escapes
}

/// Positions that paths come to.
struct Reached {
    /// In the order they were found in: first where paths begin.
    order: Vec<u32>,
    /// The same by position.
    known: Vec<bool>,
}

impl Reached {
    /// Where paths of a table begin.
    fn new(table: &Table) -> Self {
        let mut reached = Self { order: Vec::new(), known: vec![false; table.len()] };
        table.outcomes(table.start()).for_each(|at| reached.add(at));
        reached
    }

    /// Goes on to all that a table leads to from there.
    fn follow(&mut self, table: &Table) {
        let mut next = 0;
        while let Some(&at) = self.order.get(next) {
            table.outcomes(table.rows[at as usize]).for_each(|at| self.add(at));
            next += 1;
        }
    }

    fn add(&mut self, at: usize) {
        if !std::mem::replace(&mut self.known[at], true) {
            self.order.push(at as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SampleLimits, Sampler, SamplingError};
    use crate::distribution::tests::plan;
    use crate::graph::{Graph, GraphBuilder, Rate, START};
    use crate::plan::{EvaluationError, Plan};

    /// Vertices whose state is their number, begun in 1; edges with θ₀ or θ₁ as their weight.
    fn graph(discrete: bool, edges: &[(u32, u32, usize)]) -> Graph {
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(discrete);
        let last = edges.iter().fold(1, |last, &(from, to, _)| last.max(from).max(to));
        for state in 1..=last {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
        for &(from, to, parameter) in edges {
            let coefficients = if parameter == 0 { [1.0, 0.0] } else { [0.0, 1.0] };
            builder.add_edge(from, to, Rate::Coefficients(&coefficients)).unwrap();
        }
        builder.finish()
    }

    /// 1 to 2, which is the end; 3 and 4 to and fro. Between the two θ₁ leads.
    const ASIDE: [(u32, u32, usize); 5] = [(1, 2, 0), (3, 4, 0), (4, 3, 0), (1, 3, 1), (4, 2, 1)];

    fn begun(sampler: &Sampler, masses: &[(usize, f64)]) -> Result<Sampler, SamplingError> {
        let mut probabilities = vec![0.0; sampler.vertex_count as usize];
        for &(vertex, mass) in masses {
            probabilities[vertex] = mass;
        }
        sampler.clone().started_in(&probabilities)
    }

    fn trapped(vertex: u32) -> SamplingError {
        EvaluationError::Trapped { vertex, state: Some(vec![vertex.cast_signed()]) }.into()
    }

    #[test]
    fn starts_that_lead_to_where_paths_never_end_are_refused() {
        for discrete in [false, true] {
            let plan = plan(&graph(discrete, &[&ASIDE[..], &[(1, 5, 1), (5, 2, 0), (5, 3, 0)]].concat()));
            let sampler = plan.sampler(&[1.0, 0.0]).unwrap();
            for (masses, vertex) in [
                (&[(3, 1.0)][..], 3),
                (&[(4, 0.5)], 4),
                (&[(1, 0.5), (4, 1e-9)], 4),
                // Half of the paths end.
                (&[(5, 1.0)], 3),
            ] {
                assert_eq!(begun(&sampler, masses).unwrap_err(), trapped(vertex), "{masses:?}");
            }
            assert!(begun(&sampler, &[(1, 2.0), (3, 0.0)]).unwrap().times(1, 9).is_ok());
            let open = plan.sampler(&[1.0, 0.1]).unwrap();
            for vertex in [1, 3, 4, 5] {
                assert!(begun(&open, &[(vertex, 1.0)]).unwrap().times(1, 9).is_ok());
            }
        }
    }

    #[test]
    fn a_start_that_nothing_leaves_is_refused() {
        for discrete in [false, true] {
            let plan = plan(&graph(discrete, &[(1, 2, 0), (1, 3, 1), (3, 2, 1)]));
            let sampler = plan.sampler(&[1.0, 0.0]).unwrap();
            assert_eq!(begun(&sampler, &[(3, 1.0)]).unwrap_err(), trapped(3));
        }
    }

    #[test]
    fn a_cycle_without_branches_takes_no_memory() {
        for discrete in [false, true] {
            let plan = plan(&graph(discrete, &ASIDE));
            let mut sampler = plan.sampler(&[1.0, 0.0]).unwrap();
            let three = sampler.vertices.iter().position(|&vertex| vertex == 3).unwrap();
            sampler.table.push_start(vec![(three as u32, 1.0)], 0.0, &sampler.vertices);
            assert!(!sampler.table.branches);
            let limit = SampleLimits::default().steps;
            assert_eq!(sampler.times(1, 1), Err(SamplingError::Steps { limit }));
        }
    }

    #[test]
    fn visits_that_last_longer_than_f64_holds_are_refused() {
        let (edges, theta) = ([(1, 2, 0)], [1e-310, 0.0]);
        let refused = plan(&graph(false, &edges)).sampler(&theta).unwrap_err();
        assert_eq!(refused, EvaluationError::OutOfRange { vertex: 1, state: Some(vec![1]) }.into());
        // Jumps take no time.
        assert_eq!(plan(&graph(true, &edges)).sampler(&theta).unwrap().times(1, 2).unwrap(), [1.0; 2]);
    }

    #[test]
    fn epochs_whose_last_keeps_paths_for_ever_are_refused() {
        let aside = plan(&graph(false, &ASIDE));
        let sampler = |plan: &Plan, thetas: &[[f64; 2]]| {
            let breakpoints: Vec<f64> = (1..thetas.len()).map(|at| at as f64).collect();
            plan.epochs(&breakpoints, thetas).unwrap().sampler()
        };
        // By itself the last epoch never leads to 3.
        assert_eq!(sampler(&aside, &[[1.0, 1.0], [1.0, 0.0]]).unwrap_err(), trapped(3));
        let survivors = aside.epochs(&[1.0], &[[1.0, 1.0], [1.0, 0.0]]).unwrap().survivors(2.0);
        assert_eq!(survivors.unwrap_err(), trapped(3));
        // To 3 in the first epoch, on to 4 in the second.
        let chain = plan(&graph(false, &[(1, 2, 0), (1, 3, 0), (3, 2, 0), (3, 4, 1), (4, 2, 1)]));
        assert_eq!(sampler(&chain, &[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]).unwrap_err(), trapped(4));
        for (plan, ending) in [
            (&aside, &[[1.0, 0.0], [1.0, 0.0]][..]),
            (&aside, &[[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
            (&chain, &[[1.0, 0.0], [1.0, 0.0]]),
            (&chain, &[[0.0, 1.0], [1.0, 0.0]]),
        ] {
            let times = sampler(plan, ending).unwrap().times(1, 100).unwrap();
            assert!(times.iter().all(|time| time.is_finite()), "{times:?}");
        }
    }
}
