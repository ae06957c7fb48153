//! What the hub calls a graph.

use std::convert::Infallible;
use std::ops::ControlFlow;

use phasic_engine::graph::Graph;
use phasic_hub_api::{GraphIdentity, Sha256};
use sha2::Digest as _;

/// Edges that are hashed between two questions whether to go on: a few milliseconds.
const WATCHED_EDGES: u32 = 1 << 16;

/// Hash, digest, definition and size of a graph that is small: of others [`identify_watched`] tells. Linear time.
///
/// The definition is the SHA-256 of content hash and edge-order digest (32 bytes each), and then for every edge, in
/// order, of the number of its coefficients, the coefficients, and its fixed weight where it has one (a byte 0 or 1, and
/// then the weight); numbers as little-endian u64 and f64.
pub fn identify(graph: &Graph) -> GraphIdentity {
    match identify_watched(graph, &mut || ControlFlow::<Infallible>::Continue(())) {
        ControlFlow::Continue(identity) => identity,
        ControlFlow::Break(never) => match never {},
    }
}

/// The same, of a graph that may be large: `watch` is asked now and then whether to go on, and what it breaks off with is
/// given back.
pub fn identify_watched<B>(
    graph: &Graph,
    watch: &mut impl FnMut() -> ControlFlow<B>,
) -> ControlFlow<B, GraphIdentity> {
    let graph_hash = graph.content_hash_watched(watch)?;
    let edge_order_digest = graph.edge_order_digest_watched(watch)?;
    let mut digest = sha2::Sha256::new();
    digest.update(graph_hash.as_bytes());
    digest.update(edge_order_digest.as_bytes());
    let mut bytes = Vec::new();
    for index in 0..graph.edge_count() {
        if index % WATCHED_EDGES == 0 {
            watch()?;
        }
        let edge = graph.edge(index);
        bytes.clear();
        bytes.extend((edge.coefficients.len() as u64).to_le_bytes());
        bytes.extend(edge.coefficients.iter().flat_map(|value| value.to_le_bytes()));
        match graph.fixed_weight(index) {
            None => bytes.push(0),
            Some(weight) => {
                bytes.push(1);
                bytes.extend(weight.to_le_bytes());
            }
        }
        digest.update(&bytes);
    }
    ControlFlow::Continue(GraphIdentity {
        graph_hash,
        edge_order_digest,
        definition: Sha256::from(<[u8; 32]>::from(digest.finalize())),
        vertices: graph.vertex_count().into(),
        edges: graph.edge_count().into(),
        state_length: graph.state_length() as u64,
        param_length: graph.param_length() as u64,
        discrete: graph.was_dph(),
        parallel_edges: graph.has_parallel_edges(),
    })
}

/// Memory to build a graph of this size, about: its arrays, twice, because they grow while it is built.
pub fn building_bytes(identity: &GraphIdentity) -> u64 {
    /// What a vertex and an edge take beside states and coefficients.
    const EACH: u64 = 24;
    let vertex = 4_u64.saturating_mul(identity.state_length).saturating_add(EACH);
    let edge = 8_u64.saturating_mul(identity.param_length.max(1)).saturating_add(EACH);
    let arrays = identity.vertices.saturating_mul(vertex).saturating_add(identity.edges.saturating_mul(edge));
    arrays.saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use phasic_engine::document::{Document, read};
    use phasic_engine::graph::GraphLimits;

    use super::{identify, identify_watched};

    #[test]
    fn naming_a_large_graph_can_be_stopped_at_any_time() {
        let text = phasic_engine::model::find("mm1k").unwrap().text;
        let Document::Model(document) = read(text).unwrap() else { panic!("a model") };
        let document = document.with_constant("capacity", 100_000).unwrap();
        let graph = document.build(&GraphLimits::default()).unwrap();
        let (mut asked, identity) = (0, identify(&graph));
        let whole = identify_watched(&graph, &mut || {
            asked += 1;
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(whole, ControlFlow::Continue(identity));
        assert!(asked > 50, "asked {asked} times for a hundred thousand vertices");
        for place in 0..asked {
            let mut left = place;
            let stopped = identify_watched(&graph, &mut || {
                if left == 0 {
                    return ControlFlow::Break(place);
                }
                left -= 1;
                ControlFlow::Continue(())
            });
            assert_eq!(stopped, ControlFlow::Break(place));
        }
    }
}
