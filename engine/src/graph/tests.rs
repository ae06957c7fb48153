#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "small test numbers")]
use super::*;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;

fn chain(coefficients: &[&[f64]]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=coefficients.len() + 1 {
        builder.add_vertex(&[state as i32]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (i, list) in coefficients.iter().enumerate() {
        builder.add_edge(i as u32 + 1, i as u32 + 2, Rate::Coefficients(list)).unwrap();
    }
    builder.finish()
}

/// A vertex of very many edges to one other, in no order, some with −0.0 beside 0.0.
fn wide(edges: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
    builder.add_edge(START, a, Rate::Scalar(1.0)).unwrap();
    for edge in 0..edges {
        let rate = f64::from(edge.wrapping_mul(2_654_435_769) % 1000);
        let tie = if edge % 2 == 0 { 0.0 } else { -0.0 };
        builder.add_edge(a, b, Rate::Coefficients(&[rate, tie])).unwrap();
    }
    builder.finish()
}

#[test]
fn edges_of_a_vertex_that_are_sorted_in_parts_are_hashed_in_the_order_of_phasic() {
    for edges in [1, 1 << 14, (1 << 14) + 1, 100_000] {
        let graph = wide(edges);
        // Artifact specification, section 4, of all edges of a vertex at once.
        let mut whole = Sha256::new();
        for size in [1_u64, 2, 3] {
            whole.update(size.to_le_bytes());
        }
        whole.update([u8::from(graph.is_parameterized())]);
        for vertex in 0..3 {
            let mut bytes: Vec<u8> = graph.state(vertex)[0].to_le_bytes().to_vec();
            let mut sorted: Vec<_> = graph.edges(vertex).collect();
            sorted.sort_by(|a, b| a.coefficients.partial_cmp(b.coefficients).unwrap());
            for edge in sorted {
                bytes.extend(u64::from(edge.target).to_le_bytes());
                bytes.extend(edge.coefficients.iter().flat_map(|value| value.to_le_bytes()));
            }
            whole.update(Sha256::digest(&bytes)[..8].iter().rev().copied().collect::<Vec<_>>());
        }
        let expected = GraphHash::from_bytes(whole.finalize().into());
        assert_eq!(graph.content_hash(), expected, "{edges}");
    }
}

/// Breaks off with the number of the question.
type Watch<'w> = dyn FnMut() -> ControlFlow<u32> + 'w;

#[test]
fn naming_a_graph_can_be_stopped_within_a_vertex_of_very_many_edges() {
    let graph = wide(200_000);
    let count = |name: &dyn Fn(&mut Watch<'_>) -> ControlFlow<u32>| {
        let mut asked = 0_u32;
        let whole = name(&mut || {
            asked += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(whole, ControlFlow::Continue(()));
        for place in [0, 1, asked / 2, asked - 1] {
            let mut left = place;
            let stopped = name(&mut || {
                left = left.checked_sub(1).map_or(ControlFlow::Break(place), ControlFlow::Continue)?;
                ControlFlow::Continue(())
            });
            assert_eq!(stopped, ControlFlow::Break(place));
        }
        asked
    };
    // Every 2^14 edges, at each of the levels of sorting and while they are hashed.
    let asked = count(&|mut watch| graph.content_hash_watched(&mut watch).map_continue(drop));
    assert!(asked > 50, "the hash asked {asked} times");
    let asked = count(&|mut watch| graph.edge_order_digest_watched(&mut watch).map_continue(drop));
    assert!(asked > 10, "the digest asked {asked} times");
}

#[test]
fn negative_zero_coefficients_hash_by_their_bits_and_ties_keep_edge_order() {
    // Hashes returned by phasic 0.32.1 for these four graphs.
    let hash = |lists: &[[f64; 2]]| {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
        builder.add_edge(START, a, Rate::Scalar(1.0)).unwrap();
        for list in lists {
            builder.add_edge(a, b, Rate::Coefficients(list)).unwrap();
        }
        builder.finish().content_hash().to_string()
    };
    assert_eq!(hash(&[[-0.0, 1.0]]), "ea87d37171ce25d55972cc83568de493be308fa02b254295c5ff2d84a257ceda");
    assert_eq!(hash(&[[0.0, 1.0]]), "e7b4443f3f18cef6cee9580106efb4169f23d2641833f50c62cfa258c60d5ad1");
    let (plus, minus) = ([0.0, 1.0], [-0.0, 1.0]);
    assert_eq!(hash(&[plus, minus]), "5638dd6ad8c5ae3ce801f4e6585f44d50eb42982f03167ecae641dd2e3db2c7e");
    assert_eq!(hash(&[minus, plus]), "d11ecc45dc0a4928e37d19ca92e9ce7861c41fffbbf3096e64340af5c56253ad");
}

#[test]
fn edges_that_phasic_refuses_are_refused() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
    assert_eq!(builder.add_edge(a, a, Rate::Scalar(1.0)), Err(GraphError::SelfLoop { vertex: a }));
    let unknown = builder.add_edge(a, 9, Rate::Scalar(1.0));
    assert_eq!(unknown, Err(GraphError::NoSuchVertex { vertex: 9, vertices: 3 }));
    let negative = builder.add_edge(START, b, Rate::Coefficients(&[1.0, -3.0]));
    assert_eq!(negative, Err(GraphError::NegativeWeight { from: 0, to: b, weight: -2.0 }));
    builder.add_edge(a, b, Rate::Coefficients(&[1.0, 2.0])).unwrap();
    assert_eq!(builder.add_edge(b, a, Rate::Scalar(1.0)), Err(GraphError::MixedRates { from: b, to: a }));
    let short = builder.add_edge(b, a, Rate::Coefficients(&[1.0]));
    assert_eq!(short, Err(GraphError::TooFewCoefficients { from: b, to: a, expected: 2, found: 1 }));
    let empty = builder.add_edge(b, a, Rate::Coefficients(&[]));
    assert_eq!(empty, Err(GraphError::NoCoefficients { from: b, to: a }));
    assert!(builder.add_edge(b, a, Rate::Coefficients(&[f64::NAN, 1.0])).is_err());
    assert_eq!(builder.edge_count(), 1);
}

#[test]
fn start_edges_are_cut_to_the_parameters_known_when_they_are_added() {
    let build = |set_first: bool| {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
        if set_first {
            builder.set_param_length(1).unwrap();
        }
        builder.add_edge(START, a, Rate::Coefficients(&[0.25, 0.5])).unwrap();
        builder.add_edge(a, b, Rate::Coefficients(&[3.0])).unwrap();
        builder.finish()
    };
    assert_eq!(build(false).weights(&[2.0]).unwrap(), [0.75, 6.0]);
    assert_eq!(build(true).weights(&[2.0]).unwrap(), [0.25, 6.0]);
}

#[test]
fn a_surplus_coefficient_is_kept_until_theta_is_set() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
    builder.add_edge(a, b, Rate::Coefficients(&[1.0])).unwrap();
    builder.add_edge(b, a, Rate::Coefficients(&[2.0, 5.0])).unwrap();
    let graph = builder.finish();
    assert_eq!(graph.unit_weights(), [1.0, 2.0]);
    let refused = graph.weights(&[1.0]);
    assert_eq!(refused, Err(WeightError::CoefficientLength { from: b, to: a, expected: 1, found: 2 }));
    assert_eq!(graph.weights(&[]), Err(WeightError::ThetaLength { expected: 1, found: 0 }));
}

#[test]
fn limits_name_what_there_is_too_much_of() {
    let limits = GraphLimits::default().with_vertices(2);
    let mut builder = GraphBuilder::with_limits(1, limits).unwrap();
    builder.add_vertex(&[1]).unwrap();
    assert_eq!(builder.find_or_add_vertex(&[1]), Ok(1));
    assert_eq!(builder.add_vertex(&[2]), Err(GraphError::Limit { what: "vertices", limit: 2 }));
    let limits = GraphLimits::default().with_memory_bytes(40);
    let mut builder = GraphBuilder::with_limits(1, limits).unwrap();
    builder.add_vertex(&[1]).unwrap();
    builder.add_vertex(&[2]).unwrap();
    let refused = builder.add_edge(1, 2, Rate::Coefficients(&[1.0]));
    assert_eq!(refused, Err(GraphError::Limit { what: "bytes of memory", limit: 40 }));
}

#[test]
fn discretization_doubles_the_transient_vertices_and_normalises() {
    let graph = chain(&[&[3.0], &[1.0]]).discretize(0.25).unwrap();
    assert_eq!((graph.vertex_count(), graph.edge_count(), graph.param_length()), (6, 7, 2));
    assert!(graph.was_dph());
    assert_eq!(graph.targets(1), [2, 4]);
    assert_eq!(graph.targets(4), [1]);
    let weights = graph.weights(&[1.0, 4.0]).unwrap();
    assert_eq!(weights, [1.0, 0.75, 0.25, 0.5, 0.5, 1.0, 1.0]);
    let refused = chain(&[&[1.0]]).discretize(1.0);
    assert_eq!(refused, Err(GraphError::DiscretizationRate { vertex: 1, rate: 1.0 }));
}

#[test]
fn normalisation_reports_the_mean_sojourn_of_each_vertex() {
    let graph = chain(&[&[4.0], &[0.0]]);
    let normalized = graph.normalize(&graph.unit_weights());
    assert_eq!(normalized.weights, [1.0, 1.0, 0.0]);
    assert_eq!(normalized.factors, [1.0, 0.25, 1.0, 1.0]);
}

#[test]
fn discretizing_keeps_to_the_limits_it_is_given() {
    let limits = GraphLimits::default().with_vertices(5);
    let refused = chain(&[&[3.0], &[1.0]]).discretize_by(|_| 0.25, limits);
    assert_eq!(refused, Err(GraphError::Limit { what: "vertices", limit: 5 }));
    let by_state =
        chain(&[&[3.0], &[1.0]]).discretize_by(|state| 0.1 * f64::from(state[0]), limits.with_vertices(6));
    let first = f64::from(chain(&[&[3.0], &[1.0]]).state(1)[0]);
    assert_eq!(by_state.unwrap().edge(2).coefficients[1], 0.1 * first);
}

/// As recorded from the published package.
#[test]
fn what_weights_lack_to_one_returns_over_an_auxiliary_vertex() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..4).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    for (from, to, weight) in
        [(START, v[0], 1.0), (v[0], v[1], 0.5), (v[0], v[2], 0.25), (v[1], v[2], 0.5), (v[1], v[0], 0.5)]
    {
        builder.add_edge(from, to, Rate::Scalar(weight)).unwrap();
    }
    let graph = builder.finish();
    let (ticking, rewards) = graph.normalize_discrete(&graph.unit_weights(), GraphLimits::default()).unwrap();
    assert!(ticking.was_dph());
    assert_eq!(rewards, [1.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!((ticking.targets(1), ticking.targets(4)), (&[2, 3, 4][..], &[1][..]));
    assert_eq!(ticking.unit_weights(), [1.0, 0.5, 0.25, 0.25, 0.5, 0.5, 1.0]);
    let heavy = graph.normalize_discrete(&[1.0, 0.75, 0.5, 0.5, 0.5], GraphLimits::default());
    assert_eq!(heavy, Err(GraphError::NotAProbability { vertex: 1, sum: 1.25 }));
}

#[test]
fn merging_sums_parallel_edges_into_the_first() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
    builder.add_edge(START, a, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(START, b, Rate::Scalar(0.25)).unwrap();
    builder.add_edge(START, a, Rate::Scalar(0.25)).unwrap();
    builder.add_edge(a, b, Rate::Coefficients(&[1.0, 0.0])).unwrap();
    builder.add_edge(a, b, Rate::Coefficients(&[2.0, 7.0])).unwrap();
    let graph = builder.finish();
    assert!(graph.has_parallel_edges());
    let merged = graph.merge_parallel_edges();
    assert!(!merged.has_parallel_edges());
    assert_eq!((merged.targets(START), merged.targets(a)), (&[a, b][..], &[b][..]));
    assert_eq!(merged.weights(&[1.0, 10.0]).unwrap(), [0.75, 0.25, 73.0]);
    assert_eq!(merged.merge_parallel_edges(), merged);
}

#[test]
fn a_path_of_a_million_vertices_has_a_million_components() {
    let vertices = 1_000_000;
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..vertices {
        builder.add_vertex(&[state]).unwrap();
    }
    for vertex in 0..vertices as u32 - 1 {
        builder.add_edge(vertex, vertex + 1, Rate::Scalar(1.0)).unwrap();
    }
    let components = strongly_connected(&builder.finish());
    assert_eq!(components.count(), vertices as usize);
    assert_eq!(components.iter().next(), Some(&[vertices as u32 - 1][..]));
}

#[test]
fn members_leave_the_stack_in_reverse_order_of_discovery() {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=4 {
        builder.add_vertex(&[state]).unwrap();
    }
    for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 1), (2, 4)] {
        builder.add_edge(from, to, Rate::Scalar(1.0)).unwrap();
    }
    let graph = builder.finish();
    let components = strongly_connected(&graph);
    assert_eq!(components.iter().collect::<Vec<_>>(), [&[4][..], &[3, 2, 1], &[0]]);
    let of: Vec<_> = (0..5).map(|vertex| components.of(vertex)).collect();
    assert_eq!(of, [Some(2), Some(1), Some(1), Some(1), Some(0)]);
    assert_eq!(strongly_connected_from_start(&graph), components);
}

