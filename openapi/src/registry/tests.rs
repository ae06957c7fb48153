use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{ArtifactName, ComputeId, Sha256};

const V2: &str = include_str!("../../tests/data/upstream-v2.json");
const V1: &str = include_str!("../../tests/data/upstream-v1.json");
const HASH: &str = "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6";

fn read(text: &str) -> Result<RegistryReading, RegistryError> {
    RegistryDocument::read(text.as_bytes(), &ReadLimits::default())
}

fn document(text: &str) -> RegistryDocument {
    let (document, faults) = read(text).unwrap().into_document();
    assert_eq!(faults, []);
    document
}

fn entry() -> Value {
    json!({
        "graph_hash": HASH,
        "artifacts": {"parent": {"cid_or_path": "artifacts/x.bin", "sha256": HASH, "size_bytes": 8}}
    })
}

fn fault_of(entry: &Value) -> FaultReason {
    RegistryEntry::from_value(entry.clone()).unwrap_err()
}

fn ids<'a>(computes: impl Iterator<Item = (&'a ComputeId, &'a RegistryEntry)>) -> Vec<&'a str> {
    computes.map(|(id, _)| id.as_str()).collect()
}

#[test]
fn the_upstream_document_is_read_and_written_back_byte_for_byte() {
    let document = document(V2);
    assert_eq!(ids(document.computes()), ["coal_n5_theta1", "coal_n10_theta1", "coal_n20_theta1"]);
    let coal = document.get("coal_n5_theta1").unwrap();
    assert_eq!(coal.graph_hash.to_string(), HASH);
    assert_eq!(coal.format_revision, Some(2));
    assert_eq!(coal.artifacts.parent.size_bytes, 5064);
    assert_eq!(coal.artifacts.scc.len(), 11);
    assert_eq!((coal.metadata.vertices, coal.metadata.param_length), (Some(6), Some(1)));
    assert_eq!(coal.metadata.tags, ["coalescent", "kingman", "population-genetics"]);
    assert_eq!(document.to_json(), V2);
}

