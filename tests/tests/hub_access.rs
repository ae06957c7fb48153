//! Who may do what: every route of the committed API document with every kind of token.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use phasic_hub_api::Sha256;
use phasic_hub_api::{AuditLine, AuditPage, NewToken, Scope, TokenPage};
use phasic_hub_tests::http::{Answer, begin, read_answer, send};
use phasic_hub_tests::hub::{Hub, run, wait_until};
use serde_json::{Value, json};

/// The committed document, which another test compares with the hub's.
fn operations() -> Vec<(String, String, String, bool)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let access = operation["x-access"].as_str().unwrap().to_owned();
            let of_id = operation.get("x-access-of-id").is_some_and(|of_id| *of_id == true);
            operations.push((method.to_uppercase(), path.clone(), access, of_id));
        }
    }
    assert!(operations.len() > 10, "{operations:?}");
    operations
}

fn token(data: &Path, scopes: &[&str], expires: &str) -> String {
    let mut arguments = vec!["token", "create", "--name", "test", "--expires", expires];
    for scope in scopes {
        arguments.extend(["--scope", scope]);
    }
    arguments.extend(["--data", data.to_str().unwrap()]);
    let made = run(&arguments);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn revoke(data: &Path, id: &str) {
    assert!(run(&["token", "revoke", id, "--data", data.to_str().unwrap()]).status.success());
}

/// What the id of a token is, by its name in the list.
fn newest(data: &Path) -> String {
    let listing = run(&["token", "list", "--data", data.to_str().unwrap()]).stdout;
    let listing = String::from_utf8(listing).unwrap();
    listing.lines().last().unwrap().split('\t').next().unwrap().to_owned()
}

fn ask(hub: &Hub, method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Answer {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let length = body.len().to_string();
    let mut headers = vec![("Content-Length", length.as_str())];
    headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
    send(hub.address(), method, path, &headers, body)
}

/// A path that leads to the route, and changes nothing.
fn concrete(path: &str) -> String {
    let segment = |part: &str| if part.starts_with('{') { "none".to_owned() } else { part.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The refusal, if the guard of the hub refuses.
fn refusal(answer: &Answer) -> Option<String> {
    let refusals = ["token_required", "token_invalid", "scope_missing", "id_not_allowed"];
    let code = serde_json::from_slice::<Value>(&answer.body).ok()?["code"].as_str()?.to_owned();
    refusals.contains(&code.as_str()).then_some(code)
}

fn expected(access: &str, scopes: Option<&[Scope]>, anonymous: Option<Scope>) -> Option<&'static str> {
    if access == "open" {
        return None;
    }
    let wanted: Scope = access.parse().unwrap();
    if anonymous.is_some_and(|open| open.includes(wanted)) {
        return None;
    }
    match scopes {
        None => Some("token_required"),
        Some(scopes) if scopes.iter().any(|scope| scope.includes(wanted)) => None,
        Some(_) => Some("scope_missing"),
    }
}

#[test]
fn every_route_is_open_to_those_it_should_be_and_closed_to_all_others() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let kinds: [&[Scope]; 5] = [
        &[Scope::Read],
        &[Scope::Compute],
        &[Scope::Publish],
        &[Scope::Admin],
        &[Scope::Read, Scope::Compute, Scope::Publish],
    ];
    let words = |scopes: &[Scope]| scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>();
    let valid: Vec<_> = kinds.iter().map(|scopes| (token(data, &words(scopes), "1d"), *scopes)).collect();
    let admin = format!("token:{}", newest_admin(data));
    let revoked = token(data, &["admin"], "1d");
    revoke(data, &newest(data));
    let expired = token(data, &["admin"], "1s");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut mistyped = revoked.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == '0' { '1' } else { '0' });
    let prefix = valid[3].0.replacen("hub_", "ghp_", 1);
    let upper = valid[3].0.to_uppercase();
    let twice = format!("{0} {0}", valid[3].0);
    let publishing = |ids: &str| {
        phasic_hub_tests::access::token(
            data,
            &["--scope", "read", "--scope", "compute", "--scope", "publish", "--ids", ids],
        )
    };
    let (elsewhere_only, here_only) = (publishing("some*"), publishing("non*"));
    let actors = || -> std::collections::BTreeSet<String> {
        let exported = run(&["audit", "export", "--data", data.to_str().unwrap()]).stdout;
        let exported = String::from_utf8(exported).unwrap();
        let lines = exported.lines().map(|line| serde_json::from_str::<AuditLine>(line).unwrap());
        lines.map(|line| line.actor).filter(|actor| actor.starts_with("token:")).collect()
    };
    // Made elsewhere: in our form, and unknown here.
    let elsewhere = tempfile::tempdir().unwrap();
    let unknown = token(elsewhere.path(), &["admin"], "1d");
    let settings = [("nothing", None), ("read", Some(Scope::Read)), ("compute", Some(Scope::Compute))];
    for (word, anonymous) in settings {
        let hub = Hub::start_with(data, &[], &[("access_anonymous", word), ("rate_per_second", "0")]);
        for (method, path, access, of_id) in operations() {
            let at = concrete(&path);
            let check = |token: Option<&str>, expected: Option<&str>, kind: &str| {
                let answer = ask(&hub, &method, &at, token, b"");
                let about = format!("{method} {path} ({access}), {kind}, anonymous {word}: {answer:?}");
                assert_eq!(refusal(&answer).as_deref(), expected, "{about}");
                assert!(answer.status < 500, "{about}");
                let status = match expected {
                    Some("scope_missing" | "id_not_allowed") => 403,
                    Some(_) => 401,
                    None => return,
                };
                assert_eq!(answer.status, status, "{about}");
                if expected == Some("id_not_allowed") {
                    return;
                }
                assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer realm="), "{about}");
            };
            check(None, expected(&access, None, anonymous), "no token");
            for (token, scopes) in &valid {
                check(Some(token), expected(&access, Some(scopes), anonymous), &format!("{scopes:?}"));
            }
            // Right scopes, for other ids than the one in the path; and for this one.
            let all = expected(&access, Some(&[Scope::Read, Scope::Compute, Scope::Publish]), anonymous);
            check(Some(&elsewhere_only), all.or(of_id.then_some("id_not_allowed")), "for other ids");
            check(Some(&here_only), all, "for this id");
            // A token in the address is none.
            let in_url = format!("{at}?token={}&access_token={}", valid[3].0, valid[3].0);
            let answer = ask(&hub, &method, &in_url, None, b"");
            assert_eq!(refusal(&answer).as_deref(), expected(&access, None, anonymous), "{method} {in_url}");
            let invalid = (access != "open").then_some("token_invalid");
            for (token, kind) in [
                (&revoked, "revoked"),
                (&expired, "expired"),
                (&mistyped, "mistyped"),
                (&unknown, "unknown"),
                (&prefix, "of another prefix"),
                (&upper, "in capitals"),
                (&twice, "twice"),
            ] {
                check(Some(token), invalid, kind);
            }
        }
    }
    // Only what administrators ask for needs no body, and was done. Whoever was refused has left nothing behind.
    assert_eq!(actors().into_iter().collect::<Vec<_>>(), [admin], "lines of the audit log by others");
}

#[test]
fn a_token_is_made_used_listed_and_revoked_at_once_over_http() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[("access_anonymous", "nothing")]);
    let admin = token(data, &["admin"], "1d");
    wait_until("it has computes", || {
        ask(&hub, "GET", "/registry.json", Some(&admin), b"").text().contains("coal_n5_theta1")
    });
    let page = hub.get("/");
    assert_eq!(page.status, 200);
    assert!(
        !page.text().contains("coal_n5_theta1") && !page.text().contains("reproduced"),
        "{}",
        page.text()
    );
    assert!(page.text().contains("Authorization: Bearer") && page.text().contains("token create"));
    assert!(!page.text().contains("Ready") && !page.text().contains("Mirror of"), "{}", page.text());
    let body = json!({"name": "lab", "scopes": ["read"], "expires_in_seconds": 3600}).to_string();
    let made = ask(&hub, "POST", "/v1/tokens", Some(&admin), body.as_bytes());
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")), "{made:?}");
    let NewToken { id, token: secret } = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(made.header("location"), Some(format!("/v1/tokens/{id}").as_str()));
    let registry = ask(&hub, "GET", "/registry.json", Some(&secret), b"");
    assert_eq!(registry.status, 200);
    assert_eq!(registry.header("cache-control"), Some("private, no-cache"), "no shared cache may keep it");
    let page = |query: &str| -> TokenPage {
        serde_json::from_slice(&ask(&hub, "GET", &format!("/v1/tokens{query}"), Some(&admin), b"").body)
            .unwrap()
    };
    let all = page("");
    let listed = all.tokens.iter().find(|token| token.id == id).unwrap();
    assert_eq!((listed.name.as_str(), &listed.scopes[..]), ("lab", &[Scope::Read][..]));
    assert!(listed.last_used_at.is_some() && listed.expires_at > Some(listed.created_at.clone()));
    let first = page("?limit=1");
    let second = page(&format!("?limit=1&cursor={}", first.next.unwrap()));
    assert_eq!([&first.tokens[..], &second.tokens[..]].concat(), all.tokens[..2]);

    assert_eq!(ask(&hub, "DELETE", &format!("/v1/tokens/{id}"), Some(&admin), b"").status, 204);
    let refused = ask(&hub, "GET", "/registry.json", Some(&secret), b"");
    assert_eq!(refusal(&refused).as_deref(), Some("token_invalid"));
    assert!(refused.text().contains("revoked"), "{}", refused.text());
    let again = ask(&hub, "DELETE", &format!("/v1/tokens/{id}"), Some(&admin), b"");
    assert_eq!((again.status, &again.json()["code"]), (404, &"token_not_found".into()));
    // By another process, at the next request.
    revoke(data, &newest_admin(data));
    assert_eq!(refusal(&ask(&hub, "GET", "/v1/tokens", Some(&admin), b"")).as_deref(), Some("token_invalid"));
    let log = hub.stop().log;
    assert!(!log.contains(&secret[4..]) && !log.contains(&admin[4..]), "secrets in the log");
}

