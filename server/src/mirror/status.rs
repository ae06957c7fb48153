//! The state of the mirror, as it is shown: the settings and the database together.

use phasic_hub_api::mirror::{MirrorStatus, UpstreamStatus};

use super::errand::identity;
use crate::config::{Config, UpstreamSettings};
use crate::store::{Store, StoreError, UpstreamIdentity, UpstreamRow};
use crate::visibility::Viewer;

/// Every upstream: those of the settings in their order, then others that were mirrored. `is_running` says of which one
/// a pass is under way. Of the last passes the viewer is told what he may know.
///
/// # Errors
/// When the database fails.
pub async fn status(
    store: &Store,
    config: &Config,
    viewer: &Viewer,
    is_running: &(dyn Fn(&str) -> bool + Sync),
) -> Result<MirrorStatus, StoreError> {
    let mut rows = store.upstreams().await?;
    let mut upstreams = Vec::new();
    for (place, settings) in config.mirror.upstreams.iter().enumerate() {
        let identity = identity(place, settings);
        let row = rows.iter().position(|row| row.name == identity.name).map(|at| rows.remove(at));
        let scheduled = settings.enabled && !(config.offline && settings.is_web());
        let requests_left = Some(requests_left(settings, row.as_ref()));
        let status = match row {
            Some(row) => describe(store, row, viewer).await?,
            None => unknown(),
        };
        let UpstreamIdentity { name, address, trust, place } = identity;
        // What the settings say now, though the next pass may be the first to act upon it.
        let (trust, address) = (trust.to_owned(), Some(address));
        upstreams.push(UpstreamStatus {
            name,
            address,
            trust,
            place,
            configured: true,
            scheduled,
            requests_left,
            ..status
        });
    }
    for row in rows {
        upstreams.push(describe(store, row, viewer).await?);
    }
    for upstream in &mut upstreams {
        upstream.running = is_running(&upstream.name);
    }
    Ok(MirrorStatus { offline: config.offline, upstreams })
}

/// An upstream nobody has asked yet.
fn unknown() -> UpstreamStatus {
    UpstreamStatus {
        name: String::new(),
        place: 0,
        address: None,
        trust: String::new(),
        configured: false,
        scheduled: false,
        commit: None,
        document_sha256: None,
        computes: 0,
        checked_at: None,
        lag_seconds: None,
        failures_in_a_row: 0,
        next_run_at: None,
        requests_left: None,
        running: false,
        last_pass: None,
        quarantined: 0,
        alarms: 0,
        unfetched: 0,
    }
}

async fn describe(store: &Store, row: UpstreamRow, viewer: &Viewer) -> Result<UpstreamStatus, StoreError> {
    let last_pass = store.last_pass(&row.name, viewer).await?;
    Ok(UpstreamStatus {
        place: row.place,
        address: Some(row.address),
        trust: row.trust,
        commit: row.commit,
        document_sha256: row.document,
        computes: row.computes.cast_unsigned(),
        checked_at: row.checked_at,
        lag_seconds: row.lag_seconds,
        failures_in_a_row: row.failures_in_a_row.cast_unsigned(),
        next_run_at: row.next_run_at,
        last_pass,
        quarantined: row.quarantined.cast_unsigned(),
        alarms: row.alarms.cast_unsigned(),
        unfetched: row.unfetched.cast_unsigned(),
        name: row.name,
        ..unknown()
    })
}

/// Requests that may be sent at this moment.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
fn requests_left(settings: &UpstreamSettings, row: Option<&UpstreamRow>) -> u64 {
    let most = settings.max_requests_per_hour.get();
    match row.and_then(|row| row.budget) {
        Some((left, age)) => {
            (left + age.max(0.0) * most as f64 / 3600.0).min(most as f64).max(0.0).floor() as u64
        }
        None => most,
    }
}