#[test]
fn a_version_1_document_is_recognised_and_says_what_to_do() {
    let error = read(V1).unwrap_err();
    assert!(matches!(error, RegistryError::VersionOne { traces } if traces > 0));
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn a_document_with_leftover_traces_and_computes_is_version_2() {
    let document = document(r#"{"traces": {}, "computes": {}, "after": [1]}"#);
    assert_eq!(
        document.to_json().replace(char::is_whitespace, ""),
        r#"{"traces":{},"computes":{},"after":[1]}"#
    );
}

#[test]
fn unknown_fields_stay_where_they_are_at_every_level() {
    let text = r#"{
  "note": {"b": 1, "a": 2.5},
  "computes": {
    "x": {
      "zz": null,
      "artifacts": {
        "scc": [{"size_bytes": 9, "extra": true, "sha256": "HASH", "scc_hash": "HASH", "cid_or_path": "p"}],
        "parent": {"size_bytes": 8, "mirror": "m", "cid_or_path": "q", "sha256": "HASH"},
        "plan": {"later": []}
      },
      "metadata": {"tags": [], "doi": "10.1/2", "domain": null, "author": "é"},
      "graph_hash": "HASH",
      "retracted": 0
    }
  },
  "updated": "2026"
}"#
    .replace("HASH", HASH);
    let written = document(&text).to_json();
    let compact = |text: &str| serde_json::from_str::<Value>(text).unwrap().to_string();
    assert_eq!(compact(&written), compact(&text));
}

#[test]
fn a_changed_field_is_changed_in_its_place() {
    let mut value = entry();
    value["metadata"] = json!({"doi": "d", "domain": "old", "tags": ["a"]});
    value["retracted"] = json!("yes");
    let mut entry = RegistryEntry::from_value(value).unwrap();
    assert!(entry.retracted);
    entry.retracted = false;
    entry.artifacts.parent.cid_or_path = "https://hub.example/artifacts/x.bin".to_owned();
    entry.metadata.domain = None;
    entry.metadata.tags.push("b".to_owned());
    let expected = json!({
        "graph_hash": HASH,
        "artifacts": {"parent": {
            "cid_or_path": "https://hub.example/artifacts/x.bin", "sha256": HASH, "size_bytes": 8
        }, "scc": []},
        "metadata": {"doi": "d", "tags": ["a", "b"]}
    });
    assert_eq!(entry.to_value(), expected);
    assert_eq!(RegistryEntry::from_value(expected).unwrap(), entry);
}

#[test]
fn unknown_fields_of_a_component_stay_with_it_when_others_are_left_out() {
    let mut value = entry();
    let scc = |digit: &str, note: &str| json!({"cid_or_path": "artifacts/x", "scc_hash": digit.repeat(64), "sha256": "0".repeat(64), "size_bytes": 1, "note": note});
    value["artifacts"]["scc"] =
        json!([scc("a", "first"), scc("b", "second"), scc("b", "third"), scc("c", "fourth")]);
    let mut entry = RegistryEntry::from_value(value).unwrap();
    entry.artifacts.scc.remove(0);
    let written = entry.to_value();
    let notes: Vec<_> =
        written["artifacts"]["scc"].as_array().unwrap().iter().map(|scc| &scc["note"]).collect();
    assert_eq!(notes, ["second", "third", "fourth"]);
}

#[test]
fn a_new_entry_is_written_as_upstream_writes_one() {
    let metadata = Metadata {
        description: Some("d".to_owned()),
        author: Some("a".to_owned()),
        license: Some("MIT".to_owned()),
        vertices: Some(6),
        param_length: Some(1),
        model_type: Some("coalescent".to_owned()),
        ..Metadata::default()
    };
    let graph_hash = HASH.parse().unwrap();
    let parent = ArtifactRef {
        cid_or_path: ArtifactName::Parent(graph_hash).registry_path(),
        sha256: Sha256::of(b""),
        size_bytes: 0,
    };
    let entry = RegistryEntry::new(graph_hash, 3, Artifacts { parent, scc: Vec::new() }, metadata);
    let expected = format!(
        "{{\"graph_hash\":\"{HASH}\",\"format_revision\":3,\"artifacts\":{{\"parent\":{{\"cid_or_path\":\
         \"artifacts/{HASH}.bin\",\"sha256\":\"{}\",\"size_bytes\":0}},\"scc\":[]}},\"metadata\":{{\"description\":\
         \"d\",\"author\":\"a\",\"license\":\"MIT\",\"vertices\":6,\"param_length\":1,\"model_type\":\
         \"coalescent\"}}}}",
        Sha256::of(b"")
    );
    assert_eq!(serde_json::to_string(&entry).unwrap(), expected);
    assert_eq!(serde_json::from_str::<RegistryEntry>(&expected).unwrap(), entry);
}

#[test]
fn equal_ids_condemn_the_document_wherever_they_stand() {
    let twice = format!(r#"{{"computes": {{"x": {0}, "y": {0}, "\u0078": {0}}}}}"#, entry());
    assert_eq!(read(&twice).unwrap_err(), RegistryError::DuplicateKey { key: "x".to_owned() });
    for (text, key) in [
        (r#"{"computes": {}, "computes": {}}"#, "computes"),
        (r#"{"version": "2.0", "computes": {}, "version": "1.0"}"#, "version"),
    ] {
        assert_eq!(read(text).unwrap_err(), RegistryError::DuplicateKey { key: key.to_owned() });
    }
}

#[test]
fn one_bad_entry_never_stops_the_rest() {
    let good = entry();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let text = format!(
        r#"{{"computes": {{"a": {good}, "b/c": {good}, "c": {{"graph_hash": "{HASH}", "graph_hash": "{HASH}"}},
           "d": {deep}, "e": 5, "f": {good}}}}}"#
    );
    let reading = read(&text).unwrap();
    let shape: Vec<_> = reading.entries().iter().map(Result::is_ok).collect();
    assert_eq!(shape, [true, false, false, false, false, true]);
    let (document, faults) = reading.into_document();
    assert_eq!(ids(document.computes()), ["a", "f"]);
    assert!(matches!(faults[0].reason, FaultReason::Id(_)));
    assert!(faults[1].to_string().contains("\"graph_hash\" occurs twice"), "{}", faults[1]);
    assert!(matches!(faults[2].reason, FaultReason::Json(_)));
    assert_eq!(faults[3].to_string(), "\"e\": the entry must be an object, not this number");
}

