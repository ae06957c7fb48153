//! The strict reader: limits before building, duplicates refused, one bad entry never stops the rest.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields::FaultReason;
use super::strict::StrictValue;
use super::{EntryFault, RegistryDocument, RegistryEntry};
use crate::ComputeId;

/// How large a registry document may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimits {
    /// Bytes of the whole document.
    pub document_bytes: usize,
    /// Number of entries.
    pub entries: usize,
    /// Bytes of one entry.
    pub entry_bytes: usize,
}

impl Default for ReadLimits {
    /// 64 MiB, 100,000 entries, 1 MiB for one entry: a hundred times what upstream's largest would need.
    fn default() -> Self {
        Self { document_bytes: 64 << 20, entries: 100_000, entry_bytes: 1 << 20 }
    }
}

/// A document that cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// More bytes than allowed.
    #[error("the registry document has {size_bytes} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// Size of the document in bytes.
        size_bytes: usize,
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// More entries than allowed.
    #[error("the registry document has more than the {limit} entries allowed")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// Not JSON, not UTF-8, or `computes` is no object.
    #[error("the registry document cannot be read: {reason}")]
    Malformed {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// JSON, but without an object `computes`.
    #[error("this is not a registry document: there is no object \"computes\" in it")]
    NoComputes,
    /// The older form, from before the artifacts left IPFS.
    #[error(
        "this is a registry document of version 1 ({traces} traces named by IPFS ids), which holds nothing that can \
         be mirrored or pulled; use the current registry.json, version 2, with \"computes\""
    )]
    VersionOne {
        /// How many traces it lists.
        traces: usize,
    },
    /// A key occurs twice, so that nobody can say which of the two is meant.
    #[error("the registry document has the key {key:?} twice; nothing in it can be trusted")]
    DuplicateKey {
        /// The key: a compute id, or a field at the top.
        key: String,
    },
}

/// What a strict reading found: every entry, usable or not, in the order of the document.
#[derive(Clone, Debug)]
pub struct RegistryReading {
    fields: Map<String, Value>,
    computes_at: usize,
    entries: Vec<Result<(ComputeId, RegistryEntry), EntryFault>>,
}

impl RegistryReading {
    /// Every entry, usable or not, in order.
    pub fn entries(&self) -> &[Result<(ComputeId, RegistryEntry), EntryFault>] {
        &self.entries
    }

    /// Splits into a document of the usable entries and the faults of the others.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the reader has refused equal ids, and nobody else makes readings"
    )]
    pub fn into_document(self) -> (RegistryDocument, Vec<EntryFault>) {
        let mut document = RegistryDocument::with_fields(self.fields, self.computes_at);
        let mut faults = Vec::new();
        for entry in self.entries {
            match entry {
                Ok((id, entry)) => document.push(id, entry).expect("the reader has refused equal ids"),
                Err(fault) => faults.push(fault),
            }
        }
        (document, faults)
    }
}

impl RegistryDocument {
    /// Reads a registry document strictly.
    ///
    /// Faults of single entries are reported beside the usable ones. Equal keys within one entry are its own fault;
    /// equal ids, or equal keys at the top, condemn the document. Takes O(bytes) time and memory.
    ///
    /// ```
    /// use phasic_hub_api::{ReadLimits, RegistryDocument};
    /// let (document, faults) =
    ///     RegistryDocument::read(br#"{"version": "2.0", "computes": {"x": {}}}"#, &ReadLimits::default())?
    ///         .into_document();
    /// assert_eq!(document.computes().len(), 0);
    /// assert_eq!(faults[0].to_string(), "\"x\": graph_hash is missing");
    /// # Ok::<(), phasic_hub_api::RegistryError>(())
    /// ```
    ///
    /// # Errors
    /// When the document is no registry of version 2, breaks a limit, or names something twice.
    pub fn read(bytes: &[u8], limits: &ReadLimits) -> Result<RegistryReading, RegistryError> {
        if bytes.len() > limits.document_bytes {
            let (size_bytes, limit_bytes) = (bytes.len(), limits.document_bytes);
            return Err(RegistryError::TooLarge { size_bytes, limit_bytes });
        }
        let malformed = |reason: String| RegistryError::Malformed { reason };
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let mut top = Top::new(limits);
        let mut parser = serde_json::Deserializer::from_str(text);
        let parsed = parser.deserialize_any(&mut top).and_then(|()| parser.end());
        if let Some(refused) = top.refused {
            return Err(refused);
        }
        parsed.map_err(|error| malformed(error.to_string()))?;
        match (top.computes, top.traces) {
            (Some(entries), _) => Ok(RegistryReading {
                fields: top.fields,
                computes_at: top.computes_at,
                entries: entries.into_iter().map(|(id, raw)| read_entry(&id, raw, limits)).collect(),
            }),
            (None, Some(traces)) => Err(RegistryError::VersionOne { traces }),
            (None, None) => Err(RegistryError::NoComputes),
        }
    }
}

fn read_entry(
    id: &str,
    raw: &RawValue,
    limits: &ReadLimits,
) -> Result<(ComputeId, RegistryEntry), EntryFault> {
    let text = raw.get();
    let fault = |reason| EntryFault::new(id, text, reason);
    let name = id.parse().map_err(|error| fault(FaultReason::Id(error)))?;
    if text.len() > limits.entry_bytes {
        let (size_bytes, limit_bytes) = (text.len(), limits.entry_bytes);
        return Err(fault(FaultReason::TooLarge { size_bytes, limit_bytes }));
    }
    let StrictValue(value) =
        serde_json::from_str(text).map_err(|error| fault(FaultReason::Json(error.to_string())))?;
    RegistryEntry::from_value(value).map(|entry| (name, entry)).map_err(fault)
}

/// Collects the top level. Entries stay text until the whole document has been seen.
struct Top<'de, 'l> {
    limits: &'l ReadLimits,
    fields: Map<String, Value>,
    computes_at: usize,
    computes: Option<Vec<(String, &'de RawValue)>>,
    traces: Option<usize>,
    refused: Option<RegistryError>,
}

impl<'l> Top<'_, 'l> {
    fn new(limits: &'l ReadLimits) -> Self {
        Self { limits, fields: Map::new(), computes_at: 0, computes: None, traces: None, refused: None }
    }
}

impl<'de> Visitor<'de> for &mut Top<'de, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let seen = self.fields.contains_key(&key) || (key == "computes" && self.computes.is_some());
            if seen {
                self.refused = Some(RegistryError::DuplicateKey { key });
                return Err(A::Error::custom("refused"));
            }
            if key == "computes" {
                self.computes_at = self.fields.len();
                let seed = Entries { limit: self.limits.entries, refused: &mut self.refused };
                self.computes = Some(map.next_value_seed(seed)?);
                continue;
            }
            let StrictValue(value) = map.next_value()?;
            if key == "traces" {
                self.traces = Some(value.as_object().map_or(0, Map::len));
            }
            self.fields.insert(key, value);
        }
        Ok(())
    }
}

struct Entries<'r> {
    limit: usize,
    refused: &'r mut Option<RegistryError>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<(String, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object \"computes\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let refusal = if entries.len() == self.limit {
                Some(RegistryError::TooManyEntries { limit: self.limit })
            } else if seen.insert(key.clone()) {
                None
            } else {
                Some(RegistryError::DuplicateKey { key: key.clone() })
            };
            if refusal.is_some() {
                *self.refused = refusal;
                let _ = map.next_value::<IgnoredAny>();
                return Err(A::Error::custom("refused"));
            }
            entries.push((key, map.next_value::<&'de RawValue>()?));
        }
        Ok(entries)
    }
}
