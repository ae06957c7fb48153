//! Graphs that are parts of another, or start elsewhere: first passages, restarts, defective starts.
//!
//! Edges keep their coefficients, so the results are parameterized where the graph was.

use super::TransformError;
use super::matrices::{Deficit, SUM_TOLERANCE};
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};

/// The same vertices with other start edges (in place of all, if any are given) and without the out-edges of some.
fn rebuilt(
    graph: &Graph,
    start: Option<&[(u32, f64)]>,
    cut: impl Fn(u32) -> bool,
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    let mut builder = GraphBuilder::with_limits(graph.state_length(), limits)?;
    builder.set_was_dph(graph.was_dph());
    builder.set_parameterized(graph.is_parameterized());
    for vertex in 1..graph.vertex_count() {
        builder.add_vertex(graph.state(vertex))?;
    }
    for &(target, probability) in start.unwrap_or_default() {
        builder.add_start_edge(target, &[probability], probability)?;
    }
    let kept = usize::from(start.is_some()) as u32;
    for vertex in (kept..graph.vertex_count()).filter(|&vertex| !cut(vertex)) {
        for edge in graph.edges(vertex) {
            match graph.fixed_weight(edge.index) {
                Some(weight) if vertex == START => {
                    builder.add_start_edge(edge.target, edge.coefficients, weight)?;
                }
                Some(weight) => builder.add_fixed_edge(vertex, edge.target, weight)?,
                None if graph.is_parameterized() => {
                    builder.add_edge(vertex, edge.target, Rate::Coefficients(edge.coefficients))?;
                }
                None => builder.add_edge(vertex, edge.target, Rate::Scalar(edge.coefficients[0]))?,
            }
        }
    }
    if graph.param_length() > 0 {
        builder.set_param_length(graph.param_length())?;
    }
    Ok(builder.finish())
}

fn check_vertices(graph: &Graph, vertices: impl Iterator<Item = u32>) -> Result<(), TransformError> {
    let count = graph.vertex_count();
    for (index, vertex) in vertices.enumerate() {
        if vertex >= count {
            return Err(TransformError::NoSuchVertex { index, vertex, vertices: count });
        }
        if vertex == START {
            return Err(TransformError::StartNamed { index });
        }
    }
    Ok(())
}

/// The graph of the time until one of `targets` is reached (or any absorbing vertex): their out-edges are gone, which makes
/// them absorbing and leaves all else as it was (Kemeny and Snell, Finite Markov Chains, 1960, section 6.1).
///
/// Its distribution is that of the first passage time, its moments those from every vertex on the way. Keeps vertex
/// numbers and parameters. `O(V + E)`.
///
/// ```
/// use phasic_engine::distribution::first_passage;
/// use phasic_engine::graph::{GraphBuilder, GraphLimits, Rate, START};
/// use phasic_engine::plan::{Limits, Plan};
///
/// // Three lineages coalesce: how long until two are left?
/// let mut builder = GraphBuilder::new(1)?;
/// let (three, two, one) = (builder.add_vertex(&[3])?, builder.add_vertex(&[2])?, builder.add_vertex(&[1])?);
/// builder.add_edge(START, three, Rate::Scalar(1.0))?;
/// builder.add_edge(three, two, Rate::Coefficients(&[3.0]))?;
/// builder.add_edge(two, one, Rate::Coefficients(&[1.0]))?;
/// let passage = first_passage(&builder.finish(), &[two], GraphLimits::default())?;
/// assert_eq!(Plan::analyze(&passage, &Limits::default())?.at(&[0.5])?.expectation(), 2.0 / 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TransformError::NoSuchVertex`] and [`TransformError::StartNamed`] with the place in the list, or a limit.
pub fn first_passage(graph: &Graph, targets: &[u32], limits: GraphLimits) -> Result<Graph, TransformError> {
    check_vertices(graph, targets.iter().copied())?;
    let mut cut = vec![false; graph.vertex_count() as usize];
    for &target in targets {
        cut[target as usize] = true;
    }
    rebuilt(graph, None, |vertex| cut[vertex as usize], limits)
}

