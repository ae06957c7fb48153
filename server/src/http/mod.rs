//! HTTP: routes, one file per noun, and the layers around all of them.
//!
//! A handler reads the request, asks the hub, and shapes the answer. No SQL, no files, no mathematics here.

mod access;
mod account;
mod admin;
mod api_page;
mod artifacts;
mod aside;
mod audit;
mod blobs;
mod body;
mod computes;
mod conditional;
mod counted;
mod document;
mod edge;
mod error;
mod evaluate;
mod events;
mod fixed;
mod front;
mod graphs;
mod guard;
mod health;
mod home;
mod html;
mod jobs;
mod lately;
mod metrics;
mod mirror;
mod model;
mod object;
mod page;
mod pieces;
mod publish;
mod range;
mod rate;
mod registry;
mod standing;
mod submit;
#[cfg(test)]
mod tests;
mod tokens;
mod uploads;
mod variant;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use self::body::Budget;
use self::evaluate::Answers;
use self::front::Asked;
use self::guard::Gate;
use self::home::Facts;
use self::metrics::Measured;
use crate::config;
use crate::evaluate::Evaluator;
use crate::hub::Hub;
use crate::jobs::Jobs;
use crate::metrics::Requests;
use crate::mirror::Mirror;
use crate::tasks::Tasks;
use crate::uploads::Uploads;
use crate::verification::Verifier;

pub use access::{Access, ROUTES, required};
pub use document::{api_document, api_document_json};
pub use front::Front;

/// What handlers ask.
#[derive(Clone)]
pub struct Services {
    /// The data, and what is served of it.
    pub hub: Arc<Hub>,
    /// Numbers of models.
    pub evaluator: Arc<Evaluator>,
    /// Eliminations on demand.
    pub jobs: Arc<Jobs>,
    /// Files held against programs made anew.
    pub verifier: Arc<Verifier>,
    /// Passes over upstreams.
    pub mirror: Arc<Mirror>,
    /// Long actions of administrators.
    pub tasks: Arc<Tasks>,
    /// The settings in force.
    pub config: Arc<config::Config>,
    /// How long a request may wait for a job.
    pub patience: Duration,
    /// Bytes from clients.
    pub uploads: Arc<Uploads>,
    /// Held by whoever publishes.
    pub publishing: Arc<tokio::sync::Mutex<()>>,
}

/// [`Services`], and what the handlers share among themselves.
#[derive(Clone)]
struct Shared {
    services: Services,
    bodies: Budget,
    answers: Answers,
    measured: Measured,
    facts: Facts,
}

/// All routes of a hub, with everything around them.
pub fn front(services: Services, config: &config::Config) -> Front {
    let hub = Arc::clone(&services.hub);
    let gate = Arc::new(Gate::new(Arc::clone(&hub), config));
    let requests = Arc::new(Requests::new());
    let routes = routes(services, config).layer(from_fn_with_state(Arc::clone(&gate), guard::guard));
    Front::new(guarded(routes, Arc::clone(&requests)), Asked { hub, gate, requests })
}

