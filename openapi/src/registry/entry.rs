//! One compute of a registry document.
//!
//! The typed fields are what the hub and its clients act upon; everything else an entry said is kept beside them and
//! written back in its place. Nothing here looks at other entries.

use phasic_engine::graph::GraphHash;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::fields::{Fields, is_truthy, put, says_private};
use crate::Sha256;

/// One compute: the graph it is for, the artifacts made for that graph, and what people should know about it.
///
/// An entry that was read keeps every field it had, known or not, in its order; [`RegistryEntry::to_value`] writes
/// the typed fields over them.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RegistryEntry {
    /// Content hash of the graph, 64 lower-case hexadecimal digits.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub graph_hash: GraphHash,
    /// What the publisher says about the file format. phasic refuses to pull values above 3.
    pub format_revision: Option<u32>,
    /// The files.
    pub artifacts: Artifacts,
    /// Description, author, licence, and the words to search by.
    pub metadata: Metadata,
    /// A retracted entry is hidden from listings and pulls; its id stays taken.
    #[cfg_attr(feature = "schema", schema(required = false, default = false))]
    pub retracted: bool,
    #[cfg_attr(feature = "schema", schema(ignore))]
    original: Map<String, Value>,
}

/// The files of one compute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Artifacts {
    /// The trace of the whole graph.
    pub parent: ArtifactRef,
    /// Traces of strongly connected components; empty in what phasic 0.32.1 publishes.
    pub scc: Vec<SccRef>,
}

/// Where an artifact is, and which bytes it must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ArtifactRef {
    /// A path relative to the registry, or an absolute URL when it contains `://`.
    pub cid_or_path: String,
    /// SHA-256 of the bytes, 64 lower-case hexadecimal digits.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Number of bytes.
    pub size_bytes: u64,
}

/// Where the artifact of one component is. Upstream writes these keys in the order of these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SccRef {
    /// A path relative to the registry, or an absolute URL when it contains `://`.
    pub cid_or_path: String,
    /// Content hash of the component's synthetic graph. Clients paste it into a file name, so it is validated.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub scc_hash: GraphHash,
    /// SHA-256 of the bytes, 64 lower-case hexadecimal digits.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
    /// Number of bytes.
    pub size_bytes: u64,
}

/// What people should know about a compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// One sentence.
    pub description: Option<String>,
    /// `Name <email>` by custom.
    pub author: Option<String>,
    /// An SPDX expression by custom.
    pub license: Option<String>,
    /// Number of vertices of the graph, the starting vertex included.
    pub vertices: Option<u64>,
    /// Number of parameters θ.
    pub param_length: Option<u64>,
    /// Field of science, such as `population-genetics`.
    pub domain: Option<String>,
    /// Kind of model, such as `coalescent`.
    pub model_type: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
}

impl RegistryEntry {
    /// A new entry, not retracted, with nothing but its typed fields.
    pub fn new(
        graph_hash: GraphHash,
        format_revision: u32,
        artifacts: Artifacts,
        metadata: Metadata,
    ) -> Self {
        Self {
            graph_hash,
            format_revision: Some(format_revision),
            artifacts,
            metadata,
            retracted: false,
            original: Map::new(),
        }
    }

    /// Reads an entry from the value of its key.
    ///
    /// # Errors
    /// Names the first field that is missing or has the wrong type, by its path.
    pub fn from_value(value: Value) -> Result<Self, super::FaultReason> {
        let original = match value {
            Value::Object(map) => map,
            other => return Err(super::FaultReason::wrong_type("", "an object", &other)),
        };
        let fields = Fields::root(&original);
        Ok(Self {
            graph_hash: fields.parsed("graph_hash")?,
            format_revision: fields.optional_u32("format_revision")?,
            artifacts: Artifacts::read(&fields.object("artifacts")?)?,
            metadata: match fields.optional_object("metadata")? {
                Some(metadata) => Metadata::read(&metadata)?,
                None => Metadata::default(),
            },
            retracted: original.get("retracted").is_some_and(is_truthy),
            original,
        })
    }

    /// The entry as JSON: all fields it was read with, in their order, with the typed fields written over them.
    pub fn to_value(&self) -> Value {
        self.clone().into_value()
    }

    /// The same of an entry that is needed no more.
    pub fn into_value(self) -> Value {
        let mut entry = self.original;
        let was_retracted = entry.get("retracted").is_some_and(is_truthy);
        put(&mut entry, "graph_hash", Some(self.graph_hash.to_string().into()));
        put(&mut entry, "format_revision", self.format_revision.map(Value::from));
        self.artifacts.write(object_at(&mut entry, "artifacts"));
        self.metadata.write(object_at(&mut entry, "metadata"));
        if was_retracted != self.retracted {
            put(&mut entry, "retracted", self.retracted.then_some(Value::Bool(true)));
        }
        Value::Object(entry)
    }