/// The graph that starts in the given vertices with the given probabilities: another α for the same `S`, which may be any
/// (Neuts 1981, section 2.2). Keeps vertex numbers and parameters.
///
/// Together with [`first_passage`] this is the sub-graph between two sets of vertices. Probabilities may sum to less
/// than 1 (see [`settle_deficit`]). `O(V + E)`.
///
/// # Errors
/// [`TransformError::NoSuchVertex`], [`TransformError::StartNamed`], [`TransformError::Probability`] with the place in the
/// list, [`TransformError::ProbabilitySum`] when they sum to more than 1 or to nothing, or a limit.
pub fn started_at(
    graph: &Graph,
    initial: &[(u32, f64)],
    limits: GraphLimits,
) -> Result<Graph, TransformError> {
    check_vertices(graph, initial.iter().map(|&(vertex, _)| vertex))?;
    check_probabilities(initial.iter().map(|&(_, probability)| probability))?;
    let sum: f64 = initial.iter().map(|&(_, probability)| probability).sum();
    if sum == 0.0 || sum > 1.0 + SUM_TOLERANCE {
        return Err(TransformError::ProbabilitySum { sum });
    }
    rebuilt(graph, Some(initial), |_| false, limits)
}

pub(super) fn check_probabilities(list: impl Iterator<Item = f64>) -> Result<(), TransformError> {
    for (index, value) in list.enumerate() {
        if !(0.0..f64::INFINITY).contains(&value) {
            return Err(TransformError::Probability { index, value });
        }
    }
    Ok(())
}

/// Rewards that count the time spent in a set of vertices: 1 there, 0 elsewhere.
///
/// `At::rewarded` and its moments, or a reward transform, then speak of that time only: `∫ 1{X_t ∈ A} dt` (a total reward
/// for rewards of 0 and 1; Bladt and Nielsen 2017, section 8.1). `O(V)`.
///
/// # Errors
/// [`TransformError::NoSuchVertex`] and [`TransformError::StartNamed`] with the place in the list.
pub fn time_in(graph: &Graph, vertices: &[u32]) -> Result<Vec<f64>, TransformError> {
    check_vertices(graph, vertices.iter().copied())?;
    let mut rewards = vec![0.0; graph.vertex_count() as usize];
    for &vertex in vertices {
        rewards[vertex as usize] = 1.0;
    }
    Ok(rewards)
}

