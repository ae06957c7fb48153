//! Plan files: our own artifacts, read and held against the graph they are to be used for.
//!
//! What a plan means and how it is stored is the engine's business.

use phasic_engine::graph::{Graph, GraphHash};
use phasic_engine::plan::{AnalysisError, Plan, PlanFileError, PlanVerificationError};

use crate::failure::Failure;
use crate::limits::Limits;
use crate::progress::{Bar, Unit};

/// What plan files of every version begin with.
const MAGIC: &[u8] = b"PHPLAN";

/// Whether the bytes want to be a plan file.
pub(crate) fn is_plan(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The plan in a file, and the content hash of the graph it says it was made for.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<(GraphHash, Plan), Failure> {
    let mut bar = Bar::new("reading the plan", Unit::Vertices);
    Plan::decode_watched(bytes, &limits.analysis(), &mut bar).map_err(|error| match error {
        PlanFileError::Limits(limit) => limit.into(),
        damage => Failure::refused(damage.to_string()),
    })
}

/// The plan of a graph, if the file holds that and nothing else.
pub(crate) fn verify(bytes: &[u8], graph: &Graph, limits: &Limits) -> Result<Plan, Failure> {
    let mut bar = Bar::new("verifying", Unit::Vertices);
    Plan::verify_watched(bytes, graph, &limits.analysis(), &mut bar).map_err(|error| match error {
        PlanVerificationError::TooLarge(limit)
        | PlanVerificationError::File(PlanFileError::Limits(limit)) => limit.into(),
        refused => Failure::refused(refused.to_string()),
    })
}

/// Analyses a graph, and shows how far it is.
pub(crate) fn analyze(graph: &Graph, limits: &Limits) -> Result<Plan, AnalysisError> {
    let mut bar = Bar::new("analysing the graph", Unit::Vertices);
    Plan::analyze_watched(graph, &limits.analysis(), &mut bar)
}

/// What a plan consists of and costs, by the names that JSON has for it; the number to show first comes first.
pub(crate) fn counts(plan: &Plan) -> [(&'static str, u64); 7] {
    let cost = plan.cost();
    [
        ("multiply_adds", cost.multiply_adds),
        ("factor_entries", cost.factor_entries),
        ("edges", cost.edges),
        ("components", cost.components),
        ("vertices", cost.vertices),
        ("plan_bytes", cost.plan_bytes),
        ("workspace_bytes", cost.workspace_bytes),
    ]
}
