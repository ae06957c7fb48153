//! The document as a whole: an ordered table of computes with what stands around it.

use std::collections::HashMap;

use phasic_engine::graph::GraphHash;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{ComputeFilter, RegistryEntry};
use crate::ComputeId;

/// A registry document, version 2.
///
/// Entries keep their order and have distinct ids. Lookup by id is O(1), by hash O(entries).
///
/// ```
/// use phasic_hub_api::RegistryDocument;
/// assert_eq!(
///     RegistryDocument::new().to_json(),
///     "{\n  \"version\": \"2.0\",\n  \"format\": \"ptd_pcg\",\n  \"computes\": {}\n}\n"
/// );
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegistryDocument {
    /// Top-level fields other than `computes`, in order.
    #[cfg_attr(feature = "schema", schema(ignore))]
    fields: Map<String, Value>,
    /// How many of `fields` stand before `computes`.
    #[cfg_attr(feature = "schema", schema(ignore))]
    computes_at: usize,
    /// The entries by id. `version` and `format` stand beside them.
    #[cfg_attr(feature = "schema", schema(value_type = std::collections::HashMap<String, RegistryEntry>))]
    computes: Vec<(ComputeId, RegistryEntry)>,
    #[cfg_attr(feature = "schema", schema(ignore))]
    places: HashMap<ComputeId, usize>,
}

/// An entry was not added because its id is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a compute named {0} is in the registry already")]
pub struct TakenId(pub ComputeId);

impl RegistryDocument {
    /// A document without computes: `version` 2.0, `format` `ptd_pcg`.
    pub fn new() -> Self {
        let mut fields = Map::new();
        fields.insert("version".to_owned(), "2.0".into());
        fields.insert("format".to_owned(), "ptd_pcg".into());
        Self::with_fields(fields, 2)
    }

    pub(super) fn with_fields(fields: Map<String, Value>, computes_at: usize) -> Self {
        Self { fields, computes_at, computes: Vec::new(), places: HashMap::new() }
    }

    /// Appends a compute.
    ///
    /// # Errors
    /// When the id is taken, by a retracted entry too.
    pub fn push(&mut self, id: ComputeId, entry: RegistryEntry) -> Result<(), TakenId> {
        if self.places.contains_key(&id) {
            return Err(TakenId(id));
        }
        self.places.insert(id.clone(), self.computes.len());
        self.computes.push((id, entry));
        Ok(())
    }

    /// All computes in their order, retracted ones too.
    pub fn computes(&self) -> impl ExactSizeIterator<Item = (&ComputeId, &RegistryEntry)> {
        self.computes.iter().map(|(id, entry)| (id, entry))
    }

    /// The compute of this id, retracted or not.
    pub fn get(&self, id: &str) -> Option<&RegistryEntry> {
        self.places.get(id).map(|&place| &self.computes[place].1)
    }

    /// What a listing shows, in order.
    pub fn list<'a>(
        &'a self,
        filter: &'a ComputeFilter,
    ) -> impl Iterator<Item = (&'a ComputeId, &'a RegistryEntry)> {
        self.computes().filter(|(_, entry)| filter.selects(entry))
    }

    /// The compute a pull takes for a graph: the first with its content hash that is not retracted.
    pub fn find_by_hash(&self, graph_hash: GraphHash) -> Option<(&ComputeId, &RegistryEntry)> {
        self.computes().find(|(_, entry)| entry.graph_hash == graph_hash && !entry.retracted)
    }

    /// A top-level field other than `computes`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The document as upstream writes it: 2 spaces of indent, keys in order, a newline at the end.
    #[expect(clippy::missing_panics_doc, reason = "string keys and finite numbers always serialise")]
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("nothing in a document can fail to serialise");
        text.push('\n');
        text
    }
}

impl Default for RegistryDocument {
    fn default() -> Self {
        Self::new()
    }
}

impl Serialize for RegistryDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len() + 1))?;
        let mut fields = self.fields.iter();
        for (key, value) in fields.by_ref().take(self.computes_at) {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("computes", &Computes(&self.computes))?;
        for (key, value) in fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

struct Computes<'a>(&'a [(ComputeId, RegistryEntry)]);

impl Serialize for Computes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, entry)| (id, entry)))
    }
}
