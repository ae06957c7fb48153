//! What the client does when the network or the hub misbehaves.

use std::time::{Duration, Instant};

use phasic_hub_client::hub::{HubClient, HubError, ListFilter, RetryPolicy};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::wire::{Wire, announcing};

const EMPTY: &str = r#"{"version": "2.0", "format": "ptd_pcg", "computes": {}}"#;

fn impatient(address: &str) -> HubClient {
    let retry = RetryPolicy {
        attempts: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_secs(1),
    };
    HubClient::builder(address)
        .retry(retry)
        .connect_timeout(Duration::from_secs(2))
        .read_timeout(Duration::from_millis(300))
        .build()
        .unwrap()
}

async fn failure(client: &HubClient) -> HubError {
    client.list(&ListFilter::default()).await.unwrap_err()
}

async fn answering(template: ResponseTemplate, times: std::ops::RangeInclusive<u64>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/registry.json"))
        .respond_with(template)
        .expect(times)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn two_server_errors_and_then_an_answer_are_an_answer() {
    let server = MockServer::start().await;
    Mock::given(path("/registry.json"))
        .respond_with(ResponseTemplate::new(502))
        .up_to_n_times(2)
        .expect(2)
        .mount(&server)
        .await;
    Mock::given(path("/registry.json"))
        .respond_with(ResponseTemplate::new(200).set_body_string(EMPTY))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(impatient(&server.uri()).list(&ListFilter::default()).await.unwrap(), []);
}

#[tokio::test]
async fn server_errors_end_after_the_agreed_number_of_tries() {
    for status in [500, 503, 429, 408] {
        let server = answering(ResponseTemplate::new(status), 3..=3).await;
        let error = failure(&impatient(&server.uri())).await;
        assert!(matches!(error, HubError::Status { tries: 3, .. }), "{status}: {error}");
        assert!(error.to_string().contains(&format!("answered {status} (tried 3 times)")), "{error}");
    }
}

#[tokio::test]
async fn final_answers_are_asked_for_once_and_say_what_to_do() {
    for (status, advice) in [(401, "PHASIC_HUB_TOKEN"), (403, "scope"), (404, "--hub"), (410, "410")] {
        let server = answering(ResponseTemplate::new(status), 1..=1).await;
        let error = failure(&impatient(&server.uri())).await;
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn the_hubs_own_explanation_is_passed_on_without_control_characters() {
    let problem =
        serde_json::json!({"title": "t", "status": 403, "detail": "only\u{1b}[31m for members", "code": "x"});
    let template = ResponseTemplate::new(403).set_body_raw(problem.to_string(), "application/problem+json");
    let server = answering(template, 1..=1).await;
    let text = failure(&impatient(&server.uri())).await.to_string();
    assert!(text.contains("only[31m for members") && !text.contains('\u{1b}'), "{text:?}");
}

#[tokio::test]
async fn retry_after_is_waited_for_and_an_absurd_one_is_not() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("Retry-After", "1");
    Mock::given(path("/registry.json")).respond_with(busy).up_to_n_times(1).mount(&server).await;
    Mock::given(path("/registry.json"))
        .respond_with(ResponseTemplate::new(200).set_body_string(EMPTY))
        .mount(&server)
        .await;
    let started = Instant::now();
    impatient(&server.uri()).list(&ListFilter::default()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    let server = answering(ResponseTemplate::new(503).insert_header("Retry-After", "86400"), 1..=1).await;
    assert!(matches!(failure(&impatient(&server.uri())).await, HubError::Status { tries: 1, .. }));
}

#[tokio::test]
async fn a_body_cut_short_is_fetched_again_and_never_taken_for_whole() {
    let cut = announcing(EMPTY.len(), &EMPTY.as_bytes()[..20]);
    let whole = announcing(EMPTY.len(), EMPTY.as_bytes());
    let wire = Wire::answering(vec![cut.clone(), whole]);
    assert_eq!(impatient(&wire.url()).list(&ListFilter::default()).await.unwrap(), []);
    assert_eq!(wire.requests().len(), 2);

    let wire = Wire::answering(vec![cut]);
    let error = failure(&impatient(&wire.url())).await;
    assert!(matches!(error, HubError::Connection { tries: 3, .. }), "{error}");
}

#[tokio::test]
async fn silence_in_the_middle_of_an_answer_ends_by_itself() {
    let template = ResponseTemplate::new(200).set_body_string(EMPTY).set_delay(Duration::from_secs(20));
    let server = answering(template, 3..=3).await;
    let started = Instant::now();
    let error = failure(&impatient(&server.uri())).await;
    assert!(matches!(error, HubError::TimedOut { tries: 3, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_address_and_the_cause() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = failure(&impatient(&format!("http://127.0.0.1:{port}"))).await;
    let text = error.to_string();
    assert!(matches!(error, HubError::Connection { tries: 3, .. }), "{text}");
    assert!(text.contains(&format!("http://127.0.0.1:{port}/registry.json")), "{text}");
    assert!(text.contains("refused") && text.contains("PHASIC_HUB_URL"), "{text}");
}

#[tokio::test]
async fn an_announced_length_beyond_the_limit_is_refused_without_reading() {
    let wire = Wire::answering(vec![announcing(usize::MAX >> 1, b"{")]);
    let error = failure(&impatient(&wire.url())).await;
    assert!(matches!(error, HubError::TooLarge { .. }), "{error}");
    assert_eq!(wire.requests().len(), 1);
}

#[tokio::test]
async fn a_content_coding_nobody_asked_for_is_refused() {
    let template = ResponseTemplate::new(200).set_body_string(EMPTY).insert_header("Content-Encoding", "br");
    let server = answering(template, 1..=1).await;
    assert!(matches!(failure(&impatient(&server.uri())).await, HubError::Coded { .. }));
}

#[tokio::test]
async fn a_page_that_is_no_registry_is_named() {
    for body in ["<html>hello</html>", "[]", "{}", r#"{"computes": {"a": {}, "a": {}}}"#] {
        let server = answering(ResponseTemplate::new(200).set_body_string(body), 1..=1).await;
        let error = failure(&impatient(&server.uri())).await;
        assert!(matches!(error, HubError::Index { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn redirects_are_followed_a_few_times_and_loops_end() {
    let server = MockServer::start().await;
    let to = |target: &str| ResponseTemplate::new(302).insert_header("Location", target);
    Mock::given(path("/registry.json")).respond_with(to("/moved.json")).mount(&server).await;
    Mock::given(path("/moved.json"))
        .respond_with(ResponseTemplate::new(200).set_body_string(EMPTY))
        .mount(&server)
        .await;
    Mock::given(path("/loop.json")).respond_with(to("/loop.json")).mount(&server).await;
    assert_eq!(impatient(&server.uri()).list(&ListFilter::default()).await.unwrap(), []);
    let error = failure(&impatient(&format!("{}/loop.json", server.uri()))).await;
    assert!(matches!(error, HubError::Redirect { .. }), "{error}");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_not_to_where_it_redirects() {
    let elsewhere = Wire::answering(vec![announcing(EMPTY.len(), EMPTY.as_bytes())]);
    let location = format!("{}/registry.json", elsewhere.url());
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let hub = Wire::answering(vec![redirect.into_bytes()]);
    let client = HubClient::builder(hub.url()).token("hub_secret").build().unwrap();
    client.list(&ListFilter::default()).await.unwrap();
    assert!(hub.requests()[0].to_lowercase().contains("authorization: bearer hub_secret"));
    assert!(!elsewhere.requests()[0].to_lowercase().contains("hub_secret"));
}

#[test]
fn a_token_is_not_shown_by_debug() {
    let builder = HubClient::builder("http://127.0.0.1:1").token("hub_secret");
    let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
    assert!(!shown.contains("hub_secret"), "{shown}");
}
