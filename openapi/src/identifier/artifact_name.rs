//! The file name of an artifact, which is all a URL may say about it.

use std::fmt;
use std::str::FromStr;

use phasic_engine::graph::GraphHash;

/// The name of an artifact file: `<graph hash>.bin`, or `scc_<component hash>.bin`.
///
/// It is a pointer to bytes, not the name of bytes: upstream has put three different contents under one such name.
///
/// ```
/// use phasic_hub_api::ArtifactName;
/// let name = "scc_6a6d87a7e303d7fb422f4eece14a59aa03a8cdaaaa5d374cd71096944a948486.bin";
/// assert!(matches!(name.parse(), Ok(ArtifactName::Scc(_))));
/// assert!("scc_../../etc/passwd.bin".parse::<ArtifactName>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactName {
    /// The trace of a whole graph.
    Parent(GraphHash),
    /// The trace of one strongly connected component, named by its synthetic graph.
    Scc(GraphHash),
}

/// A text that is not the name of an artifact file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an artifact is named <64 lower-case hexadecimal digits>.bin, with scc_ in front for a component")]
#[non_exhaustive]
pub struct ArtifactNameError;

impl ArtifactName {
    /// The hash of the graph the artifact was made for.
    pub const fn graph_hash(&self) -> GraphHash {
        match self {
            Self::Parent(hash) | Self::Scc(hash) => *hash,
        }
    }

    /// The path of the file in a registry repository, `artifacts/<name>`.
    pub fn registry_path(&self) -> String {
        format!("artifacts/{self}")
    }
}

impl FromStr for ArtifactName {
    type Err = ArtifactNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stem = text.strip_suffix(".bin").ok_or(ArtifactNameError)?;
        let (digits, build): (_, fn(GraphHash) -> Self) = match stem.strip_prefix("scc_") {
            Some(digits) => (digits, Self::Scc),
            None => (stem, Self::Parent),
        };
        digits.parse().map(build).map_err(|_| ArtifactNameError)
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent(hash) => write!(out, "{hash}.bin"),
            Self::Scc(hash) => write!(out, "scc_{hash}.bin"),
        }
    }
}

super::serde_as_string!(ArtifactName);
