//! The page a browser finds at `/`: what this is, what is here, how to use it. No scripts, nothing from elsewhere.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{Html, IntoResponse};
use phasic_hub_api::health::Finding;
use phasic_hub_api::mirror::UpstreamStatus;

use super::fixed::PAGE_HEADERS;
use super::html::{STYLE, escape};
use super::lately::{Lately, Looked, Looking};
use super::{Services, health};
use crate::registry::Catalogue;
use crate::visibility::Viewer;

/// Computes shown; the registry has the others.
const SHOWN: usize = 100;

/// A page for people: what is here, and how to point phasic and curl at it.
///
/// ```text
/// curl -s http://127.0.0.1:8787/
/// ```
#[utoipa::path(
    get,
    path = "/",
    tag = "operations",
    responses((status = 200, description = "HTML without scripts", content_type = "text/html", body = String))
)]
pub(super) async fn home(
    State(services): State<Services>,
    State(counted): State<Facts>,
) -> impl IntoResponse {
    let hub = &services.hub;
    // The page shows no more than the routes it leads to: where those ask for a token, neither what is here nor its state.
    if !health::everybody_reads(&services.config) {
        return (PAGE_HEADERS, Html(closed(hub.public_base())));
    }
    let mut facts: Vec<_> = health::notes(hub, true).into_iter().map(|note| note.detail).collect();
    let version = *hub.renderings().borrow();
    let looked = services.clone();
    let look = move |looking| async move { count(&looked, looking).await };
    facts.extend(counted.0.get(version, look).await.unwrap_or_default());
    (PAGE_HEADERS, Html(page(hub.public_base(), &hub.catalogue(), &hub.readiness.reasons(), &facts)))
}

/// The page for those who are not let in yet: nothing of what is here, nor of its state, and how to get in.
fn closed(base: &str) -> String {
    let base = escape(base);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Phasic Hub</title>\n\
         <style>{STYLE}</style>\n\
         <h1>Phasic Hub</h1>\n\
         <p>This server keeps eliminations of phase-type graphs, verified, so that each is computed once and \
         everybody reuses it. What is here is shown to holders of a token.\n\
         <h2>How to get in</h2>\n\
         <p>An administrator of this hub makes a token for you, with <code>phasic-hub token create --name you --scope \
         read</code> or <code>POST /v1/tokens</code>. Send it with each request:\n\
         <pre>curl -H \"Authorization: Bearer $TOKEN\" {base}/registry.json</pre>\n\
         <p>The unmodified <code>phasic</code> sends no token. Run a hub of your own beside it that mirrors this one: its \
         settings name this address and the token (<code>[[mirror.upstreams]]</code>).\n\
         <p><a href=\"/api\">The API</a> · <a href=\"/openapi.json\">openapi.json</a> · <a href=\"/healthz\">healthz</a>\n</html>\n"
    )
}

/// The state of an upstream in a sentence.
fn mirror_fact(upstream: &UpstreamStatus) -> String {
    let UpstreamStatus { name, computes, failures_in_a_row, unfetched, .. } = upstream;
    let state = match &upstream.checked_at {
        Some(at) if *unfetched > 0 => format!("read at {at}, {unfetched} more could not be had yet"),
        Some(at) => format!("up to date at {at}"),
        None => "never reached so far".to_owned(),
    };
    let failures = if *failures_in_a_row > 0 {
        format!(", {failures_in_a_row} failed passes since")
    } else {
        String::new()
    };
    format!("Mirror of {name}: {computes} computes, {state}{failures}.")
}

/// What the database had lately to say about the state of the hub, in sentences: saying it reads whole tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(Lately<Vec<String>>);

/// Says it. Only what everybody may know.
async fn count(services: &Services, mut looking: Looking) -> Looked<Vec<String>> {
    let mut facts = Vec::new();
    let verdicts = services.hub.data.store.verdicts().await;
    if let Some(verdicts) = looking.found("count what was verified", verdicts) {
        let count = |word: &str| verdicts.iter().find(|(known, _)| known == word).map_or(0, |&(_, n)| n);
        facts.push(format!(
            "Files held against programs made anew: {} reproduced, {} equivalent, {} that fit no graph known under \
             their hash.",
            count("reproduced"),
            count("equivalent"),
            count("mismatch")
        ));
    }
    let mirror = super::mirror::seen_by(services, &Viewer::Public).await;
    match looking.found("look at the mirror", mirror) {
        Some(status) if status.upstreams.is_empty() => facts.push("Nothing is mirrored.".to_owned()),
        Some(status) => facts.extend(status.upstreams.iter().map(mirror_fact)),
        None => {}
    }
    looking.end(facts)
}

fn page(base: &str, listed: &Catalogue, waiting_for: &[Finding], facts: &[String]) -> String {
    let facts: Vec<_> = facts.iter().map(|fact| escape(fact)).collect();
    let facts = facts.join("<li>");
    let base = escape(base);
    let reasons: Vec<_> = waiting_for.iter().map(|reason| escape(&reason.detail)).collect();
    let state = if reasons.is_empty() { "Ready.".to_owned() } else { reasons.join(" ") };
    let computes = computes(listed);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Phasic Hub</title>\n\
         <style>{STYLE}</style>\n\
         <h1>Phasic Hub</h1>\n\
         <p>This server keeps eliminations of phase-type graphs, verified, so that each is computed once and \
         everybody reuses it. {state}\n<ul><li>{facts}</ul>\n\
         <h2>From Python</h2>\n\
         <p>An unmodified <code>phasic</code> uses this hub after these lines; the variable lets it use what it \
         pulls.\n\
         <pre>import os\nos.environ[\"PHASIC_REWARD_COMPUTE_CACHE\"] = \"1\"\n\
         import phasic.compute_repository as repository\n\
         repository.ComputeRegistry.REGISTRY_URL_TEMPLATE = \"{base}/registry.json\"\n\
         repository._default_registry = None</pre>\n\
         <h2>From a shell</h2>\n\
         <pre>curl {base}/registry.json\ncurl {base}/readyz</pre>\n\
         <p><a href=\"/api\">The API</a> · <a href=\"/registry.json\">registry.json</a> · <a href=\"/openapi.json\">openapi.json</a> · \
         <a href=\"/readyz\">readyz</a>\n\
         {computes}</html>\n"
    )
}

/// The list of what is served.
fn computes(catalogue: &Catalogue) -> String {
    let count = catalogue.computes().len();
    let mut rows = String::new();
    for compute in catalogue.computes().iter().take(SHOWN) {
        let description = compute.description.as_deref().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(rows, "<tr><td><code>{}</code><td>{}", compute.id, escape(description));
    }
    format!("<h2>Computes: {count}</h2>\n<table>\n{rows}</table>\n")
}
