//! The API document.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use phasic_hub_api::Problem;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder};

use super::access::{self, Access, ROUTES};
use super::fixed::Fixed;
use super::{
    admin, api_page, artifacts, audit, blobs, computes, evaluate, events, graphs, health, home, jobs,
    metrics, mirror, publish, registry, submit, tokens, uploads, variant, verification,
};
use crate::auth::Scope;

/// Says in an operation that the token must be for the id in the path.
const OF_ID: &str = "x-access-of-id";

/// What takes a body, and an empty one for its usual meaning.
const BODY_MAY_BE_EMPTY: [(&str, &str); 4] = [
    ("POST", "/v1/admin/backup"),
    ("POST", "/v1/admin/gc"),
    ("PUT", "/v1/admin/pins/{digest}"),
    ("POST", "/v1/mirror/sync"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Phasic Hub",
        description = "Eliminations of phase-type graphs, computed once, verified, and served to phasic. The error \
                       answers of all routes are RFC 9457 problems with a stable `code` and the id of the request; \
                       `ProblemCode` lists them. `x-access` of an \
                       operation is the scope of the token it asks for, or `open`; `read` asks for none where the \
                       operator lets everybody read; `x-access-of-id` says that the token must be for the id in the path. What is no HTTP \
                       request is `invalid_request`, and one whose head is too large `header_too_large` or `uri_too_long`, \
                       whatever it asks for.",
        license(name = "MIT", identifier = "MIT")
    ),
    paths(
        home::home,
        registry::registry,
        registry::raw_registry,
        artifacts::artifact,
        artifacts::raw_artifact,
        computes::computes,
        computes::compute,
        computes::revisions,
        publish::publish,
        publish::change,
        publish::retract,
        verification::verification,
        verification::verify,
        evaluate::evaluate,
        submit::submit_graph,
        graphs::graph,
        graphs::definitions,
        graphs::graph_computes,
        graphs::artifacts,
        submit::submit_elimination,
        jobs::jobs,
        jobs::job,
        events::events,
        jobs::cancel,
        blobs::blob,
        uploads::upload,
        uploads::upload_state,
        uploads::discard_upload,
        health::live,
        health::ready,
        metrics::metrics,
        mirror::status,
        mirror::sync,
        mirror::passes::passes,
        mirror::passes::pass,
        mirror::passes::pass_faults,
        mirror::passes::pass_changes,
        mirror::quarantine,
        mirror::decide,
        tokens::list,
        tokens::create,
        tokens::revoke,
        audit::audit,
        admin::tasks::scrub,
        admin::tasks::gc,
        admin::tasks::backup,
        admin::tasks::tasks,
        admin::tasks::task,
        admin::blobs::pins,
        admin::blobs::pin,
        admin::blobs::unpin,
        admin::blobs::quarantined_files,
        admin::blobs::discard_quarantined,
        variant::want_variant,
        admin::settings::settings,
        openapi,
        api_page::api_page
    ),
    tags(
        (name = "registry", description = "What phasic reads."),
        (name = "publication", description = "What holders of tokens publish here: files, and computes made of them."),
        (name = "compute", description = "What the hub computes on demand."),
        (name = "mirror", description = "What is copied from elsewhere: upstreams, passes, quarantine."),
        (name = "access", description = "What administrators do: tokens, and the log of all changes."),
        (name = "admin", description = "What keeps a hub in order: long actions, pins, quarantine, settings."),
        (name = "operations", description = "What operators and programs read.")
    ),
    components(schemas(Problem))
)]
struct ApiDocument;

/// The API as an OpenAPI document.
pub fn api_document() -> utoipa::openapi::OpenApi {
    let mut document = ApiDocument::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    for &(method, path, access, cost) in ROUTES {
        let Some(item) = document.paths.paths.get_mut(path) else { continue };
        let operation = match method {
            "GET" => &mut item.get,
            "POST" => &mut item.post,
            "PUT" => &mut item.put,
            "PATCH" => &mut item.patch,
            "DELETE" => &mut item.delete,
            _ => continue,
        };
        if let Some(operation) = operation {
            if BODY_MAY_BE_EMPTY.contains(&(method, path))
                && let Some(RefOr::T(body)) = &mut operation.request_body
            {
                body.required = Some(Required::False);
            }
            say_access(operation, access);
            say_common(operation, (method, path, access, cost));
            say_problems(operation);
        }
    }
    document
}

/// Gives every error answer of an operation the body all of them have.
fn say_problems(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if status.as_str() >= "4"
            && let RefOr::T(response) = response
        {
            response.content.entry("application/problem+json".to_owned()).or_insert_with(|| problem().into());
        }
    }
}

fn problem() -> Content {
    Content::new(Some(Ref::from_schema_name("Problem")))
}

