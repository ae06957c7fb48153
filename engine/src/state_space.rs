//! Building a graph from rules: an initial distribution and a function that emits the transitions of a state.
//!
//! The order of vertices and edges is phasic's (artifact specification, section 2), and with it the content hash.
//! Model documents are built by this very function.

use crate::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate, START};

/// Why a state space cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateSpaceError {
    /// There is no initial state.
    #[error("there is no initial state; give at least one")]
    NoInitialState,
    /// An initial probability is negative, above one or not a number.
    #[error(
        "the probability of initial state {index} (counted from 0) is {probability}; it must lie between 0 and 1"
    )]
    Probability {
        /// Which initial state, counted from 0.
        index: usize,
        /// Its probability.
        probability: f64,
    },
    /// The initial probabilities exceed one.
    #[error("the initial probabilities sum to {sum}; they may sum to 1 at most")]
    ProbabilitySum {
        /// Their sum.
        sum: f64,
    },
    /// A transition leads back to the state it leaves.
    #[error(
        "a transition of state {} leads to the same state; a phase-type graph has no such transitions",
        shown(state)
    )]
    UnchangedState {
        /// The state.
        state: Vec<i32>,
    },
    /// The graph refused a vertex or an edge.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// A state for people: its first integers, if there are many.
fn shown(state: &[i32]) -> String {
    match state.get(..24) {
        Some(first) if state.len() > first.len() => format!("{first:?}").replace(']', ", …]"),
        _ => format!("{state:?}"),
    }
}

/// Takes the transitions of one state, in order.
#[derive(Debug)]
pub struct Transitions<'a> {
    builder: &'a mut GraphBuilder,
    from: u32,
    state: &'a [i32],
}

impl Transitions<'_> {
    /// Adds a transition to `target`. Several transitions to one target become parallel edges.
    ///
    /// # Errors
    /// [`StateSpaceError::UnchangedState`] when the target is the state itself, [`StateSpaceError::Graph`] when the
    /// graph refuses the edge (see [`GraphBuilder::add_edge`]) or a limit is reached.
    pub fn add(&mut self, target: &[i32], rate: Rate<'_>) -> Result<(), StateSpaceError> {
        if target == self.state {
            return Err(StateSpaceError::UnchangedState { state: target.to_vec() });
        }
        let to = self.builder.find_or_add_vertex(target)?;
        self.builder.add_edge(self.from, to, rate)?;
        Ok(())
    }
}

