use proptest::prelude::*;

use super::super::random_graphs::{close, moments, pushed, recipe, rewarded_moments};
use super::super::tests::plan;
use super::{
    RewardOptions, ZeroPaths, reward_transform, reward_transform_discrete, reward_transform_parameterized,
};
use crate::distribution::TransformError;
use crate::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate, START};

fn transformed(graph: &Graph, rewards: &[f64]) -> Result<Graph, TransformError> {
    reward_transform(graph, &[], rewards, &RewardOptions::default())
}

/// start → 1 → 2 → 3, and half of vertex 1 straight to 3.
fn fork() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..4).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[0], v[1], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[0], v[2], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[1], v[2], Rate::Scalar(4.0)).unwrap();
    builder.finish()
}

#[test]
fn paths_that_collect_nothing_are_an_atom_or_left_out() {
    let atom = transformed(&fork(), &[0.0, 0.0, 2.0, 0.0]).unwrap();
    assert_eq!((atom.targets(START), atom.targets(1)), (&[1, 2][..], &[2][..]));
    assert_eq!(atom.unit_weights(), [0.5, 0.5, 2.0]);
    let options = RewardOptions::default().with_zero_paths(ZeroPaths::Condition);
    let conditional = reward_transform(&fork(), &[], &[0.0, 0.0, 2.0, 0.0], &options).unwrap();
    assert_eq!(conditional.unit_weights(), [1.0, 2.0]);
    let nothing = reward_transform(&fork(), &[], &[0.0; 4], &options);
    assert_eq!(nothing, Err(TransformError::NoReward));
    assert_eq!(moments(&transformed(&fork(), &[0.0; 4]).unwrap(), 1), [0.0]);
}

#[test]
fn a_tiny_reward_counts_unless_phasic_is_to_be_followed() {
    let rewards = [0.0, 5e-7, 2.0, 0.0];
    let exact = transformed(&fork(), &rewards).unwrap();
    assert!(close(moments(&exact, 1)[0], 0.5 * 5e-7 + 0.25, 1e-15));
    let compat = reward_transform(&fork(), &[], &rewards, &RewardOptions::compat()).unwrap();
    assert_eq!(moments(&compat, 1)[0], 0.25);
}

#[test]
fn bad_rewards_are_named() {
    let graph = fork();
    assert_eq!(transformed(&graph, &[0.0; 3]), Err(TransformError::RewardLength { expected: 4, found: 3 }));
    assert_eq!(
        transformed(&graph, &[0.0, 1.0, -1.0, 0.0]),
        Err(TransformError::InvalidReward { vertex: 2, value: -1.0 })
    );
    assert!(transformed(&graph, &[0.0, 1.0, f64::NAN, 0.0]).is_err());
    let ticking = graph.discretize(0.5).unwrap();
    assert_eq!(transformed(&ticking, &[0.0; 6]), Err(TransformError::Discrete));
    let refused = reward_transform_discrete(&graph, &[], &[0; 4], &RewardOptions::default());
    assert_eq!(refused, Err(TransformError::Continuous));
}

#[test]
fn a_trap_without_reward_is_named() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..5).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    for (from, to) in [(START, v[0]), (v[0], v[1]), (v[1], v[2]), (v[2], v[1]), (v[0], v[3])] {
        builder.add_edge(from, to, Rate::Scalar(1.0)).unwrap();
    }
    let trapped = transformed(&builder.finish(), &[0.0, 1.0, 0.0, 0.0, 0.0]);
    assert!(matches!(trapped, Err(TransformError::Trapped { vertex: 2 | 3 })), "{trapped:?}");
}