/// Says in an operation what it asks for, and how it refuses.
fn say_access(operation: &mut Operation, access: Access) {
    if let Some(scope) = access.scope() {
        let token = SecurityRequirement::new("token", [scope.as_str()]);
        // Whoever reads needs none, unless the operator has said so.
        let nothing = (scope == Scope::Read).then(SecurityRequirement::default);
        operation.security = Some(nothing.into_iter().chain([token]).collect());
    }
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert("x-access".to_owned(), access.scope().map_or("open", Scope::as_str).into());
    if let Access::OfId(_) = access {
        extensions.insert(OF_ID.to_owned(), true.into());
    }
}

/// Says in an operation what every operation of its kind may answer, beside what it says itself.
fn say_common(operation: &mut Operation, (method, path, access, cost): (&str, &str, Access, u32)) {
    let is_probe = cost == access::FREE;
    let has_body = operation.request_body.is_some();
    let reads_anything = has_body || path.contains('{') || operation.parameters.is_some();
    let changes = method != "GET" && path != "/v1/evaluate";
    let of_id = matches!(access, Access::OfId(_));
    let common = [
        (400, &["invalid_request"][..], reads_anything),
        (401, &["token_required", "token_invalid"], access.scope().is_some()),
        (403, &["scope_missing"], access.scope().is_some()),
        (403, &["id_not_allowed"], of_id),
        (413, &["body_too_large"], method != "GET"),
        (429, &["rate_limited"], !is_probe),
        (500, &["internal"], !is_probe),
        (503, &["busy", "timeout"], !is_probe),
        (507, &["storage_full", "storage_read_only"], changes),
    ];
    for (status, codes, applies) in common {
        if applies {
            may_answer(operation, status, codes);
        }
    }
}

/// Adds codes to what an operation says of a status.
fn may_answer(operation: &mut Operation, status: u16, codes: &[&str]) {
    let own = match operation.responses.responses.get(&status.to_string()) {
        Some(RefOr::T(own)) => own.description.clone(),
        _ => String::new(),
    };
    let missing = codes.iter().map(|code| format!("`{code}`")).filter(|code| !own.contains(code.as_str()));
    let own = Some(own.clone()).filter(|own| !own.is_empty());
    let description = own.into_iter().chain(missing).collect::<Vec<_>>().join("; ");
    let response = ResponseBuilder::new().description(description).build();
    operation.responses.responses.insert(status.to_string(), response.into());
}

/// The API document as it is served, printed by `phasic-hub openapi`, and committed.
#[expect(clippy::missing_panics_doc, reason = "a document of texts always serialises")]
pub fn api_document_json() -> String {
    let mut document = serde_json::to_value(api_document()).expect("an API document is texts");
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, operations) in paths {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            // Extensions come out of a hash table, in another order each time.
            let operation = operation.as_object_mut();
            if let Some(operation) = operation
                && let Some(of_id) = operation.shift_remove(OF_ID)
            {
                operation.insert(OF_ID.to_owned(), of_id);
            }
        }
    }
    let mut text = serde_json::to_string_pretty(&document).expect("an API document is texts");
    text.push('\n');
    text
}

/// This document.
///
/// ```text
/// curl -s http://127.0.0.1:8787/openapi.json
/// ```
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses(
        (status = 200, description = "OpenAPI 3.1", content_type = "application/json"),
        (status = 304, description = "The client has it"),
    )
)]
pub(super) async fn openapi(headers: HeaderMap) -> Response<Body> {
    static DOCUMENT: LazyLock<Fixed> = LazyLock::new(|| Fixed::json(api_document_json()));
    DOCUMENT.answer(&headers)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::api_document_json;

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document: Value = serde_json::from_str(&api_document_json()).unwrap();
        let mut ids = BTreeSet::new();
        let paths = document["paths"].as_object().unwrap();
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{method} {path}: {id} is another operation's id, too");
            }
        }
        assert!(ids.len() > paths.len());
    }

    #[test]
    fn every_operation_has_an_example_that_would_be_let_in() {
        let document: Value = serde_json::from_str(&api_document_json()).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let begin = path.split('{').next().unwrap();
            let begin = if begin == "/" && path != "/" { "/munch-group/" } else { begin };
            for (method, operation) in methods.as_object().unwrap() {
                let about = operation["description"].as_str().unwrap_or_default();
                let examples: Vec<_> =
                    about.lines().filter(|line| line.trim_start().starts_with("curl ")).collect();
                assert!(!examples.is_empty(), "{method} {path} has no example");
                let is_it = |line: &&&str| line.contains(&format!("http://127.0.0.1:8787{begin}"));
                assert!(examples.iter().any(|line| is_it(&line)), "{method} {path}: {examples:?}");
                let scope = operation["x-access"].as_str().unwrap();
                let is_let_in = ["open", "read"].contains(&scope) || about.contains("Authorization: Bearer");
                assert!(is_let_in, "{method} {path} asks for {scope}, and its example has no token");
            }
        }
    }
}
