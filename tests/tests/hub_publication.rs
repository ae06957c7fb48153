//! Computes that people publish on a real hub, replace, take back and let stand again.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::Path;
use std::thread;
use std::time::Duration;

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, refusal, token};
use phasic_hub_tests::blobs;
use phasic_hub_tests::hub::{Hub, run, sync, wait_until};
use phasic_hub_tests::registry::{document, entry, kingman, write_directory};
use serde_json::{Value, json};

fn actions(data: &Path, action: &str) -> usize {
    let exported = run(&["audit", "export", "--data", data.to_str().unwrap()]).stdout;
    let exported = String::from_utf8(exported).unwrap();
    let lines = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["action"] == action && line["actor"].as_str().unwrap().starts_with("token:"))
        .count()
}

#[test]
fn what_a_dry_run_of_phasic_prints_is_published_pulled_replaced_retracted_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let publish = token(data, &["--scope", "publish", "--ids", "ourlab-*"]);
    let (client, anybody) = (Client { hub: &hub, token: Some(&publish) }, Client { hub: &hub, token: None });
    let model = kingman(6);
    let dry_run = json!({"ourlab-k6": entry(&model, &model.ptdprmc1)});
    let at = "/v1/computes/ourlab-k6";

    let missing = client.json("PUT", at, &dry_run);
    assert_eq!(refusal(&missing), (422, "blob_missing".to_owned()));
    let digest = Sha256::of(&model.ptdprmc1).to_string();
    assert!(missing.text().contains(&digest), "says what to upload: {}", missing.text());
    assert_eq!(client.upload(&model.ptdprmc1).status, 201);
    let made = client.json("PUT", at, &dry_run);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["verdict"], "graph_unknown");
    let tag = made.header("etag").unwrap().to_owned();
    assert_eq!(anybody.get(at).header("etag"), Some(tag.as_str()));

    // At once, in the form phasic uses.
    let listed = &anybody.get("/registry.json").json()["computes"]["ourlab-k6"];
    assert_eq!(listed["artifacts"]["parent"]["sha256"], Sha256::of(&model.ptdprmc3).to_string());
    let url = listed["artifacts"]["parent"]["cid_or_path"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", hub.address())).unwrap();
    assert_eq!(anybody.get(path).body, model.ptdprmc3);
    assert_eq!(anybody.get(&format!("/v1/blobs/sha256/{digest}")).body, model.ptdprmc1, "the original, too");

    // The same again is nothing new.
    let again = client.json("PUT", at, &dry_run);
    assert_eq!((again.status, again.header("etag")), (200, Some(tag.as_str())));
    assert_eq!(actions(data, "compute.publish"), 1);
    let alone = client.json("PUT", at, &dry_run["ourlab-k6"]);
    assert_eq!(alone.status, 200, "{}", alone.text());

    // Something else is not taken for it by mistake.
    let mut other = dry_run["ourlab-k6"].clone();
    other["metadata"]["description"] = "better".into();
    let conflict = client.json("PUT", at, &other);
    assert_eq!(refusal(&conflict), (409, "compute_exists".to_owned()));
    assert_eq!(conflict.header("etag"), Some(tag.as_str()));
    assert!(conflict.text().contains(&digest), "names what is there: {}", conflict.text());
    let put =
        |header: (&str, &str), body: &Value| client.send("PUT", at, &[header], body.to_string().as_bytes());
    let stale = put(("If-Match", &format!("\"{}\"", "0".repeat(64))), &other);
    assert_eq!(refusal(&stale), (412, "precondition_failed".to_owned()));
    assert_eq!(refusal(&put(("If-None-Match", "*"), &other)), (412, "precondition_failed".to_owned()));
    assert_eq!(put(("If-Match", &tag), &other).status, 200);
    assert_eq!(anybody.get(at).json()["metadata"]["description"], "better");

    // Taken back, with a reason, and not; only what was meant.
    let private = json!({"private": true}).to_string();
    for (method, body) in [("DELETE", ""), ("PATCH", private.as_str())] {
        let stale = client.send(method, at, &[("If-Match", &tag)], body.as_bytes());
        assert_eq!(refusal(&stale), (412, "precondition_failed".to_owned()), "{method}");
    }
    let tag = anybody.get(at).header("etag").unwrap().to_owned();
    let reason = format!("{at}?reason=wrong%20rates");
    let retracted = client.send("DELETE", &reason, &[("If-Match", &tag)], b"");
    assert_eq!(
        (retracted.status, &retracted.json()["status"]),
        (200, &"retracted".into()),
        "{}",
        retracted.text()
    );
    assert_eq!(anybody.get("/registry.json").json()["computes"]["ourlab-k6"]["retracted"], true);
    assert_eq!(anybody.get(&format!("/artifacts/{}.bin", model.hash)).status, 404);
    assert_eq!(anybody.get(&format!("/v1/graphs/{}", model.hash)).status, 200, "it is known still");
    assert_eq!(anybody.get(path).status, 200, "an address with a digest stays good");
    assert_eq!(client.json("PATCH", at, &json!({"retracted": false})).json()["status"], "served");
    assert_eq!(anybody.get(&format!("/artifacts/{}.bin", model.hash)).status, 200);
    let revisions = anybody.get(&format!("{at}/revisions")).json()["revisions"].clone();
    assert_eq!(revisions.as_array().unwrap().len(), 4);
    assert_eq!((&revisions[1]["reason"], revisions[0].get("reason")), (&"wrong rates".into(), None));
    let counts = ["compute.publish", "compute.retract", "compute.restore", "blob.upload"]
        .map(|one| actions(data, one));
    assert_eq!(counts, [2, 1, 1, 1], "one line for each change");

    // Ids the token is not for, and ids that are none.
    let outside = client.json("PUT", "/v1/computes/theirlab-k6", &json!({"theirlab-k6": other}));
    assert_eq!(refusal(&outside), (403, "id_not_allowed".to_owned()));
    for (id, body) in [
        ("ourlab-..x", &dry_run),
        ("ourlab-other", &dry_run),
        ("ourlab-k6", &json!([])),
        ("ourlab-k6", &json!({})),
    ] {
        let answer = client.json("PUT", &format!("/v1/computes/{id}"), body);
        assert_eq!(refusal(&answer), (400, "invalid_request".to_owned()), "{id} {body}");
    }
    let twice = format!("{{\"graph_hash\":\"{0}\",\"graph_hash\":\"{0}\"}}", model.hash);
    assert_eq!(client.send("PUT", at, &[], twice.as_bytes()).status, 400, "a member that is said twice");
    assert_eq!(refusal(&client.json("PATCH", at, &json!({}))), (400, "invalid_request".to_owned()));
    assert_eq!(
        refusal(&client.send("DELETE", "/v1/computes/ourlab-none", &[], b"")),
        (404, "compute_not_found".to_owned())
    );
    // What was published survives the end of the process.
    hub.signal("KILL");
    drop(hub.ended());
    let hub = Hub::start(data);
    assert_eq!(hub.get(at).json()["metadata"]["description"], "better");
}

