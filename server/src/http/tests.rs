use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::get;
use http_body_util::BodyExt as _;
use phasic_hub_api::{Problem, ProblemCode};
use tower::ServiceExt as _;

use super::{guarded, in_time};
use crate::config;
use crate::metrics::Requests;

/// Routes that misbehave, with the layers every route has.
fn misbehaving() -> Router {
    let routes = Router::new()
        .route("/slow", get(std::future::pending::<&str>))
        .route("/panic", get(async || -> &str { panic!("secret {}", 42) }))
        .route("/literal", get(async || -> &str { panic!("a secret") }));
    let limits: config::Http = toml::from_str("request_timeout_ms = 50").unwrap();
    guarded(routes.layer(in_time(limits.request_timeout_ms)), Arc::new(Requests::new()))
}

async fn ask(path: &str) -> (Response<()>, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (parts, body) = misbehaving().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_answer_that_takes_too_long_becomes_a_problem() {
    let (response, body) = ask("/slow").await;
    assert_eq!(response.status(), 503);
    assert_eq!(serde_json::from_str::<Problem>(&body).unwrap().code, ProblemCode::Timeout.as_str());
}

#[tokio::test]
async fn a_panic_becomes_a_problem_that_tells_nothing_of_the_inside() {
    for path in ["/panic", "/literal"] {
        let (response, body) = ask(path).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.code, ProblemCode::Internal.as_str());
        assert_eq!(problem.request_id.as_deref().unwrap(), response.headers()["x-request-id"]);
        assert!(!body.contains("secret"), "{body}");
    }
}
