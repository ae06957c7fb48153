//! Whether a plan file from elsewhere is the plan of a graph.
//!
//! Reading a file makes sure that it is safe to run; what it computes is shown by making the plan anew, and by nothing
//! less. Numbers at parameters that somebody tried prove little: a file can be right there and wrong elsewhere.

use super::file::{open, vertex_count};
use super::pace::Pace;
use super::{AnalysisError, Limits, Plan, PlanFileError};
use crate::graph::{Graph, GraphHash};
use crate::progress::{Observer, Phase, Progress};

/// Why a plan file must not be used for a graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanVerificationError {
    /// It is not an intact plan file.
    #[error(transparent)]
    File(#[from] PlanFileError),
    /// It says that it was made for another graph.
    #[error(
        "it is intact, but was made for another graph, {made_for} with {vertices} vertices; this one is {graph} with \
         {graph_vertices}"
    )]
    OtherGraph {
        /// The content hash in the file.
        made_for: GraphHash,
        /// Vertices of the graph it was made for, as it says.
        vertices: u64,
        /// The content hash of the graph.
        graph: GraphHash,
        /// Vertices of the graph.
        graph_vertices: u32,
    },
    /// It is intact and says that it is for this graph, but is not this graph's plan.
    #[error(
        "it is intact, but not the plan that analysing this graph gives: it was made for another order of edges, by \
         another version, or tampered with"
    )]
    Differs,
    /// The graph cannot be analysed within the limits, so that nothing can be said.
    #[error("it cannot be made anew here to compare: {0}")]
    TooLarge(AnalysisError),
}

impl PlanVerificationError {
    /// Whether the observer stopped it, so that nothing is said of the file.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::TooLarge(error) | Self::File(PlanFileError::Limits(error)) => {
                matches!(error, AnalysisError::Cancelled { .. })
            }
            _ => false,
        }
    }
}

impl Plan {
    /// The plan of a graph, if the file holds that and nothing else: the graph is analysed anew, and both must be equal
    /// byte for byte.
    ///
    /// The plan returned is the one made here, which knows the states of its vertices. Costs one analysis, so a file
    /// from a stranger saves no work; one of your own need only be read.
    ///
    /// # Errors
    /// [`PlanVerificationError`].
    ///
    /// ```
    /// use phasic_engine::graph::GraphLimits;
    /// use phasic_engine::plan::{Limits, Plan, PlanVerificationError};
    ///
    /// let kingman = &phasic_engine::reference::computes()[0];
    /// let graph = kingman.build(&GraphLimits::default())?;
    /// let limits = Limits::default();
    /// let file = Plan::analyze(&graph, &limits)?.encode(&graph.content_hash());
    /// assert_eq!(Plan::verify(&file, &graph, &limits)?.at(&[1.0])?.expectation(), 1.6);
    ///
    /// let another = phasic_engine::reference::computes()[1].build(&GraphLimits::default())?;
    /// let refused = Plan::verify(&file, &another, &limits);
    /// assert!(matches!(refused, Err(PlanVerificationError::OtherGraph { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(bytes: &[u8], graph: &Graph, limits: &Limits) -> Result<Self, PlanVerificationError> {
        Self::verify_watched(bytes, graph, limits, &mut ())
    }

    /// As [`verify`](Self::verify), for an observer that may stop it.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`AnalysisError::Cancelled`], of the file or of the analysis.
    pub fn verify_watched(
        bytes: &[u8],
        graph: &Graph,
        limits: &Limits,
        observer: &mut impl Observer,
    ) -> Result<Self, PlanVerificationError> {
        let (made_for, content) = open(bytes, &mut Pace::for_file(limits, observer, bytes.len()))?;
        let vertices = graph.vertex_count();
        let hashing =
            Progress { phase: Phase::Reading, vertices_done: 0, vertices: vertices.into(), commands: 0 };
        let hashed = graph.content_hash_watched(&mut || observer.progress(hashing));
        let cancelled = AnalysisError::Cancelled { done: 0, vertices: vertices as usize };
        let hash = hashed.continue_value().ok_or(PlanVerificationError::TooLarge(cancelled))?;
        if made_for != hash {
            let vertices = vertex_count(content)?;
            let graph_vertices = graph.vertex_count();
            return Err(PlanVerificationError::OtherGraph {
                made_for,
                vertices,
                graph: hash,
                graph_vertices,
            });
        }
        let own = Self::analyze_watched(graph, limits, observer).map_err(PlanVerificationError::TooLarge)?;
        if own.encode(&hash) == bytes {
            return Ok(own);
        }
        // What is wrong with it, if it cannot even be read.
        Self::decode_watched(bytes, limits, observer)?;
        Err(PlanVerificationError::Differs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{GraphBuilder, Rate, START};
    use sha2::{Digest, Sha256};

    fn graph(rate: f64) -> Graph {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
        builder.add_edge(START, a, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(a, b, Rate::Coefficients(&[rate])).unwrap();
        builder.finish()
    }

    fn with_checksum(mut file: Vec<u8>) -> Vec<u8> {
        file.truncate(file.len() - 32);
        let checksum = Sha256::digest(&file);
        file.extend(checksum);
        file
    }

    #[test]
    fn a_verified_plan_is_the_graphs_own() {
        let graph = graph(1.0);
        let own = Plan::analyze(&graph, &Limits::default()).unwrap();
        let file = own.encode(&graph.content_hash());
        assert_eq!(Plan::verify(&file, &graph, &Limits::default()), Ok(own));
    }

    #[test]
    fn a_plan_that_lies_about_its_graph_is_refused() {
        let (honest, other) = (graph(1.0), graph(3.0));
        let plan = Plan::analyze(&other, &Limits::default()).unwrap();
        let refused = |file: &[u8]| Plan::verify(file, &honest, &Limits::default()).unwrap_err();
        let said = PlanVerificationError::OtherGraph {
            made_for: other.content_hash(),
            vertices: 3,
            graph: honest.content_hash(),
            graph_vertices: 3,
        };
        assert_eq!(refused(&plan.encode(&other.content_hash())), said);
        let forged = plan.encode(&honest.content_hash());
        assert_eq!(refused(&forged), PlanVerificationError::Differs);
        let mut broken = forged.clone();
        broken[41] = 0xff;
        assert!(matches!(refused(&with_checksum(broken)), PlanVerificationError::File(_)));
        assert_eq!(refused(&forged[..60]), PlanVerificationError::File(PlanFileError::NotAPlan));
        assert_eq!(refused(&forged[..80]), PlanVerificationError::File(PlanFileError::Checksum));
    }

    #[test]
    fn a_graph_beyond_the_limits_is_no_refusal() {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..=8 {
            builder.add_vertex(&[state]).unwrap();
        }
        builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
        for (from, to) in (1..8).flat_map(|from| (1..=8).map(move |to| (from, to))) {
            if from != to {
                builder.add_edge(from, to, Rate::Coefficients(&[1.0])).unwrap();
            }
        }
        let graph = builder.finish();
        let file = Plan::analyze(&graph, &Limits::default()).unwrap().encode(&graph.content_hash());
        let narrow = Limits::default().with_multiply_adds(5);
        let error = Plan::verify(&file, &graph, &narrow).unwrap_err();
        assert!(matches!(error, PlanVerificationError::TooLarge(AnalysisError::Work { limit: 5, .. })));
    }
}
