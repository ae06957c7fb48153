//! Numbers for Prometheus.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use phasic_hub_api::jobs::JobState;
use phasic_hub_api::verification::Verdict;

use super::Services;
use super::lately::{Lately, Looked, Looking};
use crate::auth::Caller;
use crate::hub::Hub;
use crate::metrics::{self, Level, UpstreamLevels};
use crate::store::{JobCount, Store, StoreError, UpstreamRow};

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
    let look = move |looking| async move { measure_tables(&looked, looking).await };
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
fn all_blobs((blobs, bytes): (i64, i64)) -> String {
    format!(
        "# HELP phasic_hub_stored_blobs All blobs the database knows\n# TYPE phasic_hub_stored_blobs gauge\n\
         phasic_hub_stored_blobs {blobs}\n# HELP phasic_hub_stored_blob_bytes Bytes of these blobs\n\
         # TYPE phasic_hub_stored_blob_bytes gauge\nphasic_hub_stored_blob_bytes {bytes}\n"
    )
}

/// All jobs, likewise.
fn all_jobs(counts: &[JobCount]) -> String {
    let head =
        "# HELP phasic_hub_all_jobs Jobs by state, private ones included\n# TYPE phasic_hub_all_jobs gauge\n";
    let line = |state: JobState| {
        let jobs = counts.iter().find(|count| count.state == state).map_or(0, |count| count.jobs);
        format!("phasic_hub_all_jobs{{state=\"{}\"}} {jobs}\n", state.as_str())
    };
    JobState::ALL.into_iter().fold(head.to_owned(), |text, state| text + &line(state))
}

/// Jobs everybody may know of.
fn measure_jobs(counts: &[JobCount]) {
    for state in JobState::ALL {
        let public = counts.iter().find(|count| count.state == state).map_or(0, |count| count.public);
        metrics::jobs(state.as_str(), public);
    }
}

/// What is in memory.
fn measure(hub: &Hub) {
    let catalogue = hub.catalogue();
    Level::Ready.set(if hub.readiness.reasons().is_empty() { 1.0 } else { 0.0 });
    Level::Computes.set(catalogue.computes().len() as f64);
    let withheld = catalogue.withheld().iter().filter(|withheld| !catalogue.is_private(&withheld.id));
    Level::Withheld.set(withheld.count() as f64);
}

/// Numbers are for looking at: one that cannot be had keeps its last value, and the others are told all the same. Gives the
/// lines of those who see all.
async fn measure_tables(hub: &Hub, mut looking: Looking) -> Looked<String> {
    let (store, mut lines) = (&hub.data.store, String::new());
    if let Some(age) = looking.found("tell the age of the scrub", store.scrub_age_seconds().await) {
        Level::ScrubAgeSeconds.set(age.unwrap_or_default());
    }
    if let Some(files) = looking.found("count what is in quarantine", hub.data.blobs.quarantined().await) {
        Level::Quarantined.set(files.len() as f64);
    }
    if let Some(bytes) = looking.found("count what was submitted", store.recipe_bytes().await) {
        Level::SubmittedBytes.set(bytes as f64);
    }
    if let Some(verdicts) = looking.found("count what was verified", store.verdicts().await) {
        measure_verdicts(&verdicts);
    }
    looking.found("look at the mirror", measure_upstreams(store).await);
    if let Some(totals) = looking.found("count what the database holds", store.totals().await) {
        Level::Blobs.set(totals.blobs as f64);
        Level::BlobBytes.set(totals.blob_bytes as f64);
    }
    if let Some(age) = looking.found("tell how long jobs wait", store.queue_age_seconds().await) {
        Level::QueueAgeSeconds.set(age.unwrap_or_default());
    }
    if let Some(stored) = looking.found("count all blobs", store.stored().await) {
        lines += &all_blobs(stored);
    }
    if let Some(counts) = looking.found("count the jobs", store.job_counts().await) {
        measure_jobs(&counts);
        lines += &all_jobs(&counts);
    }
    looking.end(lines)
}

/// Files by what was found of them.
fn measure_verdicts(verdicts: &[(String, i64)]) {
    for (level, word) in [
        (Level::FilesReproduced, Verdict::Reproduced),
        (Level::FilesEquivalent, Verdict::Equivalent),
        (Level::FilesMismatched, Verdict::Mismatch),
    ] {
        let files = verdicts.iter().find(|(known, _)| known == word.as_str());
        level.set(files.map_or(0, |&(_, files)| files) as f64);
    }
}

/// The state of each upstream, in counts of what everybody sees.
async fn measure_upstreams(store: &Store) -> Result<(), StoreError> {
    let public = store.public_counts().await?;
    let levels = |row: UpstreamRow| {
        let counts = public.get(&row.name).copied().unwrap_or_default();
        let levels = UpstreamLevels {
            lag_seconds: row.lag_seconds,
            failures: row.failures_in_a_row,
            alarms: counts.alarms,
            quarantined: counts.quarantined,
            computes: counts.computes,
            unfetched: counts.unfetched,
        };
        (row.name, levels)
    };
    UpstreamLevels::set_all(store.upstreams().await?.into_iter().map(levels).collect());
    Ok(())
}
