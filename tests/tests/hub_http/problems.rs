//! Errors, limits, names that lead nowhere, and connections that are kept.

use std::io::Write as _;

use phasic_hub_api::ProblemCode;
use phasic_hub_tests::http::{connect, read_answer, send};
use phasic_hub_tests::hub::{Hub, token};

use super::{Fixture, assert_problem, fixture};

#[test]
fn errors_are_problems_with_stable_codes_and_request_ids() {
    let fixture = fixture();
    let Fixture { hub, model, .. } = &*fixture;
    let unknown = "0".repeat(64);
    let not_found = [
        ("/nothing", ProblemCode::RouteNotFound),
        ("/registry.json/", ProblemCode::RouteNotFound),
        ("/artifacts/", ProblemCode::RouteNotFound),
        ("/artifacts/x", ProblemCode::ArtifactNotFound),
        ("/a/b/c/artifacts/x", ProblemCode::ArtifactNotFound),
        (&format!("/artifacts/{unknown}.bin"), ProblemCode::ArtifactNotFound),
        (&format!("/artifacts/scc_{}.bin", model.hash), ProblemCode::ArtifactNotFound),
        (&format!("/artifacts/{}.bin?sha256={unknown}", model.hash), ProblemCode::ArtifactNotFound),
        (&format!("/artifacts/{}.bin?sha256=zz", model.hash), ProblemCode::InvalidRequest),
        (&format!("/artifacts/{}.bin?sha256=", model.hash), ProblemCode::InvalidRequest),
        ("/artifacts/%ff", ProblemCode::InvalidRequest),
        ("/registry.json?paths=a&paths=b", ProblemCode::InvalidRequest),
    ];
    for (target, code) in not_found {
        assert_problem(&hub.get(target), code);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let answer = hub.request(method, "/registry.json", &[("Content-Length", "0")]);
        assert_problem(&answer, ProblemCode::MethodNotAllowed);
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
    let ids: Vec<_> =
        (0..3).map(|_| hub.get("/nothing").header("x-request-id").unwrap().to_owned()).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    let smuggled = hub.request("GET", "/nothing", &[("X-Request-Id", "forged")]);
    assert_ne!(smuggled.header("x-request-id"), Some("forged"));
    let head = hub.request("HEAD", "/nothing", &[]);
    assert_eq!((head.status, head.body.len()), (404, 0));
}

#[test]
fn a_body_larger_than_the_limit_is_refused() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let answer = hub.request("GET", "/healthz", &[("Content-Length", "1048577")]);
    assert_problem(&answer, ProblemCode::BodyTooLarge);
}

#[test]
fn a_body_is_taken_up_to_the_limit_of_the_settings_and_no_other() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_max_body_bytes", "4194304")]);
    let admin = token(data.path(), "admin");
    let authorization = format!("Bearer {admin}");
    let headers = [("Authorization", authorization.as_str())];
    for (bytes, status) in [(3 << 20, 400), (5 << 20, 413)] {
        let answer = send(hub.address(), "POST", "/v1/tokens", &headers, &vec![b' '; bytes]);
        assert_eq!(answer.status, status, "{bytes} bytes: {}", answer.text());
    }
}

#[test]
fn no_name_leads_out_of_the_registry() {
    let fixture = fixture();
    let Fixture { hub, model, .. } = &*fixture;
    let names = [
        "../hub.db",
        "..%2fhub.db",
        "..%5chub.db",
        "%2e%2e/hub.db",
        "%2e%2e%2fhub.db",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "..;/hub.db",
        "..%252fhub.db",
        "%c0%ae%c0%ae%c0%afhub.db",
        "scc_../../hub.db",
        "scc_..%2f..%2fhub.db",
        "%00",
        "x%00.bin",
        "C:%5chub.db",
        "con",
        ".",
        "..",
        "hub.db",
        "blobs",
        "tmp",
        &format!("{}.bin%00", model.hash),
        &format!("{}.bin/..", model.hash),
        &format!("{}.BIN", model.hash),
        &format!("..%2fartifacts%2f{}.bin", model.hash),
        &format!("{}%2ebin%0a", model.hash),
    ];
    for name in names {
        for prefix in ["/artifacts/", "/a/b/c/artifacts/", "/"] {
            let answer = hub.get(&format!("{prefix}{name}"));
            assert!((400..500).contains(&answer.status), "{prefix}{name}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}

#[test]
fn several_requests_share_a_connection() {
    let fixture = fixture();
    let mut stream = connect(fixture.hub.address());
    for _ in 0..3 {
        write!(stream, "GET {} HTTP/1.1\r\nHost: h\r\n\r\n", fixture.path()).unwrap();
        assert_eq!(read_answer(&mut stream, false).body, fixture.bytes());
    }
}

#[test]
fn a_query_that_cannot_be_read_is_answered_with_what_is_wrong_in_it() {
    let fixture = fixture();
    for (query, word) in [
        ("computes?limit=many", "limit"),
        ("computes?nonsense=1", "nonsense"),
        ("computes?status=gone", "gone"),
        ("mirror/passes?cursor=-1", "cursor"),
        ("jobs?limit=1&limit=2", "limit"),
    ] {
        let answer = fixture.hub.get(&format!("/v1/{query}"));
        assert_problem(&answer, ProblemCode::InvalidRequest);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("understands: ") && detail.contains(word), "{detail}");
    }
}