#[test]
fn a_trap_of_which_only_a_part_earns_is_named() {
    // Half ends, half goes to and fro between 1 and 2 for ever: its total is infinite, not an exponential one.
    for parameterized in [false, true] {
        let mut builder = GraphBuilder::new(1).unwrap();
        let [a, b, c, end] = [1, 2, 3, 4].map(|state| builder.add_vertex(&[state]).unwrap());
        let rate = if parameterized { Rate::Coefficients(&[1.0]) } else { Rate::Scalar(1.0) };
        for (from, to, rate) in [(START, a, Rate::Scalar(0.5)), (START, c, Rate::Scalar(0.5))] {
            builder.add_edge(from, to, rate).unwrap();
        }
        for (from, to) in [(a, b), (b, a), (c, end)] {
            builder.add_edge(from, to, rate).unwrap();
        }
        let graph = builder.finish();
        let rewards = [0.0, 1.0, 0.0, 1.0, 0.0];
        let linear = reward_transform_parameterized(&graph, &rewards, GraphLimits::default());
        assert_eq!(linear.unwrap_err(), TransformError::Trapped { vertex: a });
        if !parameterized {
            assert_eq!(transformed(&graph, &rewards).unwrap_err(), TransformError::Trapped { vertex: a });
        }
    }
}

