//! `GET /v1/computes…` of a real hub.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;

use phasic_engine::reference;
use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, sync_with, wait_until};
use phasic_hub_tests::registry::{self, model, write_directory};
use serde_json::Value;

fn ids(page: &Value) -> Vec<String> {
    page["computes"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn computes_are_listed_page_by_page_and_selected() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start(directory.path());
    let mut expected: Vec<_> = reference::computes().iter().map(|compute| compute.id.to_owned()).collect();
    expected.sort();
    let list = |query: &str| hub.get(&format!("/v1/computes{query}")).json();
    assert_eq!(ids(&list("")), expected);
    assert!(list("").get("next").is_none());
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("?limit=3{cursor}"));
        assert!(ids(&page).len() <= 3);
        paged.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, expected);
    let coalescents = ["coal_n10_theta1", "coal_n20_theta1", "coal_n5_theta1"];
    assert_eq!(ids(&list("?model_type=coalescent")), coalescents);
    assert_eq!(ids(&list("?search=KINGMAN")), coalescents);
    assert_eq!(ids(&list("?domain=ecology")), ["rabbits_n7"]);
    assert_eq!(ids(&list("?tag=queue&origin=local&status=served")), ["mm1k_k10_start1"]);
    for nothing in ["?origin=mirror", "?status=retracted", "?tag=que", "?domain=ecol"] {
        assert!(ids(&list(nothing)).is_empty(), "{nothing}");
    }
    for wrong in ["?limit=0", "?limit=501", "?origin=here", "?status=well", "?colour=red"] {
        assert_eq!(list(wrong)["code"], "invalid_request", "{wrong}");
    }
}

#[test]
fn a_compute_tells_its_files_and_its_history() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start(directory.path());
    let compute = hub.get("/v1/computes/coal_n5_theta1").json();
    let made = model("coal_n5_theta1");
    assert_eq!((&compute["origin"], &compute["status"]), (&"local".into(), &"served".into()));
    assert_eq!(compute["graph_hash"], made.hash);
    assert_eq!(compute["metadata"]["vertices"], 6);
    let file = &compute["artifacts"][0];
    assert_eq!(file["sha256"], Sha256::of(&made.ptdprmc3).to_string());
    wait_until("it is verified", || hub.get("/v1/computes/coal_n5_theta1").json()["verdict"] == "reproduced");
    let url =
        file["url"].as_str().unwrap().strip_prefix(&format!("http://{}", hub.address())).unwrap().to_owned();
    assert_eq!(hub.get(&url).body, made.ptdprmc3);
    for target in ["/v1/computes/nothing", "/v1/computes/nothing/revisions", "/v1/computes/..%2f/revisions"] {
        let answer = hub.get(target);
        assert_eq!((answer.status, &answer.json()["code"]), (404, &"compute_not_found".into()), "{target}");
    }
    let digest = Sha256::of(&made.ptdprmc3).to_string();
    fs::remove_file(directory.path().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
    assert_eq!(hub.get(&url).status, 503);
    // The hub makes its own computes anew, so this passes by.
    wait_until("it is made anew", || hub.get("/v1/computes/coal_n5_theta1").json()["status"] == "served");
}

#[test]
fn the_history_of_a_mirrored_id_goes_from_its_removal_back() {
    let (directory, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mine = registry::kingman(4);
    let files = [(format!("artifacts/{}.bin", mine.hash), &mine.ptdprmc3[..])];
    let mut second = registry::entry(&mine, &mine.ptdprmc3);
    second["metadata"]["description"] = "another".into();
    let documents = [
        registry::document(&[("mine", registry::entry(&mine, &mine.ptdprmc3))]),
        registry::document(&[("mine", second)]),
        registry::document(&[]),
    ];
    for document in &documents {
        write_directory(checkout.path(), document, &files);
        let arguments: &[&str] = &["--remove-many"];
        let from = checkout.path().to_str().unwrap();
        let output = sync_with(directory.path(), from, arguments, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let hub = Hub::start(directory.path());
    let page = hub.get("/v1/computes/mine/revisions").json();
    let revisions = page["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 3);
    assert!(revisions[0].get("entry").is_none());
    assert_eq!(revisions[1]["entry"]["metadata"]["description"], "another");
    assert_eq!(revisions[2]["entry"]["metadata"]["description"], "made for a test");
    assert!(revisions.iter().all(|revision| revision["origin"] == "mirror"));
    let first = hub.get("/v1/computes/mine/revisions?limit=2").json();
    let next = first["next"].as_str().unwrap();
    let rest = hub.get(&format!("/v1/computes/mine/revisions?limit=2&cursor={next}")).json();
    assert_eq!(rest["revisions"], Value::from(vec![revisions[2].clone()]));
    assert!(rest.get("next").is_none());
}

#[test]
fn a_text_is_found_in_the_case_of_every_alphabet_and_within_one_field() {
    let (directory, checkout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mine = registry::kingman(4);
    let files = [(format!("artifacts/{}.bin", mine.hash), &mine.ptdprmc3[..])];
    let described = |description: &str, tags: Value| {
        let mut entry = registry::entry(&mine, &mine.ptdprmc3);
        entry["metadata"]["description"] = description.into();
        entry["metadata"]["tags"] = tags;
        entry
    };
    let document = registry::document(&[
        ("a", described("Été à MÜNCHEN", serde_json::json!(["популяция", "queue"]))),
        ("b", described("winter", serde_json::json!(["theory"]))),
        ("c", described("ΟΔΟΣ", Value::Array(Vec::new()))),
    ]);
    write_directory(checkout.path(), &document, &files);
    let output = sync_with(directory.path(), checkout.path().to_str().unwrap(), &[], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let hub = Hub::start(directory.path());
    let search = |text: &str| {
        let encoded = text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02x}"));
        let page = hub.get(&format!("/v1/computes?origin=mirror&limit=2&search={encoded}")).json();
        (ids(&page), page["next"].as_str().map(str::to_owned))
    };
    for (text, found) in
        [("été", "a"), ("münchen", "a"), ("ПОПУЛЯЦИЯ", "a"), ("THEORY", "b"), ("οδος", "c"), ("C", "a c")]
    {
        let expected: Vec<String> = found.split(' ').map(str::to_owned).collect();
        assert_eq!(search(text), (expected, None), "{text}");
    }
    for nothing in ["queue theory", "queue\",\"", "ete", "winter theory"] {
        assert_eq!(search(nothing), (Vec::new(), None), "{nothing}");
    }
    // What is found is cut into pages as everything else.
    let (first, next) = search("");
    assert_eq!((first, next.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("b")));
}
