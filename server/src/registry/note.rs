//! What an entry says about the file it names beyond what its publisher said: in `metadata.hub`, which phasic shows as it
//! stands and does not act upon.

use std::collections::HashMap;

use phasic_hub_api::jobs::Variant;
use phasic_hub_api::{EdgeOrderDigest, GraphHash, RegistryEntry, Sha256};
use serde_json::Value;

use crate::store::{ArtifactRow, ComputeRow, Role, ServedVariant, VariantReason};

/// The field that says that a compute is not for everybody.
const PRIVATE: &str = "private";

/// The field that says for which definition of its graph a compute is.
const DEFINITION: &str = "definition";

/// Serves another program of the same graph than the published one, and says so.
pub(super) fn serve_instead(row: &mut ComputeRow, one: &ServedVariant) {
    let is_it = |file: &&mut ArtifactRow| file.role == Role::Parent && file.graph_hash == one.graph_hash;
    let Some(parent) = row.artifacts.iter_mut().find(is_it) else { return };
    parent.served = one.blob;
    say(
        row,
        &[
            ("variant", one.variant.as_str()),
            ("variant_reason", one.reason.as_str()),
            ("edge_order_digest", &one.edge_order_digest.to_string()),
        ],
    );
}

/// An entry that says which program it names, and why it is not phasic's.
pub(crate) fn say_variant(entry: &RegistryEntry, variant: Variant, reason: VariantReason) -> RegistryEntry {
    with(entry, &[("variant", variant.as_str()), ("variant_reason", reason.as_str())])
}

/// An entry that says for which definition of its graph it is: a content hash leaves weights open.
pub(crate) fn say_definition(entry: &RegistryEntry, definition: Sha256) -> RegistryEntry {
    with(entry, &[(DEFINITION, &definition.to_string())])
}

/// The definition an entry says it is for.
pub(crate) fn definition_of(entry: &RegistryEntry) -> Option<Sha256> {
    entry.to_value()["metadata"]["hub"][DEFINITION].as_str()?.parse().ok()
}

fn with(entry: &RegistryEntry, facts: &[(&str, &str)]) -> RegistryEntry {
    let mut value = entry.to_value();
    note(&mut value, facts);
    // Only what no reader looks at has changed.
    RegistryEntry::from_value(value).unwrap_or_else(|_| entry.clone())
}

/// Says for which order of edges the program is, where the content hash stands for graphs of several.
pub(super) fn say_edge_order(row: &mut ComputeRow, orders: &HashMap<(GraphHash, Sha256), EdgeOrderDigest>) {
    let parent = row.artifacts.iter().find(|file| file.role == Role::Parent);
    let order = parent.and_then(|file| orders.get(&(file.graph_hash, file.served.sha256)));
    if let Some(order) = order {
        say(row, &[("edge_order_digest", &order.to_string())]);
    }
}

/// Says that a compute is not for everybody, so that a hub that mirrors it, with the rights of a token, does not make it
/// so; and does not say it any longer of one that is.
pub(super) fn say_privacy(row: &mut ComputeRow, is_private: bool) {
    // Few entries say anything of the kind, and most are not read for it.
    if !is_private && !row.entry.contains(PRIVATE) {
        return;
    }
    let Ok(mut entry) = serde_json::from_str::<Value>(&row.entry) else { return };
    let Some(metadata) = entry.get_mut("metadata").filter(|metadata| metadata.is_object()) else { return };
    if is_private {
        if !metadata["hub"].is_object() {
            metadata["hub"] = Value::Object(serde_json::Map::new());
        }
        metadata["hub"][PRIVATE] = true.into();
    } else if let Some(hub) = metadata["hub"].as_object_mut() {
        hub.remove(PRIVATE);
    }
    row.entry = entry.to_string();
}

fn say(row: &mut ComputeRow, facts: &[(&str, &str)]) {
    // An entry that cannot be read is an error a little later, where there is somebody to tell.
    let Ok(mut entry) = serde_json::from_str::<Value>(&row.entry) else { return };
    if note(&mut entry, facts) {
        row.entry = entry.to_string();
    }
}

/// Whether there was metadata to write it into.
fn note(entry: &mut Value, facts: &[(&str, &str)]) -> bool {
    let Some(metadata) = entry.get_mut("metadata").filter(|metadata| metadata.is_object()) else {
        return false;
    };
    if !metadata["hub"].is_object() {
        metadata["hub"] = Value::Object(serde_json::Map::new());
    }
    for (name, value) in facts {
        metadata["hub"][*name] = Value::from(*value);
    }
    true
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::jobs::Variant;
    use phasic_hub_api::{EdgeOrderDigest, GraphHash, Sha256};

    use super::{say_edge_order, serve_instead};
    use crate::blobs::StoredBlob;
    use crate::store::{ArtifactRow, ComputeRow, Origin, Role, ServedVariant, VariantReason};

    fn blob(seed: &str) -> StoredBlob {
        StoredBlob { sha256: Sha256::of(seed.as_bytes()), size_bytes: 1 }
    }

    fn row(entry: &str) -> ComputeRow {
        let (graph_hash, blob) = (GraphHash::from_bytes([1; 32]), blob("published"));
        let parent = ArtifactRow { role: Role::Parent, graph_hash, original: blob, served: blob };
        let (id, entry) = ("a".parse().unwrap(), entry.to_owned());
        ComputeRow { id, origin: Origin::Mirror, upstream: None, entry, artifacts: vec![parent] }
    }

    #[test]
    fn what_is_said_stands_beside_what_the_publisher_said() {
        let mut row = row(r#"{"metadata":{"description":"d","hub":{"origin":"computed"}},"x":1}"#);
        let one = ServedVariant {
            id: row.id.clone(),
            graph_hash: GraphHash::from_bytes([1; 32]),
            edge_order_digest: EdgeOrderDigest::from_bytes([2; 32]),
            variant: Variant::Fast,
            blob: blob("fast"),
            reason: VariantReason::ParallelEdges,
        };
        serve_instead(&mut row, &one);
        assert_eq!((row.artifacts[0].served, row.artifacts[0].original), (blob("fast"), blob("published")));
        let entry: serde_json::Value = serde_json::from_str(&row.entry).unwrap();
        let digest = one.edge_order_digest.to_string();
        let hub = serde_json::json!({"origin": "computed", "variant": "fast", "variant_reason": "parallel_edges",
            "edge_order_digest": digest});
        assert_eq!((&entry["metadata"]["hub"], &entry["metadata"]["description"]), (&hub, &"d".into()));
        assert_eq!(entry["x"], 1);
    }

    #[test]
    fn an_order_is_said_only_of_the_file_it_belongs_to() {
        let order = EdgeOrderDigest::from_bytes([3; 32]);
        let hash = GraphHash::from_bytes([1; 32]);
        for (seed, is_said) in [("published", true), ("other", false)] {
            let mut row = row(r#"{"metadata":{}}"#);
            say_edge_order(&mut row, &[((hash, blob(seed).sha256), order)].into_iter().collect());
            assert_eq!(row.entry.contains(&order.to_string()), is_said, "{seed}");
        }
        let mut unreadable = row("no JSON");
        say_edge_order(&mut unreadable, &[((hash, blob("published").sha256), order)].into_iter().collect());
        assert_eq!(unreadable.entry, "no JSON");
    }
}
