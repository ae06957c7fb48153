//! What a real hub answers, header by header.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::io::Write as _;
use std::sync::{Arc, Mutex, Weak};

use phasic_hub_api::{Problem, ProblemCode, Sha256};
use phasic_hub_tests::http::{Answer, connect, read_answer, send};
use phasic_hub_tests::hub::{Hub, run, token};
use phasic_hub_tests::registry::{Model, model};

const ID: &str = "coal_n5_theta1";

struct Fixture {
    hub: Hub,
    data: tempfile::TempDir,
    model: Model,
}

/// One hub for the tests that only ask, for as long as any of them runs. A plain static would never be dropped, and its
/// hub would outlive the tests.
fn fixture() -> Arc<Fixture> {
    static FIXTURE: Mutex<Weak<Fixture>> = Mutex::new(Weak::new());
    let mut shared = FIXTURE.lock().unwrap();
    if let Some(fixture) = shared.upgrade() {
        return fixture;
    }
    let data = tempfile::tempdir().unwrap();
    let fixture = Arc::new(Fixture { hub: Hub::start(data.path()), data, model: model(ID) });
    *shared = Arc::downgrade(&fixture);
    fixture
}

impl Fixture {
    fn bytes(&self) -> &[u8] {
        &self.model.ptdprmc3
    }

    fn path(&self) -> String {
        format!("/artifacts/{}.bin", self.model.hash)
    }

    fn digest(&self) -> String {
        Sha256::of(self.bytes()).to_string()
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.digest())
    }
}

fn assert_problem(answer: &Answer, code: ProblemCode) {
    assert_eq!(answer.status, code.status(), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((problem.code.as_str(), problem.status), (code.as_str(), code.status()));
    assert_eq!(problem.title, code.title());
    assert!(problem.detail.ends_with('.'), "{problem:?}");
    assert!(problem.request_id.is_some() && problem.request_id.as_deref() == answer.header("x-request-id"));
}

#[test]
fn the_registry_is_one_json_document_with_a_strong_tag() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let answer = hub.get("/registry.json");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, no-cache"));
    assert_eq!(answer.header("vary"), Some("accept-encoding, authorization"));
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("etag"), Some(format!("\"{}\"", Sha256::of(&answer.body)).as_str()));
    assert!(
        answer
            .text()
            .starts_with("{\n  \"version\": \"2.0\",\n  \"format\": \"ptd_pcg\",\n  \"computes\": {\n")
    );
    assert!(answer.text().ends_with("}\n"));
}

#[test]
fn the_registry_hands_out_addresses_that_lead_to_the_bytes_it_promises() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let base = format!("http://{}", hub.address());
    let absolute = hub.get("/registry.json").json();
    let computes = absolute["computes"].as_object().unwrap();
    assert_eq!(computes.len(), phasic_engine::reference::computes().len());
    for (id, entry) in computes {
        let parent = &entry["artifacts"]["parent"];
        let (digest, path) = (
            parent["sha256"].as_str().unwrap(),
            format!("/artifacts/{}.bin", entry["graph_hash"].as_str().unwrap()),
        );
        assert_eq!(parent["cid_or_path"], format!("{base}{path}?sha256={digest}"), "{id}");
        let answer = hub.get(&format!("{path}?sha256={digest}"));
        assert_eq!(Sha256::of(&answer.body).to_string(), digest, "{id}");
        assert_eq!(parent["size_bytes"], answer.body.len(), "{id}");
        assert_eq!(answer.body, model(id).ptdprmc3, "{id}");
        assert_eq!(entry["format_revision"], 3, "{id}");
    }
    let relative = hub.get("/registry.json?paths=relative").json();
    let parent = &relative["computes"][ID]["artifacts"]["parent"];
    assert_eq!(parent["cid_or_path"], fixture.path()[1..]);
    assert_eq!(hub.get("/registry.json?paths=absolute").json(), absolute);
    assert_problem(&hub.get("/registry.json?paths=sideways"), ProblemCode::InvalidRequest);
}

#[test]
fn raw_shaped_addresses_answer_the_same() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let raw = "/munch-group/phasic-traces/master";
    for target in ["/registry.json", "/registry.json?paths=relative", &fixture.path()] {
        let (plain, shaped) = (hub.get(target), hub.get(&format!("{raw}{target}")));
        assert_eq!(shaped.status, 200, "{target}");
        assert_eq!(shaped.body, plain.body, "{target}");
        assert_eq!(shaped.header("etag"), plain.header("etag"), "{target}");
    }
}

