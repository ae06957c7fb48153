//! What a pass changes: two states of an upstream, compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use phasic_hub_api::mirror::{ChangeKind, PassChange};
use serde_json::Value;

use super::super::Publication;

/// Compares what was mirrored, entry by id, with what is to be, in the order of the new document and then of the ids
/// that are gone.
pub(super) fn compare<'a>(
    before: &BTreeMap<String, String>,
    after: impl Iterator<Item = &'a Publication> + Clone,
) -> Vec<PassChange> {
    let kept: BTreeSet<&str> = after.clone().map(|publication| publication.id.as_str()).collect();
    // What each file that disappears under one id was called; the first of several.
    let mut gone: HashMap<String, &str> = HashMap::new();
    for (id, entry) in before.iter().filter(|(id, _)| !kept.contains(id.as_str())) {
        if let Some(file) = parent(&read(entry)) {
            gone.entry(file).or_insert(id);
        }
    }
    let mut renamed = BTreeSet::new();
    let mut changes = Vec::new();
    for publication in after {
        let id = publication.id.to_string();
        let entry = publication.entry.to_value();
        let text = entry.to_string();
        let (kind, previous_id) = match before.get(&id) {
            Some(old) if *old == text => continue,
            Some(old) => (changed(&read(old), publication.entry.retracted), None),
            None => match parent(&entry).and_then(|file| gone.remove(&file)) {
                // Another name under which it is hidden is no name.
                Some(old) if !publication.entry.retracted || is_retracted(&read(&before[old])) => {
                    renamed.insert(old);
                    (ChangeKind::Renamed, Some(old.to_owned()))
                }
                Some(_) | None => (ChangeKind::New, None),
            },
        };
        changes.push(PassChange { kind, id, previous_id });
    }
    let vanished = before.keys().filter(|id| !kept.contains(id.as_str()) && !renamed.contains(id.as_str()));
    changes.extend(vanished.map(|id| PassChange {
        kind: ChangeKind::Vanished,
        id: id.clone(),
        previous_id: None,
    }));
    changes
}

fn changed(before: &Value, is_retracted_now: bool) -> ChangeKind {
    match (is_retracted(before), is_retracted_now) {
        (false, true) => ChangeKind::Retracted,
        (true, false) => ChangeKind::Restored,
        _ => ChangeKind::Changed,
    }
}

/// Whatever a Python program would take for true.
fn is_retracted(entry: &Value) -> bool {
    match entry.get("retracted") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Bool(true)) => true,
    }
}

fn read(entry: &str) -> Value {
    serde_json::from_str(entry).unwrap_or(Value::Null)
}

/// Graph and file of an entry: what stays when it is renamed.
fn parent(entry: &Value) -> Option<String> {
    let hash = entry.get("graph_hash")?.as_str()?;
    let file = entry.pointer("/artifacts/parent/sha256")?.as_str()?;
    Some(format!("{hash} {file}"))
}
