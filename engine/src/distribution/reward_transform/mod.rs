//! Reward transforms: the graph whose time to absorption is the total reward of another.
//!
//! The results are scalar graphs, as weights of a reward transform are rational in θ; where they are linear, it has
//! parameters, too.

mod censor;
mod parameterized;

use super::TransformError;
use super::chain::DEFECT;
use super::rows::{Rows, total};
use crate::double_double::Dd;
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};
use crate::trace::elimination_order;
use censor::Censored;
pub use parameterized::reward_transform_parameterized;

/// What becomes of paths that collect no reward at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ZeroPaths {
    /// They are absorbed at once: the result has an atom at 0 (an edge from its start to an absorbing vertex).
    #[default]
    Atom,
    /// They are left out: the result is the total under the condition that it is above 0.
    Condition,
}

/// How a reward transform is done.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RewardOptions {
    /// Rewards up to here count as 0. 0 by default, so that tiny rewards are kept; phasic uses 1e-6.
    pub zero_up_to: f64,
    /// What becomes of paths that collect nothing.
    pub zero_paths: ZeroPaths,
    /// How large the result, and the graph on the way to it, may become.
    pub limits: GraphLimits,
}

impl Default for RewardOptions {
    fn default() -> Self {
        Self { zero_up_to: 0.0, zero_paths: ZeroPaths::default(), limits: GraphLimits::default() }
    }
}

impl RewardOptions {
    /// As phasic has it: rewards up to 1e-6 count as 0.
    pub fn compat() -> Self {
        Self { zero_up_to: 1e-6, ..Self::default() }
    }

    /// These options with another reading of paths that collect nothing.
    #[must_use]
    pub fn with_zero_paths(mut self, zero_paths: ZeroPaths) -> Self {
        self.zero_paths = zero_paths;
        self
    }