#[test]
fn a_limit_on_edges_holds_on_the_way() {
    // A hub without reward between ten sources and ten targets: 20 edges become 100.
    let mut builder = GraphBuilder::new(1).unwrap();
    let hub = builder.add_vertex(&[0]).unwrap();
    let end = builder.add_vertex(&[1]).unwrap();
    for state in 0..10 {
        let (a, b) = (builder.add_vertex(&[10 + state]).unwrap(), builder.add_vertex(&[20 + state]).unwrap());
        builder.add_edge(START, a, Rate::Scalar(0.1)).unwrap();
        builder.add_edge(a, hub, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(hub, b, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(b, end, Rate::Scalar(1.0)).unwrap();
    }
    let graph = builder.finish();
    let mut rewards = [1.0; 23];
    rewards[hub as usize] = 0.0;
    let limited = RewardOptions::default().with_limits(GraphLimits::default().with_edges(60));
    let limit = TransformError::Graph(GraphError::Limit { what: "edges", limit: 60 });
    assert_eq!(reward_transform(&graph, &[], &rewards, &limited), Err(limit));
    assert_eq!(transformed(&graph, &rewards).unwrap().edge_count(), 120);
}

#[test]
fn a_discrete_reward_of_one_with_a_way_back_keeps_its_geometric_law() {
    // Toss until heads, tails lead back through a vertex without reward: the tosses are geometric.
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    let v: Vec<u32> = (1..4).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    for (from, to, p) in [(START, v[0], 1.0), (v[0], v[1], 0.75), (v[0], v[2], 0.25), (v[1], v[0], 1.0)] {
        builder.add_edge(from, to, Rate::Scalar(p)).unwrap();
    }
    let graph = builder.finish();
    let tosses = reward_transform_discrete(&graph, &[], &[0, 1, 0, 0], &RewardOptions::default()).unwrap();
    assert!(tosses.was_dph());
    for (jumps, found) in (1..).zip(&pushed(&tosses, 20)[1..]) {
        assert!(close(*found, 0.25 * 0.75_f64.powi(jumps - 1), 1e-14));
    }
    // phasic's own transform of this graph has no such vertex and is not flagged discrete.
    let limited = RewardOptions::default().with_limits(GraphLimits::default().with_vertices(1000));
    let long = reward_transform_discrete(&graph, &[], &[0, 5000, 0, 0], &limited);
    assert!(matches!(long, Err(TransformError::Graph(GraphError::Limit { what: "vertices", .. }))));
}

/// The law of a total of whole rewards. Vertices without reward are taken out, however long mass stays among them, by
/// subtraction-free elimination; then each visit adds to the total, and mass goes through (total so far, vertex).
fn totals(graph: &Graph, rewards: &[u32], last: usize) -> Vec<f64> {
    let weights = graph.unit_weights();
    let vertices = graph.vertex_count() as usize;
    let mut rows = vec![vec![0.0; vertices]; vertices];
    for (vertex, row) in rows.iter_mut().enumerate() {
        for edge in graph.edges(vertex as u32) {
            row[edge.target as usize] += weights[edge.index as usize];
        }
    }
    let absorbing = |vertex: usize| graph.is_absorbing(vertex as u32);
    for silent in (1..vertices).filter(|&vertex| rewards[vertex] == 0 && !absorbing(vertex)) {
        let mut out = std::mem::take(&mut rows[silent]);
        out[silent] = 0.0;
        let leaving: f64 = out.iter().sum();
        for row in rows.iter_mut().filter(|row| !row.is_empty()) {
            let share = std::mem::take(&mut row[silent]) / leaving;
            row.iter_mut().zip(&out).for_each(|(slot, weight)| *slot += share * weight);
        }
    }
    let mut law = vec![0.0; last + 1];
    let mut mass = vec![vec![0.0; vertices]; last + 1];
    mass[0][0] = 1.0;
    for total in 0..=last {
        for vertex in 0..vertices {
            let reward = if vertex == 0 { 0 } else { rewards[vertex] as usize };
            let here = std::mem::take(&mut mass[total][vertex]);
            if here == 0.0 || total + reward > last {
                continue;
            }
            for (target, weight) in rows[vertex].iter().enumerate() {
                let slot = if absorbing(target) {
                    &mut law[total + reward]
                } else {
                    &mut mass[total + reward][target]
                };
                *slot += here * weight;
            }
        }
    }
    law
}

#[test]
fn totals_are_known_however_long_vertices_without_reward_are_stayed_in() {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    let v: Vec<u32> = (1..5).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    let rare = 1e-9;
    for (from, to, p) in [
        (START, v[0], 1.0),
        (v[0], v[1], 1.0),
        (v[1], v[0], 1.0 - rare),
        (v[1], v[2], rare),
        (v[2], v[3], 1.0),
    ] {
        builder.add_edge(from, to, Rate::Scalar(p)).unwrap();
    }
    let graph = builder.finish();
    let rewards = [0, 0, 0, 2, 0];
    let law = totals(&graph, &rewards, 3);
    let result = reward_transform_discrete(&graph, &[], &rewards, &RewardOptions::default()).unwrap();
    for (found, at) in [(law, "sum"), (pushed(&result, 3), "transform")] {
        assert!((found[2] - 1.0).abs() < 1e-15 && found[0] == 0.0 && found[1] == 0.0, "{at}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn moments_of_the_transform_are_the_rewarded_moments(
        recipe in recipe(1..=7),
        picks in prop::collection::vec(prop_oneof![Just(0.0), Just(1e-4), 0.1..5.0_f64], 9),
        returns in prop::collection::vec((0..7_usize, 0.1..2.0_f64), 0..3),
    ) {
        let graph = recipe.with_returns(false, &returns);
        let rewards = &picks[..recipe.vertex_count()];
        let wanted = rewarded_moments(&graph, rewards, 4);
        let result = transformed(&graph, rewards).unwrap();
        prop_assert!(!result.has_parallel_edges());
        for (found, wanted) in moments(&result, 4).into_iter().zip(wanted) {
            prop_assert!(close(found, wanted, 1e-11), "{found} {wanted}");
        }
        let initial: f64 = result.edges(START).map(|e| result.unit_weights()[e.index as usize]).sum();
        prop_assert!((initial - 1.0).abs() < 1e-14);
    }

    #[test]
    fn conditioning_divides_moments_by_the_chance_of_a_reward(
        recipe in recipe(2..=6),
        picks in prop::collection::vec(prop_oneof![Just(0.0), 0.1..5.0_f64], 8),
    ) {
        let graph = recipe.graph(false);
        let rewards = &picks[..recipe.vertex_count()];
        let options = RewardOptions::default().with_zero_paths(ZeroPaths::Condition);
        let Ok(conditional) = reward_transform(&graph, &[], rewards, &options) else {
            prop_assert!(rewards[1..=recipe.onward.len()].iter().all(|&r| r == 0.0));
            return Ok(());
        };
        let all = transformed(&graph, rewards).unwrap();
        let atom: f64 = all.edges(START).filter(|e| all.is_absorbing(e.target))
            .map(|e| all.unit_weights()[e.index as usize]).sum();
        for (found, whole) in moments(&conditional, 3).into_iter().zip(moments(&all, 3)) {
            prop_assert!(close(found, whole / (1.0 - atom), 1e-11));
        }
    }

    #[test]
    fn jumps_of_the_discrete_transform_are_the_total(
        recipe in recipe(1..=5),
        picks in prop::collection::vec(0..4_u32, 7),
    ) {
        let graph = recipe.graph(true);
        let rewards = &picks[..recipe.vertex_count()];
        let result = reward_transform_discrete(&graph, &[], rewards, &RewardOptions::default()).unwrap();
        let wanted = totals(&graph, rewards, 12);
        for (found, wanted) in pushed(&result, 12).into_iter().zip(wanted) {
            prop_assert!((found - wanted).abs() < 1e-14, "{found} {wanted}");
        }
    }
}

#[test]
fn what_comes_back_to_a_start_that_lacks_something_lacks_it_again() {
    // Half of it starts; from vertex 1 half goes back to the start, the other half on to vertex 2.
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..4).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(0.5)).unwrap();
    builder.add_edge(v[0], START, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[0], v[1], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[1], v[2], Rate::Scalar(1.0)).unwrap();
    let graph = builder.finish();
    // x = 1/4 + x/4, as for the time itself.
    for rewards in [[0.0, 0.0, 1.0, 0.0], [0.0, 1e-9, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]] {
        let law = transformed(&graph, &rewards).unwrap();
        let plan = super::super::tests::plan(&law);
        let theta = vec![1.0; law.param_length()];
        let below = plan.distribution(&theta).unwrap().cdf(&[200.0]).unwrap()[0];
        assert!(close(below, 1.0 / 3.0, 1e-11), "{rewards:?}: {below}");
    }
}

/// Two lineages of three that coalesce, each with a state of its own; rates of both kinds, and a way back to the start.
fn parameterized() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..=5).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(0.75)).unwrap();
    builder.add_edge(START, v[1], Rate::Scalar(0.25)).unwrap();
    for (from, to, rates) in
        [(0, 1, [3.0, 0.5]), (0, 2, [0.0, 1.0]), (1, 3, [2.0, 0.0]), (3, 4, [1.0, 1.0]), (2, 4, [0.5, 0.0])]
    {
        builder.add_edge(v[from], v[to], Rate::Coefficients(&rates)).unwrap();
    }
    builder.add_fixed_edge(v[2], v[0], 0.5).unwrap();
    builder.add_edge(v[3], START, Rate::Coefficients(&[0.0, 0.3])).unwrap();
    builder.finish()
}

