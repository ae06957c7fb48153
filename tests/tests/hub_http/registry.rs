//! The registry document: its validators, its codings, its other addresses.

use phasic_hub_api::{ProblemCode, Sha256};
use phasic_hub_tests::registry::model;

use super::{ID, assert_problem, fixture};

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
    for method in ["GET", "HEAD"] {
        for path in ["/registry.json", "/registry.json?paths=absolute"] {
            let answer = hub.request(method, path, &[has_it]);
            assert_eq!((answer.status, answer.header("content-length")), (304, None), "{method} {path}");
        }
    }
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