fn newest_admin(data: &Path) -> String {
    let listing =
        String::from_utf8(run(&["token", "list", "--data", data.to_str().unwrap()]).stdout).unwrap();
    let line = listing.lines().rfind(|line| line.contains("\tadmin\t")).unwrap();
    line.split('\t').next().unwrap().to_owned()
}

#[test]
fn wrong_token_requests_are_refused_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start(directory.path());
    let admin = token(directory.path(), &["admin"], "1d");
    for body in [
        "",
        "{",
        "[]",
        r#"{"name": "x"}"#,
        r#"{"name": "x", "scopes": []}"#,
        r#"{"name": "x", "scopes": ["root"]}"#,
        r#"{"name": " ", "scopes": ["read"]}"#,
        r#"{"name": "x", "scopes": ["read"], "expires_in_seconds": 0}"#,
        r#"{"name": "x", "scopes": ["read"], "expires_in_seconds": 3153600001}"#,
        r#"{"name": "x", "scopes": ["read"], "more": 1}"#,
    ] {
        let answer = ask(&hub, "POST", "/v1/tokens", Some(&admin), body.as_bytes());
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"invalid_request".into()), "{body}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=-1", "after=x", "cursors=1"] {
        assert_eq!(ask(&hub, "GET", &format!("/v1/audit?{query}"), Some(&admin), b"").status, 400, "{query}");
    }
    let wrong_method = ask(&hub, "PUT", "/v1/tokens", Some(&admin), b"");
    assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, Some("GET,HEAD,POST")));
}

