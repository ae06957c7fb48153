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
        "a transition of state {state:?} leads to the same state; a phase-type graph has no such transitions"
    )]
    UnchangedState {
        /// The state.
        state: Vec<i32>,
    },
    /// The graph refused a vertex or an edge.
    #[error(transparent)]
    Graph(#[from] GraphError),
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
