//! Files that come in, held against what is known of their graph before they are published or mirrored.

use std::ops::ControlFlow;
use std::sync::Arc;

use phasic_hub_api::GraphHash;
use phasic_hub_api::verification::Verdict;

use super::comparison::elsewhere;
use super::findings::{Findings, Source, too_large};
use super::judge::{Comparison, Judged, Judgement};
use super::limits::Limits;
use super::{MOST_DEFINITIONS, VerifyError};
use crate::blobs::{BlobStore, read_whole};
use crate::config;
use crate::models::reference_recipe;
use crate::store::GraphRow;
use crate::workers::BrokeOff;

/// What is wrong with a file for the graph this hub itself has by the hash, which has the last word about it; `None` if
/// nothing is, or the hub has no such graph.
///
/// # Errors
/// When that could not be found out.
pub(crate) async fn misfit_of_built_in(
    graph_hash: GraphHash,
    bytes: &Arc<Vec<u8>>,
    limits: Limits<'_>,
) -> Result<Option<String>, VerifyError> {
    let Some(recipe) = reference_recipe(graph_hash) else { return Ok(None) };
    let comparison = limits.comparison(recipe.to_json()?, graph_hash);
    let mut findings = Findings::default();
    // Whether it fits is said at the end, too.
    let _ = findings.add(Source::BuiltIn, compare(comparison, bytes, limits.compute).await?);
    let (_, Judgement { verdict, difference, .. }) = findings.end(0);
    let difference = difference.unwrap_or_else(|| "it is no program of its graph".to_owned());
    match verdict {
        Verdict::Reproduced | Verdict::Equivalent => Ok(None),
        Verdict::Mismatch => Ok(Some(difference)),
        _ => Err(VerifyError::Undecided(difference)),
    }
}

/// Whether a file is the program of one of these definitions, which were submitted under its hash: held against it one at a
/// time, each within the memory of a comparison, until one gives this program. A definition that cannot be read or compared
/// does not speak for the file.
pub(crate) async fn fits_submitted(
    (graph_hash, definitions): (GraphHash, Vec<GraphRow>),
    bytes: &Arc<Vec<u8>>,
    blobs: &dyn BlobStore,
    limits: Limits<'_>,
) -> bool {
    let untried = definitions.len().saturating_sub(MOST_DEFINITIONS);
    let mut findings = Findings::default();
    for row in definitions.into_iter().take(MOST_DEFINITIONS) {
        let text = read_whole(blobs, row.recipe).await.unwrap_or_default();
        let Ok(recipe) = String::from_utf8(text) else { continue };
        let found = compare(limits.comparison(recipe, graph_hash), bytes, limits.compute).await;
        let judgement = found.unwrap_or_else(|error| {
            tracing::warn!(%graph_hash, %error, "could not hold a file against a graph that was submitted");
            too_large(error.to_string())
        });
        if findings.add(Source::Submitted(row.identity.definition), judgement).is_break() {
            break;
        }
    }
    let (_, Judgement { verdict, .. }) = findings.end(untried);
    matches!(verdict, Verdict::Reproduced | Verdict::Equivalent)
}

/// Holds a file against a graph; as the settings say, in a process of its own.
async fn compare(
    comparison: Comparison,
    bytes: &Arc<Vec<u8>>,
    compute: &config::Compute,
) -> Result<Judgement, VerifyError> {
    let judged = if compute.isolated {
        elsewhere(comparison, bytes, compute, std::future::pending()).await?
    } else {
        let bytes = Arc::clone(bytes);
        let work = move || comparison.perform(&bytes, |_| ControlFlow::Continue(()));
        tokio::task::spawn_blocking(work).await.map_err(|_| BrokeOff)??
    };
    let Judged::Found(judgement) = judged else {
        return Err(VerifyError::Undecided("the graph is built as another one, or nobody waited".to_owned()));
    };
    Ok(judgement)
}
