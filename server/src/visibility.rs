//! Who sees what is not for everybody: one answer for every route.
//!
//! Private are ids (and with them computes, their files and their history), and submitted graphs with their jobs and
//! eliminations. Somebody without a token sees nothing private; the holder of a token without patterns of ids sees
//! everything; the holder of one with patterns sees the private computes whose ids match, and the graphs, jobs and
//! eliminations that were submitted with a token of the same patterns. What somebody does not see is answered as what
//! is not there. Nothing here reads a database or a request: rows say for whom they are, requests say who asks.

use std::str::FromStr;

use phasic_hub_api::identifier::IdPatternError;
use phasic_hub_api::{ComputeId, IdPattern, IdPatterns};

/// Who asks, as far as seeing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody without a token.
    #[default]
    Public,
    /// The holder of a token for these ids.
    Ids(IdPatterns),
    /// The holder of a token for all ids, or the hub itself.
    All,
}

/// For whom a graph, a job, an elimination or an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody.
    Everybody,
    /// Holders of tokens for exactly these ids, and of tokens for all.
    Ids(IdPatterns),
    /// Holders of tokens for all ids.
    Holders,
}

/// How the audience of all holders is stored: the pattern all ids match.
const HOLDERS: &str = "*";

impl Viewer {
    /// The holder of a token for these ids; none, and `*`, are all.
    pub fn holder(ids: &IdPatterns) -> Self {
        let is_all = ids.is_empty() || ids.iter().any(|pattern| pattern.as_str() == HOLDERS);
        if is_all { Self::All } else { Self::Ids(ids.clone()) }
    }

    /// Whether the compute of an id, with all that belongs to it, is there for this viewer.
    pub fn sees_id(&self, id: &ComputeId, is_private: bool) -> bool {
        match self {
            Self::All => true,
            _ if !is_private => true,
            Self::Public => false,
            Self::Ids(ids) => ids.any_matches(id),
        }
    }

    /// Whether a graph, a job, an elimination or an upload of this audience is there for this viewer.
    pub fn sees(&self, audience: &Audience) -> bool {
        match (self, audience) {
            (Self::All, _) | (_, Audience::Everybody) => true,
            (Self::Ids(mine), Audience::Ids(theirs)) => mine == theirs,
            _ => false,
        }
    }

    /// The audience of what this viewer keeps for himself; everybody for somebody without a token, who can keep
    /// nothing for himself.
    pub fn audience(&self) -> Audience {
        match self {
            Self::Public => Audience::Everybody,
            Self::Ids(ids) => Audience::Ids(ids.clone()),
            Self::All => Audience::Holders,
        }
    }

    /// Whether the viewer sees whatever is private.
    pub fn sees_all(&self) -> bool {
        *self == Self::All
    }
}

impl Audience {
    /// Whether it is everybody.
    pub fn is_everybody(&self) -> bool {
        *self == Self::Everybody
    }

    /// The audience as it is stored.
    pub fn text(&self) -> String {
        match self {
            Self::Everybody => String::new(),
            Self::Ids(ids) => ids.to_string(),
            Self::Holders => HOLDERS.to_owned(),
        }
    }
}

impl FromStr for Audience {
    type Err = IdPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(Self::Everybody),
            HOLDERS => Ok(Self::Holders),
            text => text.parse().map(Self::Ids),
        }
    }
}

/// The ids that are private.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateIds(IdPatterns);

impl PrivateIds {
    /// Whether there are none, so that nobody need look at single ids.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an id is private.
    pub fn contains(&self, id: &ComputeId) -> bool {
        self.0.any_matches(id)
    }
}

impl FromIterator<IdPattern> for PrivateIds {
    fn from_iter<T: IntoIterator<Item = IdPattern>>(patterns: T) -> Self {
        Self(patterns.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Audience, PrivateIds, Viewer};
    use phasic_hub_api::{ComputeId, IdPatterns};

    fn holder(ids: &str) -> Viewer {
        Viewer::holder(&ids.parse::<IdPatterns>().unwrap())
    }

    #[test]
    fn a_private_id_is_seen_by_holders_whose_patterns_match() {
        let id: ComputeId = "ourlab-x".parse().unwrap();
        for (viewer, sees) in [
            (Viewer::Public, false),
            (holder(""), true),
            (holder("*"), true),
            (holder("ourlab-*"), true),
            (holder("a ourlab-x"), true),
            (holder("theirlab-*"), false),
        ] {
            assert_eq!(viewer.sees_id(&id, true), sees, "{viewer:?}");
            assert!(viewer.sees_id(&id, false), "{viewer:?}");
        }
    }

    #[test]
    fn what_was_submitted_in_private_is_seen_by_those_who_could_have_submitted_it() {
        let viewers = [Viewer::Public, holder("a-*"), holder("b-*"), holder("a-* b-*"), holder("")];
        // Whose rows are seen by whom, in this order.
        let expected = [
            [true, false, false, false, false],
            [true, true, false, false, false],
            [true, false, true, false, false],
            [true, false, false, true, false],
            [true, true, true, true, true],
        ];
        for (viewer, row) in viewers.iter().zip(expected) {
            for (other, sees) in viewers.iter().zip(row) {
                assert_eq!(viewer.sees(&other.audience()), sees, "{viewer:?} {other:?}");
            }
        }
    }

    #[test]
    fn audiences_are_read_as_they_were_written() {
        for viewer in [Viewer::Public, holder("a-*"), holder("b a"), holder("")] {
            let audience = viewer.audience();
            assert_eq!(audience.text().parse(), Ok(audience));
        }
        assert_eq!(holder("b a").audience().text(), "a b", "one text for one set");
        assert!("?".parse::<Audience>().is_err());
    }

    #[test]
    fn private_are_single_ids_and_what_a_pattern_matches() {
        let private: PrivateIds = ["one", "lab-*"].iter().map(|text| text.parse().unwrap()).collect();
        for (id, expected) in [("one", true), ("one2", false), ("lab-2", true)] {
            assert_eq!(private.contains(&id.parse().unwrap()), expected, "{id}");
        }
        assert!(PrivateIds::default().is_empty() && !private.is_empty());
    }
}
