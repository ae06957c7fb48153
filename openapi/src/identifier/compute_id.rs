//! The name of a compute: a key of the registry document, and a component of a git branch name.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The id of a compute, such as `coal_n5_theta1`.
///
/// 1 to 128 characters of `A-Z a-z 0-9 . _ -`, the first a letter or a digit, and valid as one component of a git
/// ref name (no `..`, no `.` or `.lock` at the end), since a publication travels on the branch
/// `phasic-publish/<id>`. Ids are compared byte for byte: `A` and `a` differ.
///
/// ```
/// use phasic_hub_api::ComputeId;
/// assert_eq!("coal_n5_theta1".parse::<ComputeId>()?.as_str(), "coal_n5_theta1");
/// assert!("../registry".parse::<ComputeId>().is_err());
/// # Ok::<(), phasic_hub_api::identifier::ComputeIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComputeId(String);

/// Why a text is not a compute id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeIdError {
    /// Empty, or longer than [`ComputeId::MAX_BYTES`].
    #[error("a compute id has 1 to {} characters, this one has {length}", ComputeId::MAX_BYTES)]
    Length {
        /// Length of the refused text in bytes.
        length: usize,
    },
    /// A character that is not allowed at its place.
    #[error(
        "the compute id has {character:?} at byte {offset}; allowed are letters, digits, '.', '_' and '-', \
         beginning with a letter or a digit"
    )]
    Character {
        /// The character.
        character: char,
        /// Where it stands, in bytes from the beginning.
        offset: usize,
    },
    /// Git would not take it as a part of a branch name.
    #[error("the compute id has {part:?}, which git does not allow in a branch name")]
    GitRef {
        /// The offending part.
        part: &'static str,
    },
}

impl ComputeId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), ComputeIdError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(ComputeIdError::Length { length: text.len() });
        }
        for (offset, character) in text.char_indices() {
            let allowed =
                character.is_ascii_alphanumeric() || (offset > 0 && matches!(character, '.' | '_' | '-'));
            if !allowed {
                return Err(ComputeIdError::Character { character, offset });
            }
        }
        if text.contains("..") {
            return Err(ComputeIdError::GitRef { part: ".." });
        }
        match [".lock", "."].into_iter().find(|end| text.ends_with(end)) {
            Some(part) => Err(ComputeIdError::GitRef { part }),
            None => Ok(()),
        }
    }
}

impl FromStr for ComputeId {
    type Err = ComputeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text).map(|()| Self(text.to_owned()))
    }
}

impl TryFrom<String> for ComputeId {
    type Error = ComputeIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::check(&text).map(|()| Self(text))
    }
}

impl fmt::Display for ComputeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Borrow<str> for ComputeId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

super::serde_as_string!(ComputeId);
