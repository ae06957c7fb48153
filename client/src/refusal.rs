//! Why a file must not be used for a graph, told apart: damaged, or intact and not this graph's.
//!
//! Explains what [`crate::verification`] has refused; it lets nothing through.

use phasic_engine::artifact::{ArtifactError, Checks, decode};
use phasic_engine::graph::Graph;

use crate::verification::VerificationError;

/// Why a file must not be used for a graph.
///
/// ```
/// use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
/// use phasic_engine::trace::{Limits, eliminate};
/// use phasic_hub_client::refusal::Refusal;
/// use phasic_hub_client::verification::verify;
///
/// fn chain(length: i32) -> Result<Graph, phasic_engine::graph::GraphError> {
///     let mut builder = GraphBuilder::new(1)?;
///     let mut last = START;
///     for state in 1..=length {
///         let next = builder.add_vertex(&[state])?;
///         builder.add_edge(last, next, Rate::Scalar(1.0))?;
///         last = next;
///     }
///     Ok(builder.finish())
/// }
///
/// let mut bytes = Vec::new();
/// let trace = eliminate(&chain(5)?, &Limits::default(), &mut ())?;
/// phasic_engine::artifact::encode_ptdprmc3(&trace, &mut bytes)?;
///
/// let graph = chain(2)?;
/// let error = verify(&bytes, &graph, graph.content_hash(), &Limits::default(), &mut ()).unwrap_err();
/// let refusal = Refusal::new(error, &bytes, &graph);
/// assert_eq!(
///     refusal.to_string(),
///     "it is intact, but was made for another graph, one of at least 6 vertices; this graph has 3"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not an intact program for any graph.
    #[error(transparent)]
    Damaged(ArtifactError),
    /// An intact program that cannot be this graph's.
    #[error("it is intact, but was made for another graph{}", misfit(*vertices, *graph_vertices, fault))]
    OtherGraph {
        /// Vertices that its graph has at least.
        vertices: u32,
        /// Vertices of the graph at hand.
        graph_vertices: u32,
        /// The first place where it does not fit.
        fault: ArtifactError,
    },
    /// An intact program that could be this graph's by its shape, and is not known to be.
    #[error(transparent)]
    Program(VerificationError),
    /// An intact program that names another number of vertices than the graph has.
    #[error(
        "it is intact, but not the program of this graph: it names {vertices} vertices, and this graph has \
         {graph_vertices}"
    )]
    OtherSize {
        /// Vertices that it names.
        vertices: u32,
        /// Vertices of the graph at hand.
        graph_vertices: u32,
    },
}

impl Refusal {
    /// Finds out why verification of `bytes` against `graph` ended with `error`. Linear in the bytes.
    pub fn new(error: VerificationError, bytes: &[u8], graph: &Graph) -> Self {
        let fault = match error {
            VerificationError::Artifact(fault) => fault,
            VerificationError::Differs { .. } => {
                return Self::of_other_program(error, bytes, graph);
            }
            _ => return Self::Program(error),
        };
        match decode(bytes, &Checks::default()) {
            Err(_) => Self::Damaged(fault),
            Ok(decoded) => Self::OtherGraph {
                vertices: decoded.trace.vertex_count(),
                graph_vertices: graph.vertex_count(),
                fault,
            },
        }
    }
}

impl Refusal {
    /// What tells a program that differs from the graph's own, as far as it can be told.
    fn of_other_program(error: VerificationError, bytes: &[u8], graph: &Graph) -> Self {
        let graph_vertices = graph.vertex_count();
        match decode(bytes, &Checks::default()) {
            Ok(decoded) if decoded.trace.vertex_count() != graph_vertices => {
                Self::OtherSize { vertices: decoded.trace.vertex_count(), graph_vertices }
            }
            _ => Self::Program(error),
        }
    }
}

fn misfit(vertices: u32, graph_vertices: u32, fault: &ArtifactError) -> String {
    if vertices > graph_vertices {
        format!(", one of at least {vertices} vertices; this graph has {graph_vertices}")
    } else {
        format!(" ({}: {})", fault.field, fault.fault)
    }
}