/// Explores all states that can be reached, breadth first, and returns their graph.
///
/// `transitions` is called once for each state in the order in which they were found; it may fail with an error type
/// of its own. States have `state_length` integers. The initial probabilities may sum to less than one: the rest is
/// absorbed at time 0. A state of zeros is a state like any other, distinct from the start.
///
/// ```
/// use phasic_engine::graph::{GraphLimits, Rate};
/// use phasic_engine::state_space::{StateSpaceError, explore};
///
/// // Kingman's coalescent: each pair of n lineages finds its common ancestor at rate 1.
/// let graph = explore(1, GraphLimits::default(), &[([5], 1.0)], |state, transitions| {
///     let n = state[0];
///     if n > 1 {
///         transitions.add(&[n - 1], Rate::Coefficients(&[f64::from(n * (n - 1)) / 2.0]))?;
///     }
///     Ok::<(), StateSpaceError>(())
/// })?;
/// assert_eq!(
///     graph.content_hash().to_string(),
///     "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6"
/// );
/// # Ok::<(), StateSpaceError>(())
/// ```
///
/// # Errors
/// A [`StateSpaceError`] about the initial states, and whatever `transitions` returns.
pub fn explore<S, E, F>(
    state_length: usize,
    limits: GraphLimits,
    initial: &[(S, f64)],
    mut transitions: F,
) -> Result<Graph, E>
where
    S: AsRef<[i32]>,
    E: From<StateSpaceError>,
    F: FnMut(&[i32], &mut Transitions<'_>) -> Result<(), E>,
{
    let mut builder = start(state_length, limits, initial)?;
    let mut state = vec![0; state_length];
    let mut vertex = START + 1;
    while vertex < builder.vertex_count() {
        state.copy_from_slice(builder.state(vertex));
        transitions(&state, &mut Transitions { builder: &mut builder, from: vertex, state: &state })?;
        vertex += 1;
    }
    Ok(builder.finish())
}

/// A builder that has the initial states and the edges to them.
fn start<S: AsRef<[i32]>>(
    state_length: usize,
    limits: GraphLimits,
    initial: &[(S, f64)],
) -> Result<GraphBuilder, StateSpaceError> {
    if initial.is_empty() {
        return Err(StateSpaceError::NoInitialState);
    }
    for (index, &(_, probability)) in initial.iter().enumerate() {
        if !(0.0..=1.0).contains(&probability) {
            return Err(StateSpaceError::Probability { index, probability });
        }
    }
    let sum = initial.iter().fold(0.0, |sum, (_, probability)| sum + probability);
    if sum > 1.0 {
        return Err(StateSpaceError::ProbabilitySum { sum });
    }
    let mut builder = GraphBuilder::with_limits(state_length, limits)?;
    for (state, probability) in initial {
        let vertex = builder.find_or_add_vertex(state.as_ref())?;
        builder.add_edge(START, vertex, Rate::Scalar(*probability))?;
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn countdown(initial: &[([i32; 1], f64)]) -> Result<Graph, StateSpaceError> {
        explore(1, GraphLimits::default(), initial, |state, transitions| match state[0] {
            0 => Ok(()),
            n => transitions.add(&[n - 1], Rate::Scalar(1.0)),
        })
    }

    #[test]
    fn states_are_numbered_breadth_first_after_the_initial_ones() {
        let graph = countdown(&[([2], 0.5), ([4], 0.25), ([2], 0.25)]).expect("it is finite");
        let states: Vec<_> = (0..graph.vertex_count()).map(|vertex| graph.state(vertex)[0]).collect();
        // The first 0 is the start; the last is an ordinary state of zeros.
        assert_eq!(states, [0, 2, 4, 1, 3, 0]);
        assert_eq!(graph.targets(START), [1, 2, 1]);
        assert_eq!(graph.unit_weights()[..3], [0.5, 0.25, 0.25]);
    }

    #[test]
    fn errors_of_the_callback_come_back_as_they_are() {
        #[derive(Debug, PartialEq)]
        enum Mine {
            Stop,
            Space(StateSpaceError),
        }
        impl From<StateSpaceError> for Mine {
            fn from(error: StateSpaceError) -> Self {
                Self::Space(error)
            }
        }
        let stopped = explore(1, GraphLimits::default(), &[([1], 1.0)], |_, _| Err(Mine::Stop));
        assert_eq!(stopped, Err(Mine::Stop));
        let refused = explore(1, GraphLimits::default(), &[([1, 2], 1.0)], |_, _| Ok::<(), Mine>(()));
        let expected = GraphError::StateLength { expected: 1, found: 2 };
        assert_eq!(refused, Err(Mine::Space(StateSpaceError::Graph(expected))));
    }

    #[test]
    fn a_transition_to_its_own_state_is_refused_and_long_states_are_shown_in_part() {
        let state = vec![7; 100];
        let refused = explore(100, GraphLimits::default(), &[(&state, 1.0)], |state, transitions| {
            transitions.add(state, Rate::Scalar(1.0))
        });
        let error: StateSpaceError = refused.expect_err("the state stays");
        assert_eq!(error, StateSpaceError::UnchangedState { state });
        assert!(error.to_string().contains("7, 7, …] leads to the same state"), "{error}");
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn initial_probabilities_are_numbers_from_zero_to_one() {
        for probability in [-0.5, 1.5, f64::NAN, f64::INFINITY] {
            let error = countdown(&[([2], 0.5), ([4], probability)]).expect_err("it is none");
            assert!(matches!(error, StateSpaceError::Probability { index: 1, .. }), "{error}");
        }
        assert_eq!(countdown(&[]), Err(StateSpaceError::NoInitialState));
    }
}