#[test]
fn digests_parse_only_their_own_form() {
    let hash = chain(&[&[1.0]]).content_hash();
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert!(hash.to_string().to_uppercase().parse::<GraphHash>().is_err());
    assert!("".parse::<EdgeOrderDigest>().is_err());
    assert!("zz".repeat(32).parse::<GraphHash>().is_err());
    assert!("é".repeat(32).parse::<GraphHash>().is_err());
}

/// Edges of a small random graph: source, target, two coefficients.
fn edges() -> impl Strategy<Value = Vec<(u32, u32, [f64; 2])>> {
    let edge = (1..8_u32, 1..8_u32, [0.0..4.0, 0.0..4.0]);
    prop::collection::vec(edge, 1..30).prop_map(|mut edges| {
        edges.retain(|&(from, to, _)| from != to);
        edges
    })
}

fn build(edges: &[(u32, u32, [f64; 2])], states: &[i32]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for &state in states {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    builder.set_param_length(2).unwrap();
    for (from, to, list) in edges {
        builder.add_edge(*from, *to, Rate::Coefficients(list)).unwrap();
    }
    builder.set_parameterized(true);
    builder.finish()
}

const STATES: [i32; 7] = [10, 20, 30, 40, 50, 60, 70];

proptest! {
    #[test]
    fn the_hash_ignores_edge_order_and_the_digest_does_not((edges, shuffled) in edges().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle()))) {
        let (a, b) = (build(&edges, &STATES), build(&shuffled, &STATES));
        prop_assert_eq!(a.content_hash(), b.content_hash());
        let same_order = (0..8).all(|v| a.targets(v) == b.targets(v));
        prop_assert_eq!(a.edge_order_digest() == b.edge_order_digest(), same_order);
    }

    #[test]
    fn the_hash_sees_every_coefficient_target_and_state(edges in edges(), at in any::<prop::sample::Index>(), slot in 0..2_usize) {
        prop_assume!(!edges.is_empty());
        let whole = build(&edges, &STATES).content_hash();
        let at = at.index(edges.len());
        let mut other = edges.clone();
        other[at].2[slot] += 0.5;
        prop_assert_ne!(build(&other, &STATES).content_hash(), whole);
        other = edges.clone();
        other.remove(at);
        prop_assert_ne!(build(&other, &STATES).content_hash(), whole);
        let mut states = STATES;
        states.swap(0, 1);
        prop_assert_ne!(build(&edges, &states).content_hash(), whole);
        let ticking = build(&edges, &STATES).discretize(0.5).unwrap();
        prop_assert_ne!(ticking.content_hash(), whole);
    }

    #[test]
    fn merging_keeps_the_rate_of_every_vertex(edges in edges(), theta in [0.1..3.0, 0.1..3.0]) {
        let graph = build(&edges, &STATES);
        let merged = graph.merge_parallel_edges();
        let before = graph.rates(&graph.weights(&theta).unwrap());
        let after = merged.rates(&merged.weights(&theta).unwrap());
        for (a, b) in before.iter().zip(&after) {
            prop_assert!((a - b).abs() <= 1e-12 * a.abs());
        }
    }
}
