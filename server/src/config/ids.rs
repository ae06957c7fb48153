//! Patterns of compute ids as a setting: one text, so that a variable can say it, too.

use phasic_hub_api::IdPatterns;
use serde::{Deserialize, Serialize};

/// Patterns of compute ids, separated by commas or blanks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ids(IdPatterns);

impl Ids {
    /// The patterns.
    pub fn patterns(&self) -> &IdPatterns {
        &self.0
    }
}

impl TryFrom<String> for Ids {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.replace(',', " ").parse().map(Self).map_err(|error| format!("{error}"))
    }
}

impl From<Ids> for String {
    fn from(ids: Ids) -> Self {
        ids.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn patterns_are_separated_by_commas_or_blanks() {
        let read = |text: &str| Ids::try_from(text.to_owned()).map(String::from);
        assert_eq!(read("b-*, a  c,"), Ok("a b-* c".to_owned()));
        assert_eq!(read(""), Ok(String::new()));
        assert!(read("a;b").unwrap_err().contains("\"a;b\""));
    }
}