#[test]
fn the_registry_answers_304_to_whoever_has_it() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let tag = |headers: &[(&str, &str)]| {
        hub.request("GET", "/registry.json", headers).header("etag").unwrap().to_owned()
    };
    let (plain, gzip) = (tag(&[]), tag(&[("Accept-Encoding", "gzip")]));
    assert_ne!(plain, gzip, "two codings are two representations");
    let status = |headers: &[(&str, &str)]| {
        let answer = hub.request("GET", "/registry.json", headers);
        assert!(answer.status != 304 || (answer.body.is_empty() && answer.header("etag").is_some()));
        answer.status
    };
    assert_eq!(status(&[("If-None-Match", &plain)]), 304);
    assert_eq!(status(&[("If-None-Match", &format!("\"x\", W/{plain}"))]), 304);
    assert_eq!(status(&[("If-None-Match", "*")]), 304);
    assert_eq!(status(&[("If-None-Match", &gzip)]), 200);
    assert_eq!(status(&[("If-None-Match", &gzip), ("Accept-Encoding", "gzip")]), 304);
    assert_eq!(status(&[("If-None-Match", "\"x\"")]), 200);
}

#[test]
fn that_nothing_has_changed_is_said_alike_to_every_form_of_the_question() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let tag = hub.get("/registry.json").header("etag").unwrap().to_owned();
    let has_it = ("If-None-Match", tag.as_str());
    let head = |target: &str, headers: &[(&str, &str)]| {
        let answer = hub.request("GET", target, headers);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{target}");
        let mut fields = answer.headers;
        fields.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
        fields.sort();
        fields
    };
    let plain = head("/registry.json", &[has_it]);
    assert!(plain.iter().any(|(name, value)| name == "vary" && value == "accept-encoding, authorization"));
    assert_eq!(head("/registry.json?paths=absolute", &[has_it]), plain);
    assert_eq!(head("/registry.json", &[has_it, ("Content-Length", "0")]), plain);
    let ids: Vec<_> = (0..3)
        .map(|_| hub.request("GET", "/registry.json", &[has_it]).header("x-request-id").unwrap().to_owned())
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[test]
fn the_registry_is_compressed_for_those_who_ask_and_artifacts_never_are() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let asked = [("Accept-Encoding", "gzip, deflate, br")];
    let answer = hub.request("GET", "/registry.json", &asked);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
    assert!(answer.body.len() < hub.get("/registry.json").body.len() / 2);
    let answer = hub.request("GET", &fixture.path(), &asked);
    assert_eq!((answer.header("content-encoding"), &answer.body[..]), (None, fixture.bytes()));
}

#[test]
fn an_artifact_comes_with_everything_needed_to_check_it() {
    let fixture = fixture();
    let by_digest = format!("{}?sha256={}", fixture.path(), fixture.digest());
    let scenarios =
        [(fixture.path(), "public, no-cache"), (by_digest, "public, max-age=31536000, immutable")];
    for (target, caching) in scenarios {
        for method in ["GET", "HEAD"] {
            let answer = fixture.hub.request(method, &target, &[]);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body, if method == "GET" { fixture.bytes() } else { b"" });
            let expected = [
                ("content-type", "application/octet-stream"),
                ("accept-ranges", "bytes"),
                ("cache-control", caching),
                ("etag", &fixture.etag()),
                ("x-checksum-sha256", &fixture.digest()),
                ("content-length", &fixture.bytes().len().to_string()),
                ("repr-digest", "sha-256=:BSChOGiIY/N5dFbEDrHfGj4MV0ICtz/g91wJkNG78ZY=:"),
            ];
            for (name, value) in expected {
                assert_eq!(answer.header(name), Some(value), "{method} {target}");
            }
            assert_eq!(answer.header("content-encoding"), None);
            assert_eq!(answer.header("vary"), Some("authorization"));
        }
    }
}

#[test]
fn one_range_is_answered_with_206() {
    let fixture = fixture();
    let size = fixture.bytes().len();
    let last = size - 1;
    let cases = [
        ("bytes=0-7".to_owned(), 0..8),
        ("bytes=0-".to_owned(), 0..size),
        (format!("bytes={last}-"), last..size),
        ("bytes=-5".to_owned(), size - 5..size),
        ("bytes=-999999999".to_owned(), 0..size),
        ("bytes=100-99999999999999999999999".to_owned(), 100..size),
        (format!("bytes=10-{}", size + 10), 10..size),
    ];
    for (header, range) in cases {
        let answer = fixture.hub.request("GET", &fixture.path(), &[("Range", &header)]);
        assert_eq!(answer.status, 206, "{header}");
        assert_eq!(answer.body, fixture.bytes()[range.clone()], "{header}");
        let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        assert_eq!(answer.header("content-range"), Some(place.as_str()));
        assert_eq!(answer.header("etag"), Some(fixture.etag().as_str()));
        assert!(answer.header("repr-digest").is_some(), "the digest is that of the whole");
    }
}

