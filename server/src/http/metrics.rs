//! Numbers for Prometheus.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use phasic_hub_api::jobs::JobState;
use phasic_hub_api::verification::Verdict;

use super::Services;
use super::lately::Lately;
use crate::auth::Caller;
use crate::hub::Hub;
use crate::metrics::{self, Level, UpstreamLevels};
use crate::store::StoreError;

/// Numbers about this hub, in the text format of Prometheus: requests, times, bytes, connections, openings of stored
/// files, computes, blobs, jobs by state, how long the first of them waits, readiness, and the state of the mirror by
/// upstream. Counts are of what everybody sees; holders of tokens for all ids get all blobs, their bytes and all jobs
/// beside, plans kept and made, what the scrub and the verification have
/// looked at, what is in quarantine, and what was submitted and went unused. What is counted in the database is that of up
/// to a second ago; of longer ago where counting takes more than a twentieth of a second.
///
/// ```text
/// curl -s http://127.0.0.1:8787/metrics
/// ```
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "Text format 0.0.4", content_type = "text/plain", body = String))
)]
pub(super) async fn metrics(
    State(services): State<Services>,
    State(measured): State<Measured>,
    Extension(caller): Extension<Caller>,
) -> impl IntoResponse {
    let hub = &services.hub;
    measure(hub);
    let version = *hub.renderings().borrow();
    let looked = Arc::clone(hub);
    // The lines of those who see all are made at the same time: whether somebody has asked for them is not to be seen.
    let look = move || async move {
        measure_tables(&looked).await;
        if let Err(error) = measure_jobs(&looked).await {
            tracing::warn!(%error, "could not count the jobs");
        }
        all_blobs(&looked).await + &all_jobs(&looked).await
    };
    let everything = measured.0.get(version, look).await.unwrap_or_default();
    Level::PlanCacheBytes.set(services.evaluator.cache_bytes() as f64);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let all = metrics::render();
    let text = if caller.viewer().sees_all() { all + &everything } else { metrics::public(&all) };
    (headers, text)
}

/// What was counted in the database lately, with the lines of those who see all: counting reads whole tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured(Lately<String>);

/// All blobs, in lines of their own: a gauge of the recorder would be shown to whoever asks next.
async fn all_blobs(hub: &Hub) -> String {
    match hub.data.store.stored().await {
        Ok((blobs, bytes)) => format!(
            "# HELP phasic_hub_stored_blobs All blobs the database knows\n# TYPE phasic_hub_stored_blobs gauge\n\
             phasic_hub_stored_blobs {blobs}\n# HELP phasic_hub_stored_blob_bytes Bytes of these blobs\n\
             # TYPE phasic_hub_stored_blob_bytes gauge\nphasic_hub_stored_blob_bytes {bytes}\n"
        ),
        Err(error) => {
            tracing::warn!(%error, "could not count all blobs");
            String::new()
        }
    }
}

/// All jobs, likewise.
async fn all_jobs(hub: &Hub) -> String {
    let counts = match hub.data.store.job_counts().await {
        Ok(counts) => counts,
        Err(error) => {
            tracing::warn!(%error, "could not count all jobs");
            return String::new();
        }
    };
    let head =
        "# HELP phasic_hub_all_jobs Jobs by state, private ones included\n# TYPE phasic_hub_all_jobs gauge\n";
    let line = |state: JobState| {
        let jobs = counts.iter().find(|count| count.state == state).map_or(0, |count| count.jobs);
        format!("phasic_hub_all_jobs{{state=\"{}\"}} {jobs}\n", state.as_str())
    };
    JobState::ALL.into_iter().fold(head.to_owned(), |text, state| text + &line(state))
}

/// Jobs everybody may know of.
async fn measure_jobs(hub: &Hub) -> Result<(), StoreError> {
    let counts = hub.data.store.job_counts().await?;
    for state in JobState::ALL {
        let public = counts.iter().find(|count| count.state == state).map_or(0, |count| count.public);
        metrics::jobs(state.as_str(), public);
    }
    let age = hub.data.store.queue_age_seconds().await?;
    Level::QueueAgeSeconds.set(age.unwrap_or_default());
    Ok(())
}

/// What is in memory.
fn measure(hub: &Hub) {
    let catalogue = hub.catalogue();
    Level::Ready.set(if hub.readiness.reasons().is_empty() { 1.0 } else { 0.0 });
    Level::Computes.set(catalogue.computes().len() as f64);
    let withheld = catalogue.withheld().iter().filter(|withheld| !catalogue.is_private(&withheld.id));
    Level::Withheld.set(withheld.count() as f64);
}

/// Numbers are for looking at: one that cannot be had keeps its last value, and the others are told all the same.
async fn measure_tables(hub: &Hub) {
    match hub.data.store.scrub_age_seconds().await {
        Ok(age) => Level::ScrubAgeSeconds.set(age.unwrap_or_default()),
        Err(error) => tracing::warn!(%error, "could not tell the age of the scrub"),
    }
    match hub.data.blobs.quarantined().await {
        Ok(files) => Level::Quarantined.set(files.len() as f64),
        Err(error) => tracing::warn!(%error, "could not count what is in quarantine"),
    }
    match hub.data.store.recipe_bytes().await {
        Ok(bytes) => Level::SubmittedBytes.set(bytes as f64),
        Err(error) => tracing::warn!(%error, "could not count what was submitted"),
    }
    match hub.data.store.verdicts().await {
        Ok(verdicts) => {
            for (level, word) in [
                (Level::FilesReproduced, Verdict::Reproduced),
                (Level::FilesEquivalent, Verdict::Equivalent),
                (Level::FilesMismatched, Verdict::Mismatch),
            ] {
                let files = verdicts.iter().find(|(known, _)| known == word.as_str());
                level.set(files.map_or(0, |&(_, files)| files) as f64);
            }
        }
        Err(error) => tracing::warn!(%error, "could not count what was verified"),
    }
    if let Err(error) = measure_upstreams(hub).await {
        tracing::warn!(%error, "could not look at the mirror");
    }
    match hub.data.store.totals().await {
        Ok(totals) => {
            Level::Blobs.set(totals.blobs as f64);
            Level::BlobBytes.set(totals.blob_bytes as f64);
        }
        Err(error) => tracing::warn!(%error, "could not count what the database holds"),
    }
}

/// The state of each upstream, in counts of what everybody sees.
async fn measure_upstreams(hub: &Hub) -> Result<(), StoreError> {
    let public = hub.data.store.public_counts().await?;
    for row in hub.data.store.upstreams().await? {
        let counts = public.get(&row.name).copied().unwrap_or_default();
        let levels = UpstreamLevels {
            lag_seconds: row.lag_seconds,
            failures: row.failures_in_a_row,
            alarms: counts.alarms,
            quarantined: counts.quarantined,
            computes: counts.computes,
        };
        levels.set(&row.name);
    }
    Ok(())
}
