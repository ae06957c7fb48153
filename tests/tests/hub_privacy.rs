//! Private computes, graphs, jobs and uploads: whoever holds no token for them cannot tell that they are there.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::io::Read as _;
use std::time::{Duration, Instant};

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, refusal, token};
use phasic_hub_tests::http::{Answer, begin};
use phasic_hub_tests::hub::{Hub, run, sync, wait_until};
use phasic_hub_tests::registry::{document, entry, kingman, write_directory};
use phasic_hub_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// An answer without what differs between any two: the id of the request, and the thing that was asked for.
fn told(answer: &Answer, asked: &str) -> (u16, String, Vec<(String, String)>) {
    let mut body = String::from_utf8_lossy(&answer.body).replace(asked, "…");
    if let Some(id) = answer.header("x-request-id") {
        body = body.replace(id, "…");
    }
    let same =
        |(name, _): &&(String, String)| !["x-request-id", "content-length", "date"].contains(&name.as_str());
    (answer.status, body, answer.headers.iter().filter(same).cloned().collect())
}

#[test]
#[expect(clippy::too_many_lines, reason = "one hub with one secret, and every way to it")]
fn a_private_compute_cannot_be_found_out_by_those_it_is_not_for() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[("access_anonymous", "compute"), ("rate_per_second", "0")]);
    let all = ["--scope", "publish", "--scope", "compute"];
    let tokens = [
        token(data, &[&all[..], &["--ids", "ourlab-*"]].concat()),
        token(data, &[&all[..], &["--ids", "theirlab-*"]].concat()),
        token(data, &all),
    ];
    let [ours, theirs, holder] = [0, 1, 2].map(|place| Client { hub: &hub, token: Some(&tokens[place]) });
    let anybody = Client { hub: &hub, token: None };
    let (secret, never) = (kingman(9), kingman(33));
    let before = |client: Client<'_>| {
        [
            "/",
            "/registry.json",
            "/registry.json?paths=relative",
            "/v1/computes",
            "/v1/computes?search=ourlab",
            "/v1/jobs",
        ]
        .map(|path| client.get(path).body)
    };
    let metrics = |client: Client<'_>| -> Vec<String> {
        let text = client.get("/metrics").text().to_owned();
        let counts = |line: &&str| {
            ["phasic_hub_computes", "phasic_hub_blob", "phasic_hub_files"]
                .iter()
                .any(|name| line.starts_with(name))
                && !line.starts_with("phasic_hub_blob_openings")
        };
        let mut lines: Vec<_> = text.lines().filter(counts).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // What the hub does by itself is done before it is looked at.
    wait_until("its own files were compared", || anybody.get("/").text().contains(" 7 reproduced"));
    let shown = [anybody, theirs].map(before);
    let counted = metrics(anybody);

    // Graph, job, elimination, upload and compute, all of them private.
    let model = json!({"builtin": "kingman", "constants": {"n": 9}});
    let body = json!({"model": model, "private": true}).to_string();
    let made = ours.send("POST", "/v1/eliminations", &[("Prefer", "wait=25")], body.as_bytes()).json();
    let job = made["job"]["id"].as_str().unwrap().to_owned();
    let digest = made["artifact"]["sha256"].as_str().unwrap().to_owned();
    let definition = made["graph"]["definition"].as_str().unwrap().to_owned();
    assert_eq!(made["artifact"]["private"], true);
    assert_eq!(ours.upload(&secret.ptdprmc1).status, 201);
    let at = "/v1/computes/ourlab-secret";
    let published = ours.json("PUT", &format!("{at}?private=true"), &entry(&secret, &secret.ptdprmc1));
    assert_eq!((published.status, &published.json()["private"]), (201, &true.into()), "{}", published.text());
    let original = Sha256::of(&secret.ptdprmc1).to_string();
    let nothing = Sha256::of(b"never seen").to_string();

    // Whatever lists or counts is as it was.
    wait_until("the files were compared", || {
        ours.get(&format!("{at}/verification")).json()["verdict"] == "reproduced"
    });
    assert_eq!([anybody, theirs].map(before), shown);
    assert_eq!(metrics(anybody), counted);

    // Whatever names it answers as for what is not there: thirty ways, for two kinds of people.
    let (hash, other) = (secret.hash.as_str(), never.hash.as_str());
    let gets = [
        ("/v1/computes/{}", "ourlab-secret", "ourlab-never"),
        ("/v1/computes/{}/revisions", "ourlab-secret", "ourlab-never"),
        ("/v1/computes/{}/revisions?cursor=1", "ourlab-secret", "ourlab-never"),
        ("/v1/computes/{}/revisions?cursor=9&limit=1", "ourlab-secret", "ourlab-never"),
        ("/v1/computes/{}/verification", "ourlab-secret", "ourlab-never"),
        ("/v1/graphs/{}", hash, other),
        ("/artifacts/{}.bin", hash, other),
        ("/a/b/c/artifacts/{}.bin", hash, other),
        ("/artifacts/scc_{}.bin", hash, other),
        ("/v1/blobs/sha256/{}", digest.as_str(), nothing.as_str()),
        ("/v1/blobs/sha256/{}", original.as_str(), nothing.as_str()),
        ("/v1/jobs/{}", job.as_str(), "job_0123456789abcdef"),
        ("/v1/jobs/{}/events", job.as_str(), "job_0123456789abcdef"),
        ("/v1/jobs?graph={}", hash, other),
        ("/v1/computes?search={}", "ourlab-secret", "ourlab-never"),
        ("/v1/computes?cursor=ourlab-secre&limit=1&search={}", "secret", "nevers"),
    ];
    let mut ways = 0;
    for client in [anybody, theirs] {
        for (path, known, unknown) in gets {
            for method in ["GET", "HEAD"] {
                let ask = |name: &str| told(&client.send(method, &path.replace("{}", name), &[], b""), name);
                assert_eq!(ask(known), ask(unknown), "{method} {path}");
                ways += 1;
            }
        }
        let with_digest = |hash: &str, digest: &str| {
            told(&client.get(&format!("/artifacts/{hash}.bin?sha256={digest}")), hash)
        };
        assert_eq!(with_digest(hash, &digest), with_digest(other, &nothing));
        let post = |path: &str, body: Value, asked: &str| told(&client.json("POST", path, &body), asked);
        for (path, member) in [("/v1/evaluate", "expectation"), ("/v1/eliminations", ""), ("/v1/graphs", "")]
        {
            let about = |model: Value| {
                if member.is_empty() {
                    json!({"model": model})
                } else {
                    json!({"model": model, "quantities": [member]})
                }
            };
            let compute = |id: &str| post(path, about(json!({"compute": id})), id);
            assert_eq!(compute("ourlab-secret"), compute("ourlab-never"), "{path}");
            let graph = |hash: &str| post(path, about(json!({"graph": hash})), hash);
            assert_eq!(graph(hash), graph(other), "{path}");
            let defined = |hash: &str, definition: &str| {
                post(path, about(json!({"graph": hash, "definition": definition})), hash)
            };
            assert_eq!(defined(hash, &definition), defined(other, &nothing), "{path}");
            ways += 3;
        }
        let cancel = |id: &str| told(&client.send("DELETE", &format!("/v1/jobs/{id}"), &[], b""), id);
        assert_eq!(cancel(&job), cancel("job_0123456789abcdef"));
        let verify =
            |id: &str| told(&client.json("POST", &format!("/v1/computes/{id}/verification"), &json!({})), id);
        assert_eq!(verify("ourlab-secret"), verify("ourlab-never"));
        ways += 3;
    }
    // What publishing says: neither the id nor the files of others are there.
    let change =
        |id: &str| told(&theirs.json("PATCH", &format!("/v1/computes/{id}"), &json!({"private": false})), id);
    assert_eq!(change("ourlab-secret"), change("ourlab-never"));
    let mut stolen = entry(&secret, &secret.ptdprmc1);
    let refused = theirs.json("PUT", "/v1/computes/theirlab-x", &stolen);
    assert_eq!(
        refusal(&refused),
        (422, "blob_missing".to_owned()),
        "knowing a digest is not having the bytes"
    );
    stolen["artifacts"]["parent"]["sha256"] = nothing.clone().into();
    let missing = theirs.json("PUT", "/v1/computes/theirlab-x", &stolen);
    assert_eq!(told(&refused, &original), told(&missing, &nothing));
    let state = |digest: &str| told(&theirs.get(&format!("/v1/blobs/sha256/{digest}/upload")), digest);
    assert_eq!(state(&original), state(&nothing));
    let chosen = |hash: &str| {
        let body = json!({"graph": hash, "metadata": {"description": "x"}});
        told(&theirs.json("PUT", "/v1/computes/theirlab-y", &body), hash)
    };
    assert_eq!(chosen(hash), chosen(other));
    ways += 4;
    assert!(ways >= 30, "{ways}");

    // Those it is for see it everywhere, and no shared cache may keep it for others.
    for client in [ours, holder] {
        let document = client.get("/registry.json");
        assert_eq!(document.json()["computes"]["ourlab-secret"]["graph_hash"], hash);
        assert_eq!(document.header("cache-control"), Some("private, no-cache"));
        assert_eq!(document.header("vary"), Some("accept-encoding, authorization"));
        assert_ne!(document.header("etag"), anybody.get("/registry.json").header("etag"));
        let tag = document.header("etag").unwrap().to_owned();
        assert_eq!(client.send("GET", "/registry.json", &[("If-None-Match", &tag)], b"").status, 304);
        let artifact = client.get(&format!("/artifacts/{hash}.bin"));
        assert_eq!(
            (artifact.body.as_slice(), artifact.header("cache-control")),
            (&secret.ptdprmc3[..], Some("private, no-cache"))
        );
        for path in [
            at.to_owned(),
            format!("{at}/revisions"),
            format!("/v1/graphs/{hash}"),
            format!("/v1/jobs/{job}"),
            format!("/v1/blobs/sha256/{digest}"),
            format!("/v1/blobs/sha256/{original}"),
        ] {
            assert_eq!(client.get(&path).status, 200, "{path}");
        }
        let numbers = client.json(
            "POST",
            "/v1/evaluate",
            &json!({"model": {"compute": "ourlab-secret"}, "quantities": ["expectation"]}),
        );
        assert_eq!(numbers.status, 200, "{}", numbers.text());
    }
    // Who brings the bytes, or the graph, himself is told what he would be told if nobody had it.
    assert_eq!(theirs.upload(&secret.ptdprmc1).status, 201);
    let submitted = anybody.json("POST", "/v1/graphs", &json!({"model": model}));
    assert_eq!((submitted.status, &submitted.json()["new"]), (201, &true.into()));
    let eliminated =
        anybody.send("POST", "/v1/eliminations", &[], json!({"model": model}).to_string().as_bytes());
    assert!(eliminated.json()["job"].is_object(), "a job of its own: {}", eliminated.text());

    // No longer private, it is there for everybody; and private again by the command, for a running hub.
    assert_eq!(ours.json("PATCH", at, &json!({"private": false})).status, 200);
    assert_eq!(anybody.get(at).status, 200);
    assert!(anybody.get("/registry.json").json()["computes"]["ourlab-secret"].is_object());
    assert!(run(&["compute", "hide", "ourlab-secret", "--data", data.to_str().unwrap()]).status.success());
    wait_until("the hub has noticed", || {
        anybody.get("/registry.json").json()["computes"].get("ourlab-secret").is_none()
    });
    assert_eq!(anybody.get(at).status, 404);
    assert!(run(&["compute", "show", "ourlab-secret", "--data", data.to_str().unwrap()]).status.success());
    wait_until("and again", || {
        anybody.get("/registry.json").json()["computes"].get("ourlab-secret").is_some()
    });
}

