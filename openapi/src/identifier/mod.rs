//! Identifiers: compute ids and patterns of them, digests and artifact file names.
//!
//! Parsing is validation: whoever holds one of these may paste it into a path, a URL or a git ref. No strings that
//! merely look like identifiers, and no lookups, belong here.

mod artifact_name;
mod compute_id;
mod id_pattern;
mod sha256;
#[cfg(test)]
mod tests;

pub use artifact_name::{ArtifactName, ArtifactNameError};
pub use compute_id::{ComputeId, ComputeIdError};
pub use id_pattern::{IdPattern, IdPatternError, IdPatterns};
pub use sha256::{Sha256, Sha256Error};

/// Serde as a string through `Display` and `FromStr`.
macro_rules! serde_as_string {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use serde_as_string;