#[test]
fn what_is_no_single_range_gets_the_whole() {
    let fixture = fixture();
    for header in ["bytes=0-1,4-5", "bytes=5-2", "bytes=x-y", "bytes=-", "items=0-1", "bytes 0-1", ""] {
        let answer = fixture.hub.request("GET", &fixture.path(), &[("Range", header)]);
        assert_eq!((answer.status, &answer.body[..]), (200, fixture.bytes()), "{header}");
        assert_eq!(answer.header("content-range"), None);
    }
    let two = [("Range", "bytes=0-1"), ("Range", "bytes=2-3")];
    assert_eq!(fixture.hub.request("GET", &fixture.path(), &two).status, 200);
    let head = fixture.hub.request("HEAD", &fixture.path(), &[("Range", "bytes=0-1")]);
    assert_eq!(head.status, 200, "ranges are for GET");
}

#[test]
fn a_range_outside_is_416_with_the_size() {
    let fixture = fixture();
    let size = fixture.bytes().len();
    for header in
        [format!("bytes={size}-"), "bytes=-0".to_owned(), "bytes=99999999999999999999999-".to_owned()]
    {
        let answer = fixture.hub.request("GET", &fixture.path(), &[("Range", &header)]);
        assert_problem(&answer, ProblemCode::RangeNotSatisfiable);
        assert_eq!(answer.header("content-range"), Some(format!("bytes */{size}").as_str()));
    }
}

#[test]
fn a_range_belongs_to_the_tag_of_if_range() {
    let fixture = fixture();
    let etag = fixture.etag();
    let weak = format!("W/{etag}");
    let cases = [
        (etag.as_str(), 206),
        (weak.as_str(), 200),
        ("\"other\"", 200),
        ("Sat, 21 Nov 2026 08:00:00 GMT", 200),
    ];
    for (tag, status) in cases {
        let headers = [("Range", "bytes=0-7"), ("If-Range", tag)];
        assert_eq!(fixture.hub.request("GET", &fixture.path(), &headers).status, status, "{tag}");
    }
}

#[test]
fn an_artifact_answers_304_before_ranges_and_to_head() {
    let fixture = fixture();
    let etag = fixture.etag();
    let range = ("Range", "bytes=0-7");
    for (method, headers) in [
        ("GET", vec![("If-None-Match", etag.as_str())]),
        ("HEAD", vec![("If-None-Match", etag.as_str())]),
        ("GET", vec![("If-None-Match", etag.as_str()), range]),
        ("GET", vec![("If-None-Match", "*")]),
    ] {
        let answer = fixture.hub.request(method, &fixture.path(), &headers);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{headers:?}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert!(answer.header("cache-control").is_some());
    }
    let other = [("If-None-Match", "\"other\""), range];
    assert_eq!(fixture.hub.request("GET", &fixture.path(), &other).status, 206);
}

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
fn health_pages_and_the_home_page_say_what_they_should() {
    let fixture = fixture();
    let hub = &fixture.hub;
    assert_eq!(hub.get("/healthz").json(), serde_json::json!({"status": "live"}));
    assert_eq!(hub.get("/readyz").json(), serde_json::json!({"status": "ready"}));
    let home = hub.get("/");
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = home.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let base = format!("http://{}/registry.json", hub.address());
    assert!(home.text().contains(&base) && home.text().contains(ID) && !home.text().contains("<script"));
}