#[test]
fn ids_are_private_by_a_setting_and_nobody_without_a_token_keeps_anything_to_himself() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let settings = [("access_private_ids", "coal_*, draft-*"), ("access_anonymous", "compute")];
    let hub = Hub::start_with(data, &[], &settings);
    let reader = token(data, &["--scope", "read"]);
    let (anybody, holder) = (Client { hub: &hub, token: None }, Client { hub: &hub, token: Some(&reader) });
    let ids = |client: Client<'_>| -> Vec<String> {
        client.get("/registry.json").json()["computes"].as_object().unwrap().keys().cloned().collect()
    };
    assert!(ids(anybody).iter().all(|id| !id.starts_with("coal_")) && !ids(anybody).is_empty());
    assert_eq!(ids(holder).iter().filter(|id| id.starts_with("coal_")).count(), 3);
    assert_eq!(refusal(&anybody.get("/v1/computes/coal_n5_theta1")), (404, "compute_not_found".to_owned()));
    let body = json!({"model": {"builtin": "kingman", "constants": {"n": 6}}, "private": true});
    assert_eq!(refusal(&anybody.json("POST", "/v1/graphs", &body)), (401, "token_required".to_owned()));
    let owner = token(data, &["--scope", "publish"]);
    let owner = Client { hub: &hub, token: Some(&owner) };
    let change = owner.json("PATCH", "/v1/computes/coal_n5_theta1", &json!({"private": false}));
    assert_eq!(refusal(&change), (409, "private_by_setting".to_owned()));
    let shown = run(&["compute", "show", "coal_n5_theta1", "--data", data.to_str().unwrap()]);
    assert_eq!(shown.status.code(), Some(1), "the setting stays in force");
    drop(hub);
    let hub = Hub::start(data);
    assert_eq!(hub.get("/v1/computes/coal_n5_theta1").status, 200, "the setting has gone");
}