    /// These options with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: GraphLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// The graph at θ whose time to absorption is the total reward of `graph`: one reward per vertex, earned per unit of
/// time there (Bladt and Nielsen, *Matrix-Exponential Distributions in Applied Probability*, 2017, section 3.1.9; phasic's:
/// numerics specification, section 4).
///
/// Vertices without reward are censored: each way `p → v → s` becomes part of the edge `p → s` with weight
/// `w(p,v)·w(v,s) / Σ w(v,·)`, returns to `v` itself left out of the sum, nothing subtracted anywhere (Grassmann, Taksar and
/// Heyman, Operations Research 33, 1985). What remains is
/// left at its rate divided by its reward. Vertices come in phasic's order: the start, then survivors by position of
/// elimination. Unlike phasic, parallel edges are summed first, and initial probabilities keep their sum when paths
/// return to the start. The result has no parameters and keeps a defective start defective.
///
/// Time and memory are those of an elimination of the vertices without reward, in an order of small fill.
///
/// ```
/// use phasic_engine::distribution::{RewardOptions, reward_transform};
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Kingman's coalescent for three lineages; rewards are their number, so the total is the tree's length.
/// let mut builder = GraphBuilder::new(1)?;
/// let (three, two, one) = (builder.add_vertex(&[3])?, builder.add_vertex(&[2])?, builder.add_vertex(&[1])?);
/// builder.add_edge(START, three, Rate::Scalar(1.0))?;
/// builder.add_edge(three, two, Rate::Coefficients(&[3.0]))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[1.0]))?;
/// let length = reward_transform(&builder.finish(), &[1.0], &[0.0, 3.0, 2.0, 0.0], &RewardOptions::default())?;
/// assert_eq!(length.unit_weights(), [1.0, 1.0, 0.5]);
/// assert_eq!(Plan::analyze(&length, &Limits::default())?.at(&[1.0])?.expectation(), 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError`]: θ or rewards that do not fit, negative rewards, a graph in discrete time (see
/// [`reward_transform_discrete`]), vertices that the start reaches and that are not left at θ, nothing left under
/// [`ZeroPaths::Condition`], limits.
pub fn reward_transform(
    graph: &Graph,
    theta: &[f64],
    rewards: &[f64],
    options: &RewardOptions,
) -> Result<Graph, TransformError> {
    if graph.was_dph() {
        return Err(TransformError::Discrete);
    }
    check_rewards(graph, rewards)?;
    let earns = |vertex: u32| rewards[vertex as usize] > options.zero_up_to;
    let survivors = survivors(graph, earns);
    let rows = censored(graph, theta, earns, options)?;
    let mut place = vec![START; graph.vertex_count() as usize];
    let mut builder = GraphBuilder::with_limits(graph.state_length(), options.limits)?;
    for &vertex in &survivors[1..] {
        place[vertex as usize] = builder.add_vertex(graph.state(vertex))?;
    }
    for &vertex in &survivors {
        let reward = if vertex == START { 1.0 } else { rewards[vertex as usize] };
        for &(target, weight) in &rows[vertex as usize] {
            let rate = Rate::Scalar(weight / reward);
            builder.add_edge(place[vertex as usize], place[target as usize], rate)?;
        }
    }
    Ok(builder.finish())
}

/// The graph at θ whose number of jumps is the total of whole-numbered rewards, one earned at each visit of a vertex
/// (Navarro, *Order statistics and multivariate discrete phase-type distributions*, 2019; phasic's: numerics specification,
/// section 4). The same censoring as of [`reward_transform`], with probabilities for rates.
///
/// Vertices without reward are censored; one of reward `r ≥ 2` becomes a chain of `r` vertices, of which the last has
/// the edges. Where censoring leaves a vertex of reward 1 with a way back to itself, it becomes two vertices that hand
/// the stay to each other, as graphs have no loops. Unlike phasic's, the result is flagged as discrete. Paths that collect
/// nothing are an atom at 0 (or left out). The chain's vertices all have the state of their origin.
///
/// Time and memory are those of an elimination, plus the sum of the rewards.
///
/// ```
/// use phasic_engine::distribution::{RewardOptions, reward_transform_discrete};
/// use phasic_engine::graph::{GraphBuilder, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Toss a coin until heads; every toss is worth 3.
/// let mut builder = GraphBuilder::new(1)?;
/// let (toss, tails, heads) = (builder.add_vertex(&[1])?, builder.add_vertex(&[2])?, builder.add_vertex(&[0])?);
/// builder.set_was_dph(true);
/// builder.add_edge(START, toss, Rate::Scalar(1.0))?;
/// builder.add_edge(toss, tails, Rate::Scalar(0.5))?;
/// builder.add_edge(toss, heads, Rate::Scalar(0.5))?;
/// builder.add_edge(tails, toss, Rate::Scalar(1.0))?;
/// let total = reward_transform_discrete(&builder.finish(), &[], &[0, 3, 0, 0], &RewardOptions::default())?;
/// assert!(total.was_dph());
/// let plan = Plan::analyze(&total, &Limits::default())?;
/// let at = plan.at(&[1.0])?;
/// assert_eq!((at.expectation(), at.variance()), (6.0, 18.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`reward_transform`], for a graph in continuous time instead.
pub fn reward_transform_discrete(
    graph: &Graph,
    theta: &[f64],
    rewards: &[u32],
    options: &RewardOptions,
) -> Result<Graph, TransformError> {
    if !graph.was_dph() {
        return Err(TransformError::Continuous);
    }
    let expected = graph.vertex_count() as usize;
    if rewards.len() != expected {
        return Err(TransformError::RewardLength { expected, found: rewards.len() });
    }
    let earns = |vertex: u32| rewards[vertex as usize] > 0;
    let survivors = survivors(graph, earns);
    let rows = censored(graph, theta, earns, options)?;
    let mut builder = GraphBuilder::with_limits(graph.state_length(), options.limits)?;
    builder.set_was_dph(true);
    let mut first = vec![START; graph.vertex_count() as usize];
    for &vertex in &survivors[1..] {
        first[vertex as usize] = builder.add_vertex(graph.state(vertex))?;
    }
    for &vertex in &survivors {
        let row = &rows[vertex as usize];
        let mut last = first[vertex as usize];
        if vertex != START && !graph.is_absorbing(vertex) {
            for _ in 1..rewards[vertex as usize] {
                let next = builder.add_vertex(graph.state(vertex))?;
                builder.add_edge(last, next, Rate::Scalar(1.0))?;
                last = next;
            }
        }
        add_row(&mut builder, (first[vertex as usize], last), row, &first, vertex)?;
    }
    Ok(builder.finish())
}

/// The edges of a chain's last vertex; a way back to itself goes to the first, or to a twin.
fn add_row(
    builder: &mut GraphBuilder,
    (head, last): (u32, u32),
    row: &[(u32, f64)],
    first: &[u32],
    vertex: u32,
) -> Result<(), TransformError> {
    let returns = row.iter().any(|&(target, _)| target == vertex);
    let twin = if returns && head == last {
        let state = builder.state(last).to_vec();
        Some(builder.add_vertex(&state)?)
    } else {
        None
    };
    for (from, back) in [(Some(last), twin.unwrap_or(head)), (twin, last)] {
        let Some(from) = from else { continue };
        for &(target, weight) in row {
            let to = if target == vertex { back } else { first[target as usize] };
            builder.add_edge(from, to, Rate::Scalar(weight))?;
        }
    }
    Ok(())
}

/// The start, and in order of elimination what earns or absorbs.
fn survivors(graph: &Graph, earns: impl Fn(u32) -> bool) -> Vec<u32> {
    let survives = |&vertex: &u32| vertex != START && (graph.is_absorbing(vertex) || earns(vertex));
    std::iter::once(START).chain(elimination_order(graph).into_iter().filter(survives)).collect()
}

/// The rows of what is left when all that earns nothing is censored.
fn censored(
    graph: &Graph,
    theta: &[f64],
    earns: impl Fn(u32) -> bool,
    options: &RewardOptions,
) -> Result<Vec<Vec<(u32, f64)>>, TransformError> {
    let mut rows = Rows::of_reached(graph, theta)?;
    if graph.was_dph() || options.zero_paths == ZeroPaths::Condition {
        // A path that comes back to the start has collected something, and must not lose what follows.
        rows.pass_through_start()?;
    }
    let initial = rows.total(START);
    let start = rows.of_vertex(START).iter();
    let lacking = start.fold(Dd::from(1.0), |left, &(_, probability)| left - Dd::from(probability)).0;
    if initial == 0.0 {
        return Err(TransformError::NoStart);
    }
    let mut censored = Censored::new(rows, graph.was_dph(), options.limits);
    let zero = |vertex: &u32| !graph.is_absorbing(*vertex) && !earns(*vertex);
    censored.remove_all((1..graph.vertex_count()).filter(zero))?;
    let mut rows = censored.into_rows();
    let start = &mut rows[START as usize];
    if options.zero_paths == ZeroPaths::Condition {
        start.retain(|&(target, _)| !graph.is_absorbing(target));
        if start.is_empty() {
            return Err(TransformError::NoReward);
        }
    }
    let left = total(start);
    if left == 0.0 {
        return Err(TransformError::Trapped { vertex: START });
    }
    let scale = match options.zero_paths {
        ZeroPaths::Condition => 1.0 / left,
        // What comes back before it has earned anything starts again, and lacks what a start lacks.
        ZeroPaths::Atom if lacking > DEFECT => 1.0 / (lacking + left),
        ZeroPaths::Atom => initial / left,
    };
    for (_, weight) in start.iter_mut() {
        *weight *= scale;
    }
    Ok(rows)
}

/// Whether the law of total rewards can be had at θ: no vertex that the start reaches there may be left at rate 0.
pub(crate) fn check_law_of_rewards(graph: &Graph, theta: &[f64]) -> Result<(), TransformError> {
    Rows::of_reached(graph, theta).map(|_| ())
}

fn check_rewards(graph: &Graph, rewards: &[f64]) -> Result<(), TransformError> {
    let expected = graph.vertex_count() as usize;
    if rewards.len() != expected {
        return Err(TransformError::RewardLength { expected, found: rewards.len() });
    }
    match rewards.iter().zip(0..).find(|(reward, _)| !(0.0..f64::INFINITY).contains(*reward)) {
        Some((&value, vertex)) => Err(TransformError::InvalidReward { vertex, value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