#[test]
fn nothing_is_published_that_is_not_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[("access_anonymous", "compute")]);
    let publish = token(data, &["--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    let (model, other) = (kingman(6), kingman(7));
    let mut bits = model.ptdprmc3.clone();
    bits.truncate(bits.len() - 8);
    for file in [&model.ptdprmc1[..], &model.ptdprmc3, &other.ptdprmc1, &other.ptdprmc3, &bits, b"no program"]
    {
        assert_eq!(client.upload(file).status, 201);
    }
    let good = || entry(&model, &model.ptdprmc3);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut entry = good();
        change(&mut entry);
        entry
    };
    let parent_of = |bytes: &[u8]| entry(&model, bytes);
    // The graph is not known yet: what the bytes alone tell.
    let mut cases = vec![
        (
            "another size",
            with(&|entry| entry["artifacts"]["parent"]["size_bytes"] = 1.into()),
            "artifact_invalid",
        ),
        ("of another graph", parent_of(&other.ptdprmc1), "artifact_invalid"),
        ("cut off", parent_of(&bits), "artifact_invalid"),
        ("no program", parent_of(b"no program"), "artifact_invalid"),
        ("a later revision", with(&|entry| entry["format_revision"] = 4.into()), "invalid_request"),
        ("no digest", with(&|entry| entry["artifacts"]["parent"]["sha256"] = "x".into()), "invalid_request"),
        ("fewer vertices", with(&|entry| entry["metadata"]["vertices"] = 3.into()), "artifact_invalid"),
        ("no metadata of text", with(&|entry| entry["metadata"]["license"] = 5.into()), "invalid_request"),
    ];
    let refuse = |cases: &[(&str, Value, &str)]| {
        for (about, entry, code) in cases {
            let answer = client.json("PUT", "/v1/computes/x", entry);
            assert_eq!(refusal(&answer).1, *code, "{about}: {}", answer.text());
        }
    };
    refuse(&cases);
    // Once somebody has said what the graph is, its program is made anew.
    let source = json!({"model": {"builtin": "kingman", "constants": {"n": 6}}});
    assert_eq!(hub.post("/v1/graphs", &source).status, 201);
    cases.truncate(6);
    cases.push(("another program", parent_of(&other.ptdprmc3), "artifact_invalid"));
    cases.push((
        "more vertices",
        with(&|entry| entry["metadata"]["vertices"] = 8.into()),
        "metadata_invalid",
    ));
    cases.push((
        "more parameters",
        with(&|entry| entry["metadata"]["param_length"] = 2.into()),
        "metadata_invalid",
    ));
    refuse(&cases);
    assert_eq!(actions(data, "compute.publish"), 0);
    assert_eq!(hub.get("/v1/computes/x/revisions").status, 404, "nothing is left of it");
    let made = client.json("PUT", "/v1/computes/x", &good());
    assert_eq!((made.status, &made.json()["verdict"]), (201, &"reproduced".into()), "{}", made.text());
}

