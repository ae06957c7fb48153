//! The API document.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use phasic_hub_api::Problem;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};

use super::access::{Access, ROUTES};
use super::{
    admin, artifacts, audit, blobs, computes, evaluate, health, home, jobs, metrics, mirror, publish,
    registry, submit, tokens, uploads, variant, verification,
};
use crate::auth::Scope;

/// Says in an operation that the token must be for the id in the path.
const OF_ID: &str = "x-access-of-id";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Phasic Hub",
        description = "Eliminations of phase-type graphs, computed once, verified, and served to phasic. The error \
                       answers of all routes are RFC 9457 problems with a stable `code` and the id of the request. \
                       `x-access` of an \
                       operation is the scope of the token it asks for, or `open`; `read` asks for none where the \
                       operator lets everybody read; `x-access-of-id` says that the token must be for the id in the path. Only what is no HTTP request, or has too large a head, is answered with a bare 400 or 431.",
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
        submit::graph,
        submit::submit_elimination,
        jobs::jobs,
        jobs::job,
        jobs::events,
        jobs::cancel,
        blobs::blob,
        uploads::upload,
        uploads::state,
        uploads::discard,
        health::live,
        health::ready,
        metrics::metrics,
        mirror::status,
        mirror::sync,
        mirror::passes,
        mirror::pass,
        mirror::quarantine,
        mirror::decide,
        tokens::list,
        tokens::create,
        tokens::revoke,
        audit::audit,
        admin::scrub,
        admin::gc,
        admin::backup,
        admin::tasks,
        admin::task,
        admin::pins,
        admin::pin,
        admin::unpin,
        admin::quarantine,
        admin::discard,
        variant::want_variant,
        admin::settings,
        openapi
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
    for &(method, path, access, _) in ROUTES {
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
            say_access(operation, access);
            say_parameters(operation);
            say_problems(operation);
        }
    }
    document
}

/// Says in an operation that asks for something by parameters that they can be none.
fn say_parameters(operation: &mut Operation) {
    if operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
        let response = || ResponseBuilder::new().description("`invalid_request`").build().into();
        operation.responses.responses.entry("400".to_owned()).or_insert_with(response);
    }
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

/// Says in an operation what it asks for, and how it refuses, beside what the operation says of the same status itself.
fn say_access(operation: &mut Operation, access: Access) {
    let mut refuse = |status: &str, description: &str| {
        let own = match operation.responses.responses.get(status) {
            Some(RefOr::T(own)) => format!("{}; {description}", own.description),
            _ => description.to_owned(),
        };
        let response = ResponseBuilder::new().description(own).build();
        operation.responses.responses.insert(status.to_owned(), response.into());
    };
    refuse("429", "`rate_limited`; `Retry-After` says how many seconds to wait");
    if let Some(scope) = access.scope() {
        refuse("401", "`token_required` or `token_invalid`");
        let of_id = matches!(access, Access::OfId(_));
        refuse("403", if of_id { "`scope_missing` or `id_not_allowed`" } else { "`scope_missing`" });
        operation.security = Some(vec![SecurityRequirement::new("token", [scope.as_str()])]);
    }
    let extensions = operation.extensions.get_or_insert_default();
    extensions.insert("x-access".to_owned(), access.scope().map_or("open", Scope::as_str).into());
    if let Access::OfId(_) = access {
        extensions.insert(OF_ID.to_owned(), true.into());
    }
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
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], api_document_json())
}
