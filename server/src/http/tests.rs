use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use axum::routing::get;
use http_body_util::BodyExt as _;
use phasic_hub_api::{Problem, ProblemCode};
use tower::ServiceExt as _;

use super::evaluate::in_turns;
use super::{guarded, in_time};
use crate::config;
use crate::metrics::Requests;
use crate::workers::BrokeOff;

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

/// Bytes that say how many like them there are.
struct Part(Arc<AtomicUsize>);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &[b'\n'; 1000]
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_answer_in_turns_is_made_as_it_is_taken_and_held_no_longer_whatever_is_around_it() {
    let (made, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let answer = {
        let (made, held) = (Arc::clone(&made), Arc::clone(&held));
        move || {
            let (made, held) = (Arc::clone(&made), Arc::clone(&held));
            let make = move |_| {
                made.fetch_add(1, Ordering::Relaxed);
                held.fetch_add(1, Ordering::Relaxed);
                let part = Bytes::from_owner(Part(Arc::clone(&held)));
                async move { Ok::<_, BrokeOff>(part) }
            };
            std::future::ready(in_turns(0..100, make))
        }
    };
    let routes =
        Router::new().route("/", get(answer)).layer(in_time(config::Http::default().request_timeout_ms));
    let served = guarded(routes, Arc::new(Requests::new()));
    let request = Request::get("/").body(Body::empty()).unwrap();
    let mut body = served.oneshot(request).await.unwrap().into_body();
    assert_eq!(made.load(Ordering::Relaxed), 0, "nobody has taken anything");
    for taken in 1..=100 {
        let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(part.len(), 1000);
        assert_eq!((made.load(Ordering::Relaxed), held.load(Ordering::Relaxed)), (taken, 1));
        drop(part);
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }
    assert!(body.frame().await.is_none());
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