/// The routes are documented where they are handled; a test compares this list with the API document.
fn routes(services: Services, config: &config::Config) -> Router {
    let plain = Router::new()
        .route("/", get(home::home))
        .route("/registry.json", get(registry::registry))
        .route("/{owner}/{repo}/{reference}/registry.json", get(registry::raw_registry))
        .route("/artifacts/{name}", get(artifacts::artifact))
        .route("/{owner}/{repo}/{reference}/artifacts/{name}", get(artifacts::raw_artifact))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(document::openapi))
        .route("/api", get(api_page::api_page))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/v1/audit", get(audit::audit))
        .route("/v1/admin/scrub", post(admin::tasks::scrub))
        .route("/v1/admin/gc", post(admin::tasks::gc))
        .route("/v1/admin/backup", post(admin::tasks::backup))
        .route("/v1/admin/tasks", get(admin::tasks::tasks))
        .route("/v1/admin/tasks/{id}", get(admin::tasks::task))
        .route("/v1/admin/pins", get(admin::blobs::pins))
        .route("/v1/admin/pins/{digest}", put(admin::blobs::pin).delete(admin::blobs::unpin))
        .route("/v1/admin/quarantine", get(admin::blobs::quarantined_files))
        .route("/v1/admin/quarantine/{digest}", delete(admin::blobs::discard_quarantined))
        .route("/v1/admin/computes/{id}/variant", put(variant::want_variant))
        .route("/v1/admin/settings", get(admin::settings::settings))
        .route("/v1/computes", get(computes::computes))
        .route(
            "/v1/computes/{id}",
            get(computes::compute).put(publish::publish).patch(publish::change).delete(publish::retract),
        )
        .route("/v1/computes/{id}/revisions", get(computes::revisions))
        .route("/v1/computes/{id}/verification", get(verification::verification).post(verification::verify))
        .route("/v1/graphs/{hash}", get(graphs::graph))
        .route("/v1/graphs/{hash}/definitions", get(graphs::definitions))
        .route("/v1/graphs/{hash}/computes", get(graphs::graph_computes))
        .route("/v1/graphs/{hash}/artifacts", get(graphs::artifacts))
        .route("/v1/mirror", get(mirror::status))
        .route("/v1/mirror/sync", post(mirror::sync))
        .route("/v1/mirror/passes", get(mirror::passes::passes))
        .route("/v1/mirror/passes/{number}", get(mirror::passes::pass))
        .route("/v1/mirror/passes/{number}/faults", get(mirror::passes::pass_faults))
        .route("/v1/mirror/passes/{number}/changes", get(mirror::passes::pass_changes))
        .route("/v1/mirror/quarantine", get(mirror::quarantine))
        .route("/v1/mirror/quarantine/{number}", post(mirror::decide))
        .route("/v1/jobs", get(jobs::jobs))
        .route("/v1/jobs/{id}", get(jobs::job).delete(jobs::cancel))
        .route("/v1/jobs/{id}/events", get(events::events))
        .route("/v1/blobs/sha256/{digest}/upload", get(uploads::upload_state).delete(uploads::discard_upload))
        // One limit, that of the settings: the framework has another of its own.
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(config.http.max_body_bytes.count()));
    // Their bodies are models and parameter vectors, and have limits of their own.
    let documents = Router::new()
        .route("/v1/evaluate", post(evaluate::evaluate))
        .route("/v1/graphs", post(submit::submit_graph))
        .route("/v1/eliminations", post(submit::submit_elimination));
    // Files have limits of their own, and as much time as an upload may take.
    let files = Router::new()
        .route("/v1/blobs/sha256/{digest}", get(blobs::blob).put(uploads::upload))
        .layer(DefaultBodyLimit::disable());
    let (bodies, answers) = (Budget::new(&config.models), Answers::new(&config.evaluate));
    let shared = Shared { services, bodies, answers, measured: Measured::default(), facts: Facts::default() };
    let quick = plain.merge(documents).layer(in_time(config.http.request_timeout_ms));
    quick.merge(files.layer(in_time(config.uploads.timeout_ms))).with_state(shared)
}

/// How long the head of an answer may take.
fn in_time(limit: config::Millis) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit.duration())
}

/// What surrounds every route: one shape for whatever goes wrong.
fn guarded(routes: Router, requests: Arc<Requests>) -> Router {
    routes.layer(CatchPanicLayer::custom(error::caught)).layer(from_fn_with_state(requests, edge::edge))
}

impl FromRef<Shared> for Services {
    fn from_ref(shared: &Shared) -> Self {
        shared.services.clone()
    }
}

impl FromRef<Shared> for Arc<Hub> {
    fn from_ref(shared: &Shared) -> Self {
        Self::clone(&shared.services.hub)
    }
}

impl FromRef<Shared> for Answers {
    fn from_ref(shared: &Shared) -> Self {
        shared.answers.clone()
    }
}

impl FromRef<Shared> for Measured {
    fn from_ref(shared: &Shared) -> Self {
        shared.measured.clone()
    }
}

impl FromRef<Shared> for Facts {
    fn from_ref(shared: &Shared) -> Self {
        shared.facts.clone()
    }
}

impl FromRef<Shared> for Budget {
    fn from_ref(shared: &Shared) -> Self {
        shared.bodies.clone()
    }
}