/// The graph with a start that is not defective: what α lacks to 1 becomes an atom at 0 or is conditioned away.
///
/// α gets an atom `1 − Σα` at 0, or becomes `α/Σα` (the two readings of a defective α in Bladt and Nielsen 2017, section 3.1, and
/// in the numerics specification, section 1). The atom is an edge from the start to the first absorbing vertex. `O(V + E)`.
///
/// # Errors
/// [`TransformError::Defective`] under [`Deficit::Refuse`] when α does not sum to 1 (within 1e-9), and always when it sums
/// to more; [`TransformError::NoStart`] when it sums to 0; [`TransformError::NoAbsorbingVertex`] when an atom has nowhere
/// to go; or a limit.
pub fn settle_deficit(graph: &Graph, deficit: Deficit, limits: GraphLimits) -> Result<Graph, TransformError> {
    let mut initial: Vec<(u32, f64)> = graph
        .edges(START)
        .map(|edge| (edge.target, graph.fixed_weight(edge.index).unwrap_or_default()))
        .collect();
    let sum: f64 = initial.iter().map(|&(_, probability)| probability).sum();
    if sum == 0.0 {
        return Err(TransformError::NoStart);
    }
    let complete = (sum - 1.0).abs() <= SUM_TOLERANCE;
    if !complete && (deficit == Deficit::Refuse || sum > 1.0) {
        return Err(TransformError::Defective { part: None, sum });
    }
    match deficit {
        _ if complete => {}
        Deficit::Atom => {
            let absorbing = (1..graph.vertex_count())
                .find(|&vertex| graph.is_absorbing(vertex))
                .ok_or(TransformError::NoAbsorbingVertex)?;
            initial.push((absorbing, 1.0 - sum));
        }
        Deficit::Condition => {
            for (_, probability) in &mut initial {
                *probability /= sum;
            }
        }
        Deficit::Keep | Deficit::Refuse => {}
    }
    rebuilt(graph, Some(&initial), |_| false, limits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::random_graphs::{close, moments, recipe, rewarded_moments};
    use super::*;
    use crate::plan::{Limits, Plan};

    /// Kingman's coalescent for four lineages, which starts with probability 0.6 only.
    fn coalescent() -> Graph {
        let mut builder = GraphBuilder::new(1).unwrap();
        let v: Vec<u32> = [4, 3, 2, 1].iter().map(|&s| builder.add_vertex(&[s]).unwrap()).collect();
        builder.add_edge(START, v[0], Rate::Scalar(0.6)).unwrap();
        for (pair, rate) in v.windows(2).zip([6.0, 3.0, 1.0]) {
            builder.add_edge(pair[0], pair[1], Rate::Coefficients(&[rate])).unwrap();
        }
        builder.finish()
    }

    fn mean(graph: &Graph, theta: &[f64]) -> f64 {
        Plan::analyze(graph, &Limits::default()).unwrap().at(theta).unwrap().expectation()
    }

    #[test]
    fn a_part_of_a_model_stays_parameterized() {
        let limits = GraphLimits::default();
        let part = started_at(&coalescent(), &[(2, 1.0)], limits).unwrap();
        let part = first_passage(&part, &[3], limits).unwrap();
        assert_eq!(mean(&part, &[2.0]), 1.0 / 6.0);
        assert_eq!(part.param_length(), 1);
        // Also when no edge is left that could say how many parameters there are.
        let stopped = first_passage(&coalescent(), &[1, 2, 3], limits).unwrap();
        assert_eq!((stopped.param_length(), mean(&stopped, &[2.0])), (1, 0.0));
    }

    #[test]
    fn a_deficit_is_settled_as_asked() {
        let limits = GraphLimits::default();
        let refused = settle_deficit(&coalescent(), Deficit::Refuse, limits);
        assert_eq!(refused, Err(TransformError::Defective { part: None, sum: 0.6 }));
        let atom = settle_deficit(&coalescent(), Deficit::Atom, limits).unwrap();
        assert_eq!((atom.targets(START), atom.unit_weights()[1]), (&[1, 4][..], 0.4));
        let conditional = settle_deficit(&coalescent(), Deficit::Condition, limits).unwrap();
        assert_eq!(conditional.unit_weights()[0], 1.0);
        assert_eq!(settle_deficit(&coalescent(), Deficit::Keep, limits).unwrap(), coalescent());
        assert_eq!(mean(&atom, &[1.0]), 0.6 * mean(&conditional, &[1.0]));
        assert_eq!(settle_deficit(&conditional, Deficit::Refuse, limits).unwrap(), conditional);
    }

    #[test]
    fn vertices_that_cannot_be_meant_are_named_with_their_place() {
        let (graph, limits) = (coalescent(), GraphLimits::default());
        let unknown = TransformError::NoSuchVertex { index: 1, vertex: 9, vertices: 5 };
        assert_eq!(first_passage(&graph, &[1, 9], limits), Err(unknown));
        let start = TransformError::StartNamed { index: 0 };
        assert_eq!(time_in(&graph, &[START]), Err(start));
        let negative = TransformError::Probability { index: 1, value: -0.5 };
        assert_eq!(started_at(&graph, &[(1, 0.5), (2, -0.5)], limits), Err(negative));
        let surplus = TransformError::ProbabilitySum { sum: 1.5 };
        assert_eq!(started_at(&graph, &[(1, 1.0), (2, 0.5)], limits), Err(surplus));
    }

    proptest! {
        #[test]
        fn times_in_a_set_and_outside_add_up(recipe in recipe(2..=6), pick in prop::collection::vec(any::<bool>(), 6)) {
            let graph = recipe.graph(false);
            let split = |inside: bool| -> Vec<u32> {
                (1..=recipe.onward.len() as u32).filter(|&v| pick[v as usize - 1] == inside).collect()
            };
            let spent = |set: &[u32]| rewarded_moments(&graph, &time_in(&graph, set).unwrap(), 1)[0];
            let (inside, outside) = (spent(&split(true)), spent(&split(false)));
            prop_assert!(close(inside + outside, moments(&graph, 1)[0], 1e-13));
        }
    }
}