#[test]
fn neither_queue_nor_pages_nor_histories_count_what_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let settings = [("access_anonymous", "compute"), ("compute_threads", "1"), ("rate_per_second", "0")];
    let hub = Hub::start_with(data, &[], &settings);
    let ours = token(data, &["--scope", "compute", "--scope", "publish", "--ids", "ourlab-*"]);
    let (anybody, ours) = (Client { hub: &hub, token: None }, Client { hub: &hub, token: Some(&ours) });
    // The bytes of this one's result are here, so it waits for the lock of the blob store, and others for it.
    let lock = std::fs::File::create(data.join("blobs/lock")).unwrap();
    lock.lock().unwrap();
    let ask = |client: Client<'_>, n: i64, private: bool| -> Value {
        let model = json!({"builtin": "kingman", "constants": {"n": n}});
        client.json("POST", "/v1/eliminations", &json!({"model": model, "private": private})).json()["job"]
            .clone()
    };
    let first = ask(anybody, 5, false)["id"].as_str().unwrap().to_owned();
    wait_until("it runs", || anybody.get(&format!("/v1/jobs/{first}")).json()["state"] == "running");
    let mut public = Vec::new();
    let mut secret = Vec::new();
    for n in 12..15 {
        secret.push(ask(ours, n, true)["id"].as_str().unwrap().to_owned());
        let job = ask(anybody, n + 10, false);
        assert_eq!(job["position"], n - 12, "only what everybody sees comes before: {job}");
        public.push(job["id"].as_str().unwrap().to_owned());
    }
    let page = anybody.get("/v1/jobs?limit=2").json();
    let next = page["next"].as_str().unwrap();
    let last = &page["jobs"][1];
    let said = format!("{}/{}", last["submitted_at"].as_str().unwrap(), public[1]);
    assert_eq!(next, said, "a cursor says nothing the page did not");
    let rest = anybody.get(&format!("/v1/jobs?limit=2&cursor={next}")).json();
    let listed: Vec<_> = rest["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(listed, [public[0].as_str(), first.as_str()]);
    let (known, unknown) = (secret[0].as_str(), "job_0123456789abcdef");
    let at = "9999-12-31T23:59:59.999Z";
    let from = |id: &str| told(&anybody.get(&format!("/v1/jobs?cursor={at}/{id}")), id);
    assert_eq!(from(known), from(unknown), "whose job a cursor names makes no difference");
    assert_eq!(anybody.get(&format!("/v1/jobs?cursor={unknown}")).status, 400);
    assert_eq!(ours.get(&format!("/v1/jobs?cursor={known}")).status, 400, "an id alone is no place");
    lock.unlock().unwrap();

    let numbers = |id: &str| -> Value {
        anybody.get(&format!("/v1/computes/{id}/revisions")).json()["revisions"][0]["number"].clone()
    };
    let document = anybody.get("/registry.json").json();
    for id in document["computes"].as_object().unwrap().keys().filter(|id| !id.starts_with("computed-")) {
        assert_eq!(numbers(id), 1, "{id}: the history of the hub has others");
    }
}