#[test]
fn whoever_asks_too_much_is_told_how_long_to_wait_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    // One point in 1 s: nothing comes back while the test runs.
    let settings = [("rate_per_second", "1"), ("rate_burst", "40"), ("http_trusted_proxies", "127.0.0.1")];
    let hub = Hub::start_with(directory.path(), &[], &settings);
    let reader = token(directory.path(), &["read"], "1d");
    let from = |client: &str| hub.request("GET", "/registry.json", &[("X-Forwarded-For", client)]);
    let answers: Vec<_> = (0..60).map(|_| from("192.0.2.1")).collect();
    assert!(answers[..40].iter().all(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(from("192.0.2.2").status, 200, "another client");
    assert_eq!(ask(&hub, "GET", "/registry.json", Some(&reader), b"").status, 200, "a token has its own");
    assert_eq!(hub.request("GET", "/healthz", &[("X-Forwarded-For", "192.0.2.1")]).status, 200);
    let guess = |_| {
        hub.request(
            "GET",
            "/registry.json",
            &[("X-Forwarded-For", "192.0.2.3"), ("Authorization", "Bearer x")],
        )
    };
    let statuses: Vec<_> = (0..4).map(|number| guess(number).status).collect();
    assert_eq!(statuses, [401, 401, 429, 429], "guessing is dear");
}

#[test]
fn asking_whether_anything_has_changed_is_no_way_around_tokens_and_limits() {
    let directory = tempfile::tempdir().unwrap();
    let unchanged = [("If-None-Match", "*")];
    {
        let hub = Hub::start_with(directory.path(), &[], &[("access_anonymous", "nothing")]);
        let answer = hub.request("GET", "/registry.json", &unchanged);
        assert_eq!((answer.status, refusal(&answer).as_deref()), (401, Some("token_required")));
    }
    let hub = Hub::start_with(directory.path(), &[], &[("rate_per_second", "1"), ("rate_burst", "10")]);
    let guess = [unchanged[0], ("Authorization", "Bearer x")];
    assert_eq!(hub.request("GET", "/registry.json", &guess).status, 401);
    let statuses: Vec<_> = (0..40).map(|_| hub.request("GET", "/registry.json", &unchanged).status).collect();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused >= 20 && statuses.iter().all(|status| [304, 429].contains(status)), "{statuses:?}");
}