#[test]
fn an_elimination_of_the_hub_is_published_by_its_graph() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let publish = token(data, &["--scope", "publish", "--scope", "compute"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    let model = kingman(8);
    let wanted = json!({"graph": model.hash, "metadata": {"description": "eight samples", "tags": ["lab"]}});
    let at = "/v1/computes/ourlab-k8";
    assert_eq!(refusal(&client.json("PUT", at, &wanted)), (409, "elimination_missing".to_owned()));
    let source = json!({"model": {"builtin": "kingman", "constants": {"n": 8}}});
    let prefer = [("Prefer", "wait=25")];
    let done = client.send("POST", "/v1/eliminations", &prefer, source.to_string().as_bytes());
    assert!(done.json()["artifact"].is_object(), "{}", done.text());
    let file = blobs::path(data, done.json()["artifact"]["sha256"].as_str().unwrap());
    blobs::make_old(&file, Duration::from_hours(100));
    let made = client.json("PUT", at, &wanted);
    // Were the result let go of meanwhile, no collection of garbage would take the file.
    assert!(blobs::age(&file) < Duration::from_hours(1));
    assert_eq!((made.status, &made.json()["verdict"]), (201, &"reproduced".into()), "{}", made.text());
    let listed = &hub.get("/registry.json").json()["computes"]["ourlab-k8"];
    assert_eq!(
        listed["metadata"],
        json!({"description": "eight samples", "vertices": model.graph.vertex_count(),
        "param_length": 1, "tags": ["lab"], "hub": {"definition": done.json()["graph"]["definition"]}})
    );
    assert_eq!(hub.get(&format!("/artifacts/{}.bin", model.hash)).body, model.ptdprmc3);
    let plan = json!({"graph": model.hash, "variant": "plan", "metadata": {"description": "x"}});
    assert_eq!(refusal(&client.json("PUT", at, &plan)), (400, "invalid_request".to_owned()));
    let silent = json!({"graph": model.hash, "metadata": {}});
    assert_eq!(refusal(&client.json("PUT", at, &silent)), (400, "invalid_request".to_owned()));
}

#[test]
fn of_many_who_publish_one_id_one_is_first() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let publish = token(data, &["--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    let model = kingman(6);
    assert_eq!(client.upload(&model.ptdprmc3).status, 201);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let publish = |number: usize| {
            let mut mine = entry(&model, &model.ptdprmc3);
            mine["metadata"]["author"] = format!("author {number}").into();
            client.json("PUT", "/v1/computes/wanted", &mine).status
        };
        let all: Vec<_> = (0..12).map(|number| scope.spawn(move || publish(number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |wanted| statuses.iter().filter(|&&status| status == wanted).count();
    assert_eq!((count(201), count(409)), (1, 11), "{statuses:?}");
    assert_eq!(actions(data, "compute.publish"), 1);
}

#[test]
fn what_comes_from_an_upstream_is_retracted_by_it_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (data, upstream) = (directory.path().join("data"), directory.path().join("upstream"));
    let model = kingman(6);
    let listed = document(&[("theirs", entry(&model, &model.ptdprmc3))]);
    write_directory(&upstream, &listed, &[(format!("artifacts/{}.bin", model.hash), &model.ptdprmc3)]);
    assert!(sync(&data, upstream.to_str().unwrap(), &[]).status.success());
    let hub = Hub::start(&data);
    let publish = token(&data, &["--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    assert_eq!(
        refusal(&client.send("DELETE", "/v1/computes/theirs", &[], b"")),
        (409, "compute_mirrored".to_owned())
    );
    assert_eq!(
        client.json("PATCH", "/v1/computes/theirs", &json!({"private": true})).json()["private"],
        true
    );
    assert_eq!(hub.get("/v1/computes/theirs").status, 404);
}

#[test]
fn a_publication_that_takes_longer_than_its_answer_may_is_made_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[("http_request_timeout_ms", "1")]);
    let publish = token(data, &["--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    let model = kingman(12);
    assert_eq!(client.upload(&model.ptdprmc1).status, 201);
    let answer = client.json("PUT", "/v1/computes/slow", &json!({"slow": entry(&model, &model.ptdprmc1)}));
    assert_eq!(refusal(&answer), (503, "timeout".to_owned()), "{}", answer.text());
    wait_until("it is listed", || hub.get("/registry.json").text().contains("\"slow\""));
    assert_eq!(actions(data, "compute.publish"), 1);
}