#[test]
fn the_events_of_a_job_end_when_the_token_is_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[("compute_threads", "1")]);
    let lock = std::fs::File::create(data.join("blobs/lock")).unwrap();
    lock.lock().unwrap();
    let secret = token(data, &["--scope", "compute", "--ids", "ourlab-*"]);
    let ours = Client { hub: &hub, token: Some(&secret) };
    let ask = |n: i64| -> String {
        let model = json!({"builtin": "kingman", "constants": {"n": n}});
        let answer = ours.json("POST", "/v1/eliminations", &json!({"model": model, "private": true})).json();
        answer["job"]["id"].as_str().unwrap().to_owned()
    };
    // One of them runs, and one waits.
    let jobs = [ask(5), ask(12)];
    wait_until("it runs", || ours.get(&format!("/v1/jobs/{}", jobs[0])).json()["state"] == "running");
    let mut streams = jobs.map(|id| {
        let authorization = format!("Bearer {secret}");
        let path = format!("/v1/jobs/{id}/events");
        let mut stream = begin(hub.address(), "GET", &path, &[("Authorization", &authorization)], b"");
        let mut head = [0; 15];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        stream
    });
    let listed = run(&["token", "list", "--data", data.to_str().unwrap()]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let id = listed.lines().find(|line| line.contains("ourlab-")).unwrap().split_whitespace().next().unwrap();
    let revoked = run(&["token", "revoke", id, "--data", data.to_str().unwrap()]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let begun = Instant::now();
    for stream in &mut streams {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let rest = String::from_utf8_lossy(&rest);
        assert!(rest.contains("event: job") && !rest.contains("cancelled"), "{rest}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    lock.unlock().unwrap();
}

#[test]
fn the_state_of_the_mirror_counts_what_everybody_sees() {
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = directory.path();
    let (one, other) = (kingman(6), kingman(7));
    let files = [&one, &other].map(|model| (format!("artifacts/{}.bin", model.hash), &model.ptdprmc3[..]));
    let listed = [("ourlab-secret", entry(&one, &one.ptdprmc3)), ("open", entry(&other, &other.ptdprmc3))];
    write_directory(place.path(), &document(&listed), &files);
    let settings = [("access_private_ids", "ourlab-*")];
    let hub = Hub::start_with(data, &[], &settings);
    assert!(sync(data, place.path().to_str().unwrap(), &settings).status.success());
    let (holder, theirs) =
        (token(data, &["--scope", "read"]), token(data, &["--scope", "read", "--ids", "theirlab-*"]));
    let anybody = Client { hub: &hub, token: None };
    for (client, seen) in [
        (anybody, 1),
        (Client { token: Some(&theirs), ..anybody }, 1),
        (Client { token: Some(&holder), ..anybody }, 2),
    ] {
        let upstream = client.get("/v1/mirror").json()["upstreams"][0].clone();
        assert_eq!(upstream["computes"], seen, "{upstream}");
        let pass = &upstream["last_pass"];
        assert_eq!(
            (&pass["change_count"], pass.get("entries").is_some()),
            (&json!(seen), seen == 2),
            "{pass}"
        );
        wait_until("it is served", || client.get("/registry.json").text().contains("\"open\""));
        let metrics = client.get("/metrics");
        let line = "phasic_hub_mirror_computes{upstream=\"manual\"} 1\n";
        assert!(metrics.text().contains(line), "{}", metrics.text());
        assert!(!metrics.text().contains("scrubbed") || seen == 2, "{}", metrics.text());
    }
    assert!(anybody.get("/").text().contains("Mirror of manual: 1 computes"), "{}", anybody.get("/").text());
}

#[test]
fn an_upstream_that_knows_the_digest_of_a_private_file_must_have_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let words = ["--scope", "publish", "--ids", "ourlab-*"];
    let ours = token(data, &words);
    let (anybody, ours) = (Client { hub: &hub, token: None }, Client { hub: &hub, token: Some(&ours) });
    let secret = kingman(9);
    assert_eq!(ours.upload(&secret.ptdprmc3).status, 201);
    let published =
        ours.json("PUT", "/v1/computes/ourlab-secret?private=true", &entry(&secret, &secret.ptdprmc3));
    assert_eq!(published.status, 201, "{}", published.text());
    let upstream = Upstream::start();
    upstream.set("/registry.json", Reply::ok(document(&[("theirs", entry(&secret, &secret.ptdprmc3))])));
    let path = format!("/artifacts/{}.bin", secret.hash);
    let mirror = || {
        let said = sync(data, &upstream.url("/"), &[]).stdout;
        (String::from_utf8(said).unwrap(), upstream.take_asked())
    };
    let (said, asked) = mirror();
    assert!(said.contains("0 mirrored") && said.contains("fetch_failed theirs"), "{said}");
    assert!(asked.contains(&path), "it learns nothing from not being asked: {asked:?}");
    let digest = Sha256::of(&secret.ptdprmc3);
    assert_eq!(anybody.get(&format!("{path}?sha256={digest}")).status, 404);
    assert_eq!(anybody.get(&format!("/v1/blobs/sha256/{digest}")).status, 404);
    // Whoever has the bytes may give them to everybody.
    upstream.set(&path, Reply::ok(&secret.ptdprmc3[..]));
    let (said, asked) = mirror();
    assert!(said.contains("1 mirrored, 0 notes"), "{said}");
    assert_eq!(asked, ["/registry.json", &path]);
    wait_until("it is served", || anybody.get(&format!("{path}?sha256={digest}")).status == 200);
}
