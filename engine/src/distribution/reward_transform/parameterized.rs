//! The reward transform as a function of θ, where weights stay linear in it.

use super::{TransformError, check_rewards};
use crate::graph::{Edge, Graph, GraphBuilder, GraphLimits, Rate, START};

/// The graph whose time to absorption is the total reward of `graph` at every θ: one reward per vertex, earned per unit of
/// time there.
///
/// A vertex is left at its rates divided by its reward (Bladt and Nielsen, Matrix-Exponential Distributions in Applied
/// Probability, 2017, section 3.1.9), which are linear in θ as before, so plans of the result give gradients of densities and
/// likelihoods of total rewards. A vertex without reward takes no time; where only one vertex follows, edges lead there at
/// once. Vertices are those of `graph`. `O(V + E)`.
///
/// ```
/// use phasic_engine::distribution::reward_transform_parameterized;
/// use phasic_engine::graph::{GraphBuilder, GraphLimits, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Twice an exponential time: n ln(θ/2) − θ Σt/2.
/// let mut builder = GraphBuilder::new(1)?;
/// let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
/// builder.add_edge(START, on, Rate::Scalar(1.0))?;
/// builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
/// let twice = reward_transform_parameterized(&builder.finish(), &[0.0, 2.0, 0.0], GraphLimits::default())?;
/// let plan = Plan::analyze(&twice, &Limits::default())?;
/// let (value, gradient) = plan.likelihood(&[3.0, 1.0])?.value_and_gradient(&[0.8])?;
/// assert!((value - (2.0 * 0.4_f64.ln() - 1.6)).abs() < 1e-12);
/// assert!((gradient[0] - (2.0 / 0.8 - 2.0)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError::NoRewardOnTheWay`] for a vertex without reward from which several follow: weights of the transform are
/// quotients then, and [`reward_transform`](super::reward_transform) makes it at one θ. As that for rewards that do not fit, a
/// graph in discrete time, and limits.
pub fn reward_transform_parameterized(
    graph: &Graph,
    rewards: &[f64],
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    if graph.was_dph() {
        return Err(TransformError::Discrete);
    }
    check_rewards(graph, rewards)?;
    let reached = reached(graph);
    let onward = onward(graph, rewards, &reached)?;
    let mut builder = GraphBuilder::with_limits(graph.state_length(), limits)?;
    builder.set_parameterized(graph.is_parameterized());
    if graph.is_parameterized() {
        builder.set_param_length(graph.param_length())?;
    }
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(graph.state(vertex))?;
    }
    for edge in graph.edges(START) {
        let probability = graph.fixed_weight(edge.index).unwrap_or(0.0);
        builder.add_edge(START, onward[edge.target as usize], Rate::Scalar(probability))?;
    }
    for vertex in 1..graph.vertex_count() {
        let reward = rewards[vertex as usize];
        let mut comes_back_only = !graph.is_absorbing(vertex);
        for edge in graph.edges(vertex) {
            // Nothing leads to where nothing is earned; its edges only keep it from looking absorbing.
            let (to, reward) =
                if reward > 0.0 { (onward[edge.target as usize], reward) } else { (edge.target, 1.0) };
            if to != vertex {
                comes_back_only = false;
                add_slower(&mut builder, graph, (vertex, to), edge, reward)?;
            }
        }
        if comes_back_only && reached[vertex as usize] {
            return Err(TransformError::Trapped { vertex });
        }
    }
    Ok(builder.finish())
}

/// An edge with its weight divided by a reward.
fn add_slower(
    builder: &mut GraphBuilder,
    graph: &Graph,
    (from, to): (u32, u32),
    edge: Edge<'_>,
    reward: f64,
) -> Result<(), TransformError> {
    if let Some(weight) = graph.fixed_weight(edge.index) {
        return Ok(builder.add_fixed_edge(from, to, weight / reward)?);
    }
    let coefficients: Vec<f64> = edge.coefficients.iter().map(|coefficient| coefficient / reward).collect();
    let rate = if graph.is_parameterized() {
        Rate::Coefficients(&coefficients)
    } else {
        Rate::Scalar(coefficients.first().copied().unwrap_or(0.0))
    };
    Ok(builder.add_edge(from, to, rate)?)
}

/// Where each vertex that is reached leads without taking time: itself, if it earns something or is absorbing.
fn onward(graph: &Graph, rewards: &[f64], reached: &[bool]) -> Result<Vec<u32>, TransformError> {
    let stays = |vertex: u32| vertex == START || graph.is_absorbing(vertex) || rewards[vertex as usize] > 0.0;
    let mut onward: Vec<u32> = (0..graph.vertex_count()).collect();
    let mut path = Vec::new();
    for vertex in (0..graph.vertex_count()).filter(|&vertex| reached[vertex as usize]) {
        let mut at = vertex;
        while !stays(at) && onward[at as usize] == at {
            path.push(at);
            let targets = graph.targets(at);
            let Some(&only) = targets.first().filter(|&&first| targets.iter().all(|&other| other == first))
            else {
                return Err(TransformError::NoRewardOnTheWay { vertex: at });
            };
            if path.contains(&only) {
                return Err(TransformError::Trapped { vertex: only });
            }
            at = only;
        }
        let end = onward[at as usize];
        for passed in path.drain(..) {
            onward[passed as usize] = end;
        }
    }
    Ok(onward)
}

/// Which vertices the start leads to by any edges.
fn reached(graph: &Graph) -> Vec<bool> {
    let mut reached = vec![false; graph.vertex_count() as usize];
    let mut stack = vec![START];
    while let Some(vertex) = stack.pop() {
        if !std::mem::replace(&mut reached[vertex as usize], true) {
            stack.extend_from_slice(graph.targets(vertex));
        }
    }
    reached
}
