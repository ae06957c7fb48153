//! Files that are lost and fetched again, as politely as passes are made.

use phasic_hub_tests::hub::command;
use phasic_hub_tests::registry::{Model, document, entry, kingman};
use phasic_hub_tests::upstream::Reply;
use serde_json::{Value, json};

use super::{Place, path};

#[test]
fn healing_gives_back_requests_it_does_not_send_and_stops_where_it_is_told_to_wait() {
    let place = Place::new();
    let models = [kingman(4), kingman(6)];
    place.offer(&[("a", &models[0]), ("b", &models[1])]);
    let upstreams = format!(
        r#"[{{name = "web", url = "{}", max_requests_per_hour = 50}}]"#,
        place.upstream.url("/registry.json")
    );
    let run = |words: &[&str]| {
        let mut command = command(words);
        command.env("PHASIC_HUB_MIRROR_UPSTREAMS", &upstreams).arg("--data").arg(place.data());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(run(&["mirror", "sync"]).contains("2 mirrored"));
    for model in &models {
        let digest = phasic_hub_api::Sha256::of(&model.ptdprmc1).to_string();
        std::fs::remove_file(place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
        place.upstream.set(&path(model), Reply::status(429).with_header("Retry-After", "3600"));
    }
    place.upstream.take_asked();
    let said = run(&["scrub"]);
    assert!(said.contains("2 lost") && said.contains("0 restored"), "{said}");
    assert_eq!(place.upstream.take_asked().len(), 1);
    let status: Value = serde_json::from_str(&run(&["mirror", "status", "--json"])).unwrap();
    let left = status["upstreams"][0]["requests_left"].as_u64().unwrap();
    // The document, two files, and one more.
    assert!((45..=47).contains(&left), "{status}");
    // It was told to wait for an hour, and remembers that.
    assert!(run(&["scrub"]).contains("0 restored"));
    assert_eq!(place.upstream.take_asked(), [""; 0]);
}

#[test]
fn healing_waits_as_a_pass_that_went_well_was_told_to() {
    let place = Place::new();
    let (here, more) = (kingman(4), kingman(6));
    place.offer(&[("a", &here), ("b", &more)]);
    place.upstream.set(&path(&more), Reply::status(429).with_header("Retry-After", "3600"));
    assert!(place.sync().1.contains("1 mirrored"));
    let digest = phasic_hub_api::Sha256::of(&here.ptdprmc1).to_string();
    std::fs::remove_file(place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
    place.upstream.take_asked();
    let data = place.data();
    let scrubbed = phasic_hub_tests::hub::run(&["scrub", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(scrubbed.stdout).unwrap();
    assert!(said.contains("1 lost") && said.contains("0 restored"), "{said}");
    assert_eq!(place.upstream.take_asked(), [""; 0]);
}

#[test]
fn healing_asks_no_upstream_that_the_settings_have_switched_off_or_do_not_name() {
    let place = Place::new();
    let model = kingman(4);
    place.offer(&[("a", &model)]);
    let upstream = |url: &str, more: &str| format!(r#"[{{name = "web", url = "{url}"{more}}}]"#);
    let run = |upstreams: &str, words: &[&str]| {
        let mut command = command(words);
        command.env("PHASIC_HUB_MIRROR_UPSTREAMS", upstreams).arg("--data").arg(place.data());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let url = place.upstream.url("/registry.json");
    let enabled = upstream(&url, "");
    assert!(run(&enabled, &["mirror", "sync"]).contains("1 mirrored"));
    let digest = phasic_hub_api::Sha256::of(&model.ptdprmc1).to_string();
    std::fs::remove_file(place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
    place.upstream.take_asked();
    let elsewhere = upstream(&place.upstream.url("/elsewhere/registry.json"), "");
    for upstreams in [&upstream(&url, ", enabled = false"), "", &elsewhere] {
        let said = run(upstreams, &["scrub"]);
        assert!(said.contains("1 lost") && said.contains("0 restored"), "{said}");
        assert_eq!(place.upstream.take_asked(), [""; 0], "{upstreams}");
    }
    assert!(run(&enabled, &["scrub"]).contains("1 restored"));
    assert_eq!(place.upstream.take_asked(), [path(&model)]);
}

#[test]
fn what_a_name_stood_for_formerly_is_healed_from_the_commit_that_had_it_or_made_again() {
    let place = Place::new();
    let models = [kingman(4), kingman(10), kingman(5)];
    let url = place.upstream.url("");
    let upstreams =
        format!(r#"[{{name = "web", url = "{url}/{{commit}}/registry.json", commit_url = "{url}/head"}}]"#);
    let run = |words: &[&str]| {
        let mut command = command(words);
        command.env("PHASIC_HUB_MIRROR_UPSTREAMS", &upstreams).arg("--data").arg(place.data());
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let commits = ["1", "2", "3"].map(|digit| digit.repeat(40));
    for (model, commit) in models.iter().zip(&commits) {
        place.upstream.set("/head", Reply::ok(json!({"object": {"sha": commit}}).to_string()));
        let body = document(&[("x", entry(model, &model.ptdprmc3))]);
        place.upstream.set(&format!("/{commit}/registry.json"), Reply::ok(body));
        place.upstream.set(&format!("/{commit}{}", path(model)), Reply::ok(&model.ptdprmc3[..]));
        assert!(run(&["mirror", "sync"]).contains("1 mirrored"));
    }
    let blob = |model: &Model| {
        let digest = phasic_hub_api::Sha256::of(&model.ptdprmc3).to_string();
        place.data().join("blobs/sha256").join(&digest[..2]).join(&digest)
    };
    place.upstream.take_asked();
    std::fs::remove_file(blob(&models[0])).unwrap();
    assert!(run(&["scrub"]).contains("1 lost, 0 unreadable, 1 restored"));
    assert_eq!(place.upstream.take_asked(), [format!("/{}{}", commits[0], path(&models[0]))]);
    // Of this one the hub knows the graph; upstream has forgotten it.
    place.upstream.set(&format!("/{}{}", commits[1], path(&models[1])), Reply::status(404));
    std::fs::remove_file(blob(&models[1])).unwrap();
    assert!(run(&["scrub"]).contains("1 lost, 0 unreadable, 1 restored"));
    for model in &models {
        assert_eq!(std::fs::read(blob(model)).unwrap(), model.ptdprmc3);
    }
}