    /// Whether a hub has said of it that it is not for everybody (`metadata.hub.private`).
    pub fn is_private(&self) -> bool {
        says_private(self.field("metadata"))
    }

    /// A field this version of the contract does not know, or the raw form of one it does.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.original.get(name)
    }
}

impl Artifacts {
    fn read(fields: &Fields<'_>) -> Result<Self, super::FaultReason> {
        let scc = fields.objects("scc")?;
        Ok(Self {
            parent: ArtifactRef::read(&fields.object("parent")?)?,
            scc: scc.iter().map(SccRef::read).collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, into: &mut Map<String, Value>) {
        self.parent.write(object_at(into, "parent"));
        let list = into.entry("scc").or_insert_with(|| Value::Array(Vec::new()));
        let Some(list) = list.as_array_mut() else {
            // `null` or absent when it was read, which says the same as an empty list.
            if !self.scc.is_empty() {
                *list = self.scc.iter().map(|scc| write_scc(scc, Map::new())).collect();
            }
            return;
        };
        // Components may have been left out: what an item says beside the typed fields belongs to its hash.
        let mut known: Vec<_> = std::mem::take(list).into_iter().map(Some).collect();
        list.extend(self.scc.iter().map(|scc| {
            let hash = scc.scc_hash.to_string();
            let is_it = |item: &&mut Option<Value>| {
                item.as_ref().is_some_and(|item| item.get("scc_hash").and_then(Value::as_str) == Some(&hash))
            };
            // Taken, so that two items of one hash keep their own.
            let item = known.iter_mut().find(is_it).and_then(Option::take);
            write_scc(scc, if let Some(Value::Object(item)) = item { item } else { Map::new() })
        }));
    }
}

fn write_scc(scc: &SccRef, mut into: Map<String, Value>) -> Value {
    put(&mut into, "cid_or_path", Some(scc.cid_or_path.clone().into()));
    put(&mut into, "scc_hash", Some(scc.scc_hash.to_string().into()));
    put(&mut into, "sha256", Some(scc.sha256.to_string().into()));
    put(&mut into, "size_bytes", Some(scc.size_bytes.into()));
    Value::Object(into)
}

impl ArtifactRef {
    fn read(fields: &Fields<'_>) -> Result<Self, super::FaultReason> {
        Ok(Self {
            cid_or_path: fields.string("cid_or_path")?.to_owned(),
            sha256: fields.parsed("sha256")?,
            size_bytes: fields.u64("size_bytes")?,
        })
    }

    fn write(&self, into: &mut Map<String, Value>) {
        put(into, "cid_or_path", Some(self.cid_or_path.clone().into()));
        put(into, "sha256", Some(self.sha256.to_string().into()));
        put(into, "size_bytes", Some(self.size_bytes.into()));
    }
}

impl SccRef {
    fn read(fields: &Fields<'_>) -> Result<Self, super::FaultReason> {
        Ok(Self {
            cid_or_path: fields.string("cid_or_path")?.to_owned(),
            scc_hash: fields.parsed("scc_hash")?,
            sha256: fields.parsed("sha256")?,
            size_bytes: fields.u64("size_bytes")?,
        })
    }
}

impl Metadata {
    fn read(fields: &Fields<'_>) -> Result<Self, super::FaultReason> {
        let text = |key| fields.optional_string(key).map(|text| text.map(str::to_owned));
        Ok(Self {
            description: text("description")?,
            author: text("author")?,
            license: text("license")?,
            vertices: fields.optional_u64("vertices")?,
            param_length: fields.optional_u64("param_length")?,
            domain: text("domain")?,
            model_type: text("model_type")?,
            tags: fields.strings("tags")?,
        })
    }

    fn write(&self, into: &mut Map<String, Value>) {
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        put(into, "description", text(&self.description));
        put(into, "author", text(&self.author));
        put(into, "license", text(&self.license));
        put(into, "vertices", self.vertices.map(Value::from));
        put(into, "param_length", self.param_length.map(Value::from));
        put(into, "domain", text(&self.domain));
        put(into, "model_type", text(&self.model_type));
        let tags = || self.tags.iter().map(String::as_str).collect::<Value>();
        put(into, "tags", (!self.tags.is_empty()).then(tags));
    }
}

/// The object under `key`, made when there is none.
fn object_at<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("an object was put there on the line before")
}

impl PartialEq for RegistryEntry {
    fn eq(&self, other: &Self) -> bool {
        self.to_value() == other.to_value()
    }
}

impl Serialize for RegistryEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RegistryEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = super::strict::StrictValue::deserialize(deserializer)?;
        Self::from_value(value.0).map_err(serde::de::Error::custom)
    }
}
