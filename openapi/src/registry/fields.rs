//! Typed reading of JSON objects with the path of each field in the error, and writing that disturbs nothing else.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::strict::StrictValue;
use crate::Sha256;

/// An entry of a registry document that cannot be used, and why. The rest of the document is not touched by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id:?}: {reason}")]
#[non_exhaustive]
pub struct EntryFault {
    /// The key of the entry as it was written; not necessarily a valid id.
    pub id: String,
    /// What is wrong with it.
    pub reason: FaultReason,
    /// SHA-256 of the entry's text as it stands in the document.
    pub sha256: Sha256,
    /// Whether it says that it is not for everybody, as [`RegistryEntry::is_private`](super::RegistryEntry::is_private)
    /// does. `None`: it cannot be read well enough to tell.
    pub is_private: Option<bool>,
}

impl EntryFault {
    pub(super) fn new(id: &str, text: &str, reason: FaultReason) -> Self {
        let read = serde_json::from_str(text).ok();
        let is_private = read.map(|StrictValue(entry)| says_private(entry.get("metadata")));
        Self { id: id.to_owned(), reason, sha256: Sha256::of(text.as_bytes()), is_private }
    }
}

/// Whether the metadata of an entry say that it is not for everybody.
pub(super) fn says_private(metadata: Option<&Value>) -> bool {
    metadata.is_some_and(|metadata| metadata["hub"]["private"] == true)
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultReason {
    /// The key is not a compute id.
    #[error("not a compute id: {0}")]
    Id(crate::identifier::ComputeIdError),
    /// The entry alone is larger than allowed.
    #[error("the entry has {size_bytes} bytes, more than the {limit_bytes} allowed")]
    TooLarge {
        /// Size of the entry in bytes.
        size_bytes: usize,
        /// The limit in bytes.
        limit_bytes: usize,
    },
    /// Nested too deeply, or a key occurs twice in one object.
    #[error("{0}")]
    Json(String),
    /// A field that must be there is not.
    #[error("{path} is missing")]
    Missing {
        /// Path of the field, such as `artifacts.parent.sha256`.
        path: String,
    },
    /// A field has another type than it must have.
    #[error("{path} must be {expected}, not {found}")]
    WrongType {
        /// Path of the field.
        path: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A field has the right type and a value that is not allowed.
    #[error("{path}: {reason}")]
    Invalid {
        /// Path of the field.
        path: String,
        /// What is wrong with the value.
        reason: String,
    },
}

impl FaultReason {
    pub(super) fn wrong_type(path: &str, expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "this number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        let path = if path.is_empty() { "the entry" } else { path };
        Self::WrongType { path: path.to_owned(), expected, found }
    }
}

/// An object, and the path that led to it.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

type Read<T> = Result<T, FaultReason>;

impl<'a> Fields<'a> {
    pub(super) fn root(map: &'a Map<String, Value>) -> Self {
        Self { map, path: String::new() }
    }

    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// The value of a field; `null` counts as absent.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Read<T> {
        value.ok_or_else(|| FaultReason::Missing { path: self.path(key) })
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &'static str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Read<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        convert(value).map(Some).ok_or_else(|| FaultReason::wrong_type(&self.path(key), expected, value))
    }

    pub(super) fn optional_string(&self, key: &str) -> Read<Option<&'a str>> {
        self.typed(key, "a text", Value::as_str)
    }

    pub(super) fn string(&self, key: &str) -> Read<&'a str> {
        let text = self.optional_string(key)?;
        self.required(key, text)
    }

    pub(super) fn optional_u64(&self, key: &str) -> Read<Option<u64>> {
        self.typed(key, "a whole number from 0", Value::as_u64)
    }

    pub(super) fn u64(&self, key: &str) -> Read<u64> {
        let number = self.optional_u64(key)?;
        self.required(key, number)
    }

    pub(super) fn optional_u32(&self, key: &str) -> Read<Option<u32>> {
        let small = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        self.typed(key, "a whole number from 0 to 4294967295", small)
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Read<T> {
        let invalid =
            |error: T::Err| FaultReason::Invalid { path: self.path(key), reason: error.to_string() };
        self.string(key)?.parse().map_err(invalid)
    }

    pub(super) fn strings(&self, key: &str) -> Read<Vec<String>> {
        let texts = |value: &Value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        Ok(self.typed(key, "a list of texts", texts)?.unwrap_or_default())
    }

    pub(super) fn optional_object(&self, key: &str) -> Read<Option<Self>> {
        let map = self.typed(key, "an object", Value::as_object)?;
        Ok(map.map(|map| Self { map, path: format!("{}.", self.path(key)) }))
    }

    pub(super) fn object(&self, key: &str) -> Read<Self> {
        let object = self.optional_object(key)?;
        self.required(key, object)
    }

    /// A list of objects; absent is the same as empty.
    pub(super) fn objects(&self, key: &str) -> Read<Vec<Self>> {
        let list = self.typed(key, "a list", Value::as_array)?.map_or(&[][..], Vec::as_slice);
        let at = |(index, value): (usize, &'a Value)| {
            let path = format!("{}[{index}]", self.path(key));
            match value.as_object() {
                Some(map) => Ok(Self { map, path: format!("{path}.") }),
                None => Err(FaultReason::wrong_type(&path, "an object", value)),
            }
        };
        list.iter().enumerate().map(at).collect()
    }
}

/// Truth as Python sees it, which is how phasic reads `retracted`.
pub(super) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Sets a field where it stands, or appends it. `None` removes it, unless what stands there says nothing anyway.
pub(super) fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => match map.get_mut(key) {
            Some(there) => *there = value,
            None => drop(map.insert(key.to_owned(), value)),
        },
        None if map.get(key).is_some_and(is_truthy) => {
            map.shift_remove(key);
        }
        None => {}
    }
}