#[test]
fn a_fault_names_the_field_by_its_path() {
    let spoil = |pointer: &str, value: Value| {
        let mut entry = entry();
        entry["artifacts"]["scc"] =
            json!([{"cid_or_path": "p", "scc_hash": HASH, "sha256": HASH, "size_bytes": 1}]);
        entry["metadata"] = json!({"tags": ["t"], "vertices": 1, "domain": "d"});
        *entry.pointer_mut(pointer).unwrap() = value;
        fault_of(&entry).to_string()
    };
    let cases = [
        ("/graph_hash", json!(null), "graph_hash is missing"),
        ("/artifacts", json!([]), "artifacts must be an object, not a list"),
        ("/artifacts/parent", json!(null), "artifacts.parent is missing"),
        (
            "/artifacts/parent/size_bytes",
            json!(-1),
            "artifacts.parent.size_bytes must be a whole number from 0",
        ),
        (
            "/artifacts/parent/size_bytes",
            json!(1.5),
            "artifacts.parent.size_bytes must be a whole number from 0",
        ),
        (
            "/artifacts/parent/cid_or_path",
            json!(7),
            "artifacts.parent.cid_or_path must be a text, not this number",
        ),
        (
            "/artifacts/parent/sha256",
            json!(HASH.to_uppercase()),
            "artifacts.parent.sha256: a SHA-256 is written",
        ),
        ("/artifacts/scc/0/scc_hash", json!("../../../etc/passwd"), "artifacts.scc[0].scc_hash: "),
        ("/artifacts/scc/0", json!("x"), "artifacts.scc[0] must be an object, not a text"),
        ("/metadata/tags/0", json!(1), "metadata.tags must be a list of texts, not a list"),
        ("/metadata/vertices", json!("6"), "metadata.vertices must be a whole number from 0, not a text"),
        ("/metadata/domain", json!(true), "metadata.domain must be a text, not true or false"),
    ];
    for (pointer, value, sentence) in cases {
        let found = spoil(pointer, value);
        assert!(found.starts_with(sentence), "{found}");
    }
}