#[test]
fn a_transform_with_parameters_is_that_at_each_theta() {
    // Vertex 2 earns nothing and leads to 4 alone.
    for rewards in [[0.0, 2.0, 0.5, 3.0, 0.25, 0.0], [0.0, 2.0, 0.0, 3.0, 0.25, 0.0]] {
        let graph = parameterized();
        let linear = reward_transform_parameterized(&graph, &rewards, GraphLimits::default()).unwrap();
        let of_theta = plan(&linear);
        for theta in [[1.0, 1.0], [0.3, 2.0], [4.0, 0.1]] {
            let scalar =
                plan(&reward_transform(&graph, &theta, &rewards, &RewardOptions::default()).unwrap());
            let times = [0.0, 0.3, 1.5, 6.0];
            let wanted = scalar.distribution(&[1.0]).unwrap().curve(&times).unwrap();
            let found = of_theta.distribution(&theta).unwrap().curve(&times).unwrap();
            for at in 0..times.len() {
                assert!((found.pdf[at] - wanted.pdf[at]).abs() < 1e-10, "{theta:?}: {found:?} {wanted:?}");
                assert!((found.cdf[at] - wanted.cdf[at]).abs() < 1e-10, "{theta:?}: {found:?} {wanted:?}");
            }
            // Slopes, by differences of fourth order.
            let likelihood = of_theta.likelihood(&[0.3, 1.5]).unwrap();
            let (_, gradient) = likelihood.value_and_gradient(&theta).unwrap();
            for parameter in 0..2 {
                let value = |steps: f64| {
                    let mut theta = theta;
                    theta[parameter] *= 1.0 + 1e-3 * steps;
                    likelihood.value(&theta).unwrap()
                };
                let slope = (8.0 * (value(1.0) - value(-1.0)) - (value(2.0) - value(-2.0)))
                    / (12.0 * 1e-3 * theta[parameter]);
                assert!(
                    (gradient[parameter] - slope).abs() < 1e-7 * (1.0 + slope.abs()),
                    "{gradient:?} {slope}"
                );
            }
        }
    }
}