#[test]
fn every_change_is_a_line_of_an_unbroken_chain() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let admin = token(data, &["admin"], "1d");
    let body = json!({"name": "lab", "scopes": ["read"]}).to_string();
    let made: NewToken =
        serde_json::from_slice(&ask(&hub, "POST", "/v1/tokens", Some(&admin), body.as_bytes()).body).unwrap();
    let audit = |query: &str| -> AuditPage {
        serde_json::from_slice(&ask(&hub, "GET", &format!("/v1/audit{query}"), Some(&admin), b"").body)
            .unwrap()
    };
    let lines = audit("").lines;
    let last = lines.last().unwrap();
    assert_eq!((last.action.as_str(), &last.subject), ("token.create", &made.id));
    assert_eq!(last.actor, format!("token:{}", newest_admin(data)));
    let of = |action: &str, actor: &str| {
        lines.iter().filter(|line| line.action == action && line.actor == actor).count()
    };
    assert_eq!((of("token.create", "hub"), of("token.create", "operator")), (1, 1));
    assert!(of("compute.publish", "hub") >= 5, "{lines:?}");
    for (before, line) in lines.iter().zip(&lines[1..]) {
        assert_eq!((line.previous, line.digest()), (before.sha256, line.sha256));
    }
    let pages = [audit("?limit=3").lines, audit("?after=3&limit=1000").lines].concat();
    assert_eq!(pages, lines);

    let command =
        |arguments: &[&str]| run(&[&["audit"], arguments, &["--data", data.to_str().unwrap()]].concat());
    let exported = String::from_utf8(command(&["export"]).stdout).unwrap();
    let exported: Vec<_> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, exported);
    let verified = command(&["verify", "--head", &lines[2].sha256.to_string()]);
    assert!(verified.status.success() && String::from_utf8_lossy(&verified.stdout).contains("unbroken"));
    let cut = command(&["verify", "--head", &"ab".repeat(32)]);
    assert_eq!(cut.status.code(), Some(4), "{}", String::from_utf8_lossy(&cut.stderr));
    wait_until("the hub still serves", || hub.get("/readyz").status == 200);
}

/// A hub, and the tokens that will be revoked there while they are in use.
struct Revoking {
    data: tempfile::TempDir,
    hub: Hub,
}

impl Revoking {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let hub = Hub::start(data.path());
        Self { data, hub }
    }

    /// The header of a new token, and its id.
    fn token(&self, scope: &str) -> (String, String) {
        let token = token(self.data.path(), &[scope], "1d");
        (format!("Bearer {token}"), newest(self.data.path()))
    }

    fn audit(&self) -> String {
        let exported = run(&["audit", "export", "--data", self.data.path().to_str().unwrap()]);
        String::from_utf8(exported.stdout).unwrap()
    }
}