#[test]
fn entries_say_whether_they_are_private_although_they_cannot_be_used() {
    let mut private = entry();
    private["metadata"]["hub"] = json!({"private": true});
    assert!(RegistryEntry::from_value(private.clone()).unwrap().is_private());
    assert!(!RegistryEntry::from_value(entry()).unwrap().is_private());
    let told = |entry: &str| {
        let document = format!(r#"{{"computes": {{"x": {entry}}}}}"#);
        read(&document).unwrap().entries()[0].as_ref().unwrap_err().is_private
    };
    private["graph_hash"] = json!("none");
    assert_eq!(told(&private.to_string()), Some(true));
    assert_eq!(told(r#"{"metadata": {"hub": {"private": "no"}}}"#), Some(false));
    assert_eq!(told("[]"), Some(false));
    // Twice: nobody can say which of the two is meant.
    assert_eq!(told(r#"{"metadata": {"hub": {"private": true, "private": false}}}"#), None);
}

#[test]
fn limits_hold_before_anything_is_built() {
    let text = format!(r#"{{"computes": {{"a": {0}, "b": {0}}}}}"#, entry());
    let with = |limits: ReadLimits| RegistryDocument::read(text.as_bytes(), &limits);
    let default = ReadLimits::default();
    assert_eq!(
        with(ReadLimits { document_bytes: text.len() - 1, ..default }).unwrap_err(),
        RegistryError::TooLarge { size_bytes: text.len(), limit_bytes: text.len() - 1 }
    );
    assert!(with(ReadLimits { document_bytes: text.len(), entries: 2, ..default }).is_ok());
    assert_eq!(
        with(ReadLimits { entries: 1, ..default }).unwrap_err(),
        RegistryError::TooManyEntries { limit: 1 }
    );
    let (document, faults) = with(ReadLimits { entry_bytes: 10, ..default }).unwrap().into_document();
    assert_eq!(document.computes().len(), 0);
    assert!(matches!(
        faults[..],
        [EntryFault { reason: FaultReason::TooLarge { limit_bytes: 10, .. }, .. }, _]
    ));
}

#[test]
fn what_is_no_registry_is_refused_with_a_sentence() {
    for text in
        ["", "[]", "5", "null", "{", "\u{feff}{}", r#"{"computes": []}"#, r#"{"computes": {}} x"#, "<html>"]
    {
        let error = read(text).unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{text}: {error:?}");
    }
    assert_eq!(read("{}").unwrap_err(), RegistryError::NoComputes);
    let latin = b"{\"computes\": {\"\xe9\": {}}}";
    assert!(matches!(
        RegistryDocument::read(latin, &ReadLimits::default()),
        Err(RegistryError::Malformed { .. })
    ));
}

#[test]
fn listings_select_like_phasic() {
    let with = |metadata: Value, retracted: Value| {
        let mut entry = entry();
        entry["metadata"] = metadata;
        entry["retracted"] = retracted;
        entry
    };
    let text = json!({"computes": {
        "a": with(json!({"domain": "x", "tags": ["p", "q"]}), json!(null)),
        "b": with(json!({"model_type": "m"}), json!(0)),
        "c": with(json!({}), json!("no")),
        "d": entry(),
    }})
    .to_string();
    let document = document(&text);
    let list = |domain: Option<&str>, model_type: Option<&str>, tags: &[&str]| {
        let filter = ComputeFilter {
            domain: domain.map(str::to_owned),
            model_type: model_type.map(str::to_owned),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        };
        ids(document.list(&filter)).join(" ")
    };
    assert_eq!(list(None, None, &[]), "a b d");
    assert_eq!(list(Some("x"), None, &[]), "a");
    assert_eq!(list(Some(""), None, &[]), "");
    assert_eq!(list(None, Some("m"), &[]), "b");
    assert_eq!(list(None, None, &["q", "p"]), "a");
    assert_eq!(list(None, None, &["p", "z"]), "");
    assert_eq!(document.find_by_hash(HASH.parse().unwrap()).unwrap().0.as_str(), "a");
}

#[test]
fn an_id_is_taken_once_even_by_a_retracted_entry() {
    let mut document = RegistryDocument::new();
    let mut entry = RegistryEntry::from_value(entry()).unwrap();
    entry.retracted = true;
    let id: ComputeId = "x".parse().unwrap();
    document.push(id.clone(), entry.clone()).unwrap();
    assert_eq!(document.push(id.clone(), entry), Err(TakenId(id)));
    assert!(document.find_by_hash(HASH.parse().unwrap()).is_none());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
        Just(Value::from(HASH)),
    ];
    let key = prop_oneof![
        "[a-z]{1,3}",
        prop::sample::select(vec![
            "graph_hash",
            "artifacts",
            "parent",
            "scc",
            "metadata",
            "tags",
            "retracted",
            "sha256",
            "size_bytes",
            "cid_or_path",
            "scc_hash",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = RegistryDocument::read(&bytes, &ReadLimits::default());
    }

    #[test]
    fn an_entry_that_is_read_is_written_back_as_it_was(extra in json_value(), metadata in json_value()) {
        let mut value = entry();
        value["artifacts"]["scc"] = json!([]);
        value["metadata"] = json!({});
        value["more"] = extra;
        if metadata.is_object() {
            value["metadata"] = metadata;
        }
        if let Ok(entry) = RegistryEntry::from_value(value.clone()) {
            prop_assert_eq!(entry.to_value().to_string(), value.to_string());
        }
    }

    #[test]
    fn any_json_as_an_entry_is_answered_without_a_panic(value in json_value()) {
        let text = json!({"computes": {"x": value}}).to_string();
        prop_assert!(read(&text).is_ok());
    }
}