#[test]
fn a_transform_that_is_not_linear_is_refused_with_the_vertex() {
    let graph = parameterized();
    let refused = |rewards: &[f64]| {
        reward_transform_parameterized(&graph, rewards, GraphLimits::default()).unwrap_err()
    };
    assert_eq!(refused(&[0.0, 0.0, 1.0, 1.0, 1.0, 0.0]), TransformError::NoRewardOnTheWay { vertex: 1 });
    assert_eq!(refused(&[0.0; 3]), TransformError::RewardLength { expected: 6, found: 3 });
    let negative = refused(&[0.0, 1.0, -1.0, 1.0, 1.0, 0.0]);
    assert_eq!(negative, TransformError::InvalidReward { vertex: 2, value: -1.0 });
    // Round and round without earning anything.
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..4).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[0], v[1], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[1], v[0], Rate::Scalar(1.0)).unwrap();
    let refused = reward_transform_parameterized(&builder.finish(), &[0.0; 4], GraphLimits::default());
    assert_eq!(refused, Err(TransformError::Trapped { vertex: 1 }));
    let ticking = fork().discretize(0.5).unwrap();
    let refused = reward_transform_parameterized(&ticking, &[1.0; 6], GraphLimits::default());
    assert_eq!(refused, Err(TransformError::Discrete));
}

#[test]
fn starts_that_are_tried_again_and_again_lack_what_they_lack_and_no_rounding() {
    // Ten starts of a tenth each, which sum to less than 1 by rounding, or a start that truly lacks something.
    for (starts, probability) in [(10, 0.1), (1, 1.0 - 1e-10), (1, 0.75)] {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (worth, out) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        for number in 0..starts {
            let vertex = builder.add_vertex(&[2 + number]).unwrap();
            builder.add_edge(START, vertex, Rate::Scalar(probability)).unwrap();
            builder.add_edge(vertex, START, Rate::Scalar(1e6)).unwrap();
            builder.add_edge(vertex, worth, Rate::Scalar(1.0)).unwrap();
        }
        builder.add_edge(worth, out, Rate::Scalar(2.0)).unwrap();
        let mut rewards = vec![0.0; 3 + starts as usize];
        rewards[worth as usize] = 1.0;
        let found: f64 = transformed(&builder.finish(), &rewards).unwrap().unit_weights()[..1].iter().sum();
        // Each time one in a million and one goes on.
        let (initial, goes_on) = (if starts > 1 { 1.0 } else { probability }, 1.0 / (1e6 + 1.0));
        let wanted = initial * goes_on / ((1.0 - initial) + initial * goes_on);
        assert!((found / wanted - 1.0).abs() < 1e-14, "{starts}: {found} {wanted}");
    }
}