#[test]
fn every_route_is_documented_and_every_documented_route_answers() {
    let fixture = fixture();
    let Fixture { hub, model, data } = &*fixture;
    let admin =
        ["token", "create", "--name", "all", "--scope", "admin", "--data", data.path().to_str().unwrap()];
    let admin = String::from_utf8(run(&admin).stdout).unwrap();
    let authorization = format!("Bearer {}", admin.trim());
    let authorization = [("Authorization", authorization.as_str())];
    let document = hub.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        let target = path
            .replace("{name}", &format!("{}.bin", model.hash))
            .replace("{id}", "none")
            .replace("{number}", "987654321")
            .replace("{hash}", &model.hash)
            .replace("{owner}/{repo}/{reference}", "o/r/master");
        for (method, operation) in
            operations.as_object().unwrap().iter().filter(|(method, _)| *method != "get")
        {
            // What these do has tests of its own; here they say, as documented, that nothing is no request.
            let answer = send(hub.address(), &method.to_uppercase(), &target, &authorization, b"{}");
            // But for tasks and passes, which are begun without being told anything.
            let begins = answer.status == 202 && path.starts_with("/v1/admin/")
                || answer.status == 200 && path == "/v1/mirror/sync";
            assert!(begins || matches!(answer.status, 400 | 404 | 422), "{method} {path}: {answer:?}");
            assert!(operation["responses"].get(answer.status.to_string()).is_some(), "{method} {path}");
        }
        if operations.get("get").is_none() {
            continue;
        }
        let answer = hub.request("GET", &target, &authorization);
        if ["{id}", "{digest}", "{number}"].iter().any(|what| path.contains(what)) {
            assert_eq!(answer.status, 404, "{path}");
            assert_ne!(answer.json()["code"], "route_not_found", "{path}");
            assert!(operations["get"]["responses"].get("404").is_some(), "{path}");
            continue;
        }
        assert_eq!(answer.status, 200, "{path}");
        let documented = operations["get"]["responses"]["200"]["content"].as_object().unwrap();
        let content_type = answer.header("content-type").unwrap().split(';').next().unwrap();
        assert!(documented.contains_key(content_type), "{path}: {content_type}");
    }
}

#[test]
fn whatever_nonsense_is_sent_the_answer_is_one_that_is_documented() {
    let data = tempfile::tempdir().unwrap();
    let small = "65536";
    let settings =
        [("http_max_body_bytes", small), ("models_max_body_bytes", small), ("rate_per_second", "0")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let authorization = format!("Bearer {}", token(data.path(), "admin"));
    let authorization = ("Authorization", authorization.as_str());
    let document = hub.get("/openapi.json").json();
    let long = vec![b' '; 70_000];
    let (mut answers, mut refusals) = (0, 0);
    for (path, operations) in document["paths"].as_object().unwrap() {
        for name in ["%ff", "a%20b", "none", "7"] {
            let target: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { name } else { part })
                .collect::<Vec<_>>()
                .join("/");
            for query in ["", "?limit=x&cursor=%ff&after=x&state=x&private=x&all=x&paths=x&nonsense=1"] {
                for (method, operation) in operations.as_object().unwrap() {
                    for body in [&b""[..], b"[", b"{}", &long] {
                        if method == "get" && !body.is_empty() {
                            continue;
                        }
                        let method = method.to_uppercase();
                        let target = format!("{target}{query}");
                        // Bodies that are not empty say their length by themselves.
                        let headers = [authorization, ("Content-Length", "0")];
                        let headers = &headers[..if body.is_empty() { 2 } else { 1 }];
                        let answer = send(hub.address(), &method, &target, headers, body);
                        let documented = &operation["responses"][answer.status.to_string()];
                        let told = format!("{method} {target} with {} bytes: {}", body.len(), answer.status);
                        assert!(documented.is_object(), "{told}");
                        if answer.status >= 400 {
                            let code = answer.json()["code"].as_str().unwrap().to_owned();
                            let about = documented["description"].as_str().unwrap();
                            assert!(
                                about.contains(&format!("`{code}`")),
                                "{told} {code}, documented: {about}"
                            );
                            refusals += 1;
                        }
                        answers += 1;
                    }
                }
            }
        }
    }
    assert!(answers > 500 && refusals > answers / 2, "{refusals} of {answers}");
}

#[test]
fn the_page_of_the_api_is_found_from_everywhere_and_needs_nothing_from_elsewhere() {
    let fixture = fixture();
    let hub = &fixture.hub;
    let page = hub.get("/api");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for (path, operations) in hub.get("/openapi.json").json()["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            assert!(
                page.text().contains(&format!("<code>{} {path}</code>", method.to_uppercase())),
                "{path}"
            );
        }
    }
    assert!(!page.text().contains("<script"));
    assert!(hub.get("/").text().contains("href=\"/api\""));
    assert!(hub.get("/nowhere").json()["detail"].as_str().unwrap().contains("GET /api"));
    for path in ["/api", "/openapi.json"] {
        let tag = hub.get(path).header("etag").unwrap().to_owned();
        assert_eq!(hub.request("GET", path, &[("If-None-Match", &tag)]).status, 304, "{path}");
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
