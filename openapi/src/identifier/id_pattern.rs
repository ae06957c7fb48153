//! Patterns of compute ids: what a token may act on, and what is private by its name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ComputeId;

/// A pattern of compute ids, such as `ourlab-*`.
///
/// The whole language: `*` stands for any run of characters, the empty one, too; every other character stands for
/// itself. A pattern has 1 to 128 characters of `A-Z a-z 0-9 . _ - *`, and matches an id as a whole, byte for byte.
///
/// ```
/// use phasic_hub_api::IdPattern;
/// let pattern: IdPattern = "ourlab-*_v2".parse()?;
/// assert!(pattern.matches("ourlab-kingman_v2") && !pattern.matches("ourlab-kingman_v20"));
/// assert!("ourlab-?".parse::<IdPattern>().is_err());
/// # Ok::<(), phasic_hub_api::identifier::IdPatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdPattern(String);

/// Why a text is no pattern of compute ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdPatternError {
    /// Empty, or too long.
    #[error("a pattern of compute ids has 1 to {} characters, this one has {length}", ComputeId::MAX_BYTES)]
    Length {
        /// Length of the refused text in bytes.
        length: usize,
    },
    /// A character no id has, other than the star.
    #[error(
        "the pattern {pattern:?} has {character:?}; allowed are letters, digits, '.', '_', '-', and '*' for any run \
         of characters"
    )]
    Character {
        /// The refused text.
        pattern: String,
        /// The character.
        character: char,
    },
}

impl IdPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for a single id.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether an id matches. Time in proportion to the lengths of both multiplied, at worst; nothing is allocated.
    pub fn matches(&self, id: &str) -> bool {
        let (pattern, id) = (self.0.as_bytes(), id.as_bytes());
        let (mut at, mut place) = (0, 0);
        // Where the last star stands, and where what it stands for ends so far.
        let mut star: Option<(usize, usize)> = None;
        while place < id.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, place));
                    at += 1;
                }
                Some(&byte) if byte == id[place] => (at, place) = (at + 1, place + 1),
                _ => match &mut star {
                    // The star takes one more; with the last star alone a match is found if there is one.
                    Some((begin, end)) => {
                        *end += 1;
                        (at, place) = (*begin + 1, *end);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|&byte| byte == b'*')
    }

    fn check(text: &str) -> Result<(), IdPatternError> {
        if text.is_empty() || text.len() > ComputeId::MAX_BYTES {
            return Err(IdPatternError::Length { length: text.len() });
        }
        let allowed = |character: char| character.is_ascii_alphanumeric() || ".-_*".contains(character);
        match text.chars().find(|&character| !allowed(character)) {
            Some(character) => Err(IdPatternError::Character { pattern: text.to_owned(), character }),
            None => Ok(()),
        }
    }
}

impl FromStr for IdPattern {
    type Err = IdPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text).map(|()| Self(text.to_owned()))
    }
}

impl TryFrom<String> for IdPattern {
    type Error = IdPatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::check(&text).map(|()| Self(text))
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

super::serde_as_string!(IdPattern);

/// A set of patterns, in order and without repetition. As text, they are separated by single spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdPatterns(BTreeSet<IdPattern>);

impl IdPatterns {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an id matches one of them. One look-up, and then a try of every pattern that has a star.
    pub fn any_matches(&self, id: &ComputeId) -> bool {
        let id = id.as_str();
        // An id is a text a pattern may be, too.
        IdPattern::from_str(id).is_ok_and(|exact| self.0.contains(&exact))
            || self.0.iter().any(|pattern| !pattern.is_exact() && pattern.matches(id))
    }

    /// The patterns in order.
    pub fn iter(&self) -> impl Iterator<Item = &IdPattern> {
        self.0.iter()
    }
}

impl FromIterator<IdPattern> for IdPatterns {
    fn from_iter<T: IntoIterator<Item = IdPattern>>(patterns: T) -> Self {
        Self(patterns.into_iter().collect())
    }
}

impl FromStr for IdPatterns {
    type Err = IdPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for IdPatterns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pattern) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(out, "{space}{pattern}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{IdPattern, IdPatterns};
    use proptest::prelude::*;

    fn matches(pattern: &str, id: &str) -> bool {
        pattern.parse::<IdPattern>().unwrap().matches(id)
    }

    /// The definition, word for word; exponential, and so for short texts only.
    fn by_definition(pattern: &[u8], id: &[u8]) -> bool {
        match (pattern.split_first(), id.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => by_definition(rest, id),
            (Some((b'*', rest)), Some((_, shorter))) => {
                by_definition(rest, id) || by_definition(pattern, shorter)
            }
            (Some((byte, rest)), Some((first, shorter))) => byte == first && by_definition(rest, shorter),
            _ => false,
        }
    }

    #[test]
    fn a_star_is_any_run_and_everything_else_is_itself() {
        for (pattern, id) in [
            ("ourlab-*", "ourlab-"),
            ("ourlab-*", "ourlab-x.y_z"),
            ("*", "a"),
            ("**", "abc"),
            ("a*b*c", "axxbxbyc"),
            ("*_v2", "m_v1_v2"),
            ("exact", "exact"),
        ] {
            assert!(matches(pattern, id), "{pattern} {id}");
        }
        for (pattern, id) in [
            ("ourlab-*", "ourlab"),
            ("ourlab-*", "xourlab-a"),
            ("ourlab-*", "OURLAB-a"),
            ("a*b*c", "axxcxxb"),
            ("exact", "exactly"),
            ("a.c", "abc"),
        ] {
            assert!(!matches(pattern, id), "{pattern} {id}");
        }
    }

    #[test]
    fn texts_in_other_languages_are_refused() {
        for text in ["", "a?", "[ab]", "a b", "a/b", "{a,b}", "ä", "a\n", "a\\*", &"x".repeat(129)] {
            assert!(text.parse::<IdPattern>().is_err(), "{text:?}");
        }
        assert!("a b*  a".parse::<IdPatterns>().unwrap().to_string() == "a b*");
        assert!(serde_json::from_str::<IdPattern>("\"a?\"").is_err());
    }

    #[test]
    fn a_set_matches_what_one_of_it_matches() {
        let set: IdPatterns = "one two-*".parse().unwrap();
        for (id, expected) in [("one", true), ("two-", true), ("two", false), ("one1", false)] {
            assert_eq!(set.any_matches(&id.parse().unwrap()), expected, "{id}");
        }
        assert!(!IdPatterns::default().any_matches(&"one".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[ab*]{1,8}", id in "[ab]{1,10}") {
            prop_assert_eq!(matches(&pattern, &id), by_definition(pattern.as_bytes(), id.as_bytes()));
        }
    }
}