#[test]
fn an_upload_that_began_before_its_token_was_revoked_is_not_finished() {
    let place = Revoking::start();
    let bytes = vec![7; 100_000];
    let target = format!("/v1/blobs/sha256/{}", Sha256::of(&bytes));
    for range in [None, Some("bytes 0-99999/100000")] {
        let (authorization, id) = place.token("publish");
        let mut headers = vec![("Authorization", authorization.as_str()), ("Content-Length", "100000")];
        headers.extend(range.map(|range| ("Content-Range", range)));
        let mut upload = begin(place.hub.address(), "PUT", &target, &headers, b"");
        upload.write_all(&bytes[..50_000]).unwrap();
        revoke(place.data.path(), &id);
        // It may have heard enough.
        let _ = upload.write_all(&bytes[50_000..]);
        let answer = read_answer(&mut upload, false);
        assert_eq!((answer.status, refusal(&answer).as_deref()), (401, Some("token_invalid")));
    }
    assert!(!place.audit().contains("\"blob.upload\""), "{}", place.audit());
}

#[test]
fn who_waits_for_a_job_is_told_nothing_after_his_token_was_revoked() {
    let place = Revoking::start();
    // What the job waits for: the bytes of its result are there already.
    let lock = fs::File::create(place.data.path().join("blobs/lock")).unwrap();
    lock.lock().unwrap();
    let (authorization, id) = place.token("compute");
    let body = json!({"model": {"builtin": "kingman", "constants": {"n": 5}}}).to_string();
    let headers = [("Authorization", authorization.as_str()), ("Prefer", "wait=25")];
    let address = place.hub.address();
    let mut waiting = begin(address, "POST", "/v1/eliminations", &headers, body.as_bytes());
    let mut job = Value::Null;
    wait_until("the job runs", || {
        job = place.hub.get("/v1/jobs").json()["jobs"][0].clone();
        job["state"] == "running"
    });
    let events = format!("/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let mut watching = begin(address, "GET", &events, &[headers[0]], b"");
    let mut first = [0; 4096];
    assert!(watching.read(&mut first).unwrap() > 0);
    revoke(place.data.path(), &id);
    let answer = read_answer(&mut waiting, false);
    assert_eq!((answer.status, refusal(&answer).as_deref()), (401, Some("token_invalid")));
    // Ends, while the job goes on.
    watching.read_to_end(&mut Vec::new()).unwrap();
    let id = job["id"].as_str().unwrap();
    assert_eq!(place.hub.get(&format!("/v1/jobs/{id}")).json()["state"], "running");
    lock.unlock().unwrap();
}

#[test]
fn lines_of_an_evaluation_break_off_when_the_token_is_revoked() {
    let place = Revoking::start();
    let (authorization, id) = place.token("compute");
    let body = json!({"model": {"builtin": "kingman"}, "theta": vec![[1.25]; 100_000],
                      "quantities": [{"moments": 8}]});
    let headers = [("Authorization", authorization.as_str()), ("Accept", "application/x-ndjson")];
    let body = body.to_string();
    let mut lines = begin(place.hub.address(), "POST", "/v1/evaluate", &headers, body.as_bytes());
    let mut received = vec![0; 4096];
    lines.read_exact(&mut received).unwrap();
    assert!(received.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&received));
    // Sockets hold some of it; the rest waits until somebody reads.
    revoke(place.data.path(), &id);
    lines.read_to_end(&mut received).unwrap();
    assert!(!received.ends_with(b"0\r\n\r\n"), "a proper end after {} bytes", received.len());
}

#[test]
fn cursors_that_are_of_no_page_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path());
    for target in [
        "/v1/computes?cursor=%00",
        "/v1/computes?cursor=a%2Fb",
        "/v1/computes/coal_n5_theta1/revisions?cursor=-5",
        "/v1/mirror/passes?cursor=-1",
    ] {
        let answer = hub.get(target);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("invalid_request")), "{target}");
    }
    assert_eq!(hub.get("/v1/computes?cursor=coal_n5_theta1").status, 200);
    assert_eq!(hub.get("/v1/computes/coal_n5_theta1/revisions?cursor=1").status, 200);
}

#[test]
fn who_searches_is_stopped_before_he_keeps_others_waiting() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("rate_per_second", "1"), ("rate_burst", "200")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let answered = (0..10).filter(|_| hub.get("/v1/computes?search=x").status == 200).count();
    assert!(answered <= 5, "{answered} searches for 200 points");
    assert_eq!(hub.get("/readyz").status, 200);
}
