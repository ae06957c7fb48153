//! Looking for a text in what a registry says of a compute.

/// A text to look for, whatever the case of its letters: in each field by itself, so that nothing is found across two.
///
/// Letters are compared beyond ASCII, one by one: as their capitals in small letters, so that `ß` is `ss` and both forms of
/// the sigma are one. Accents count.
///
/// ```
/// use phasic_hub_api::Search;
/// let search = Search::new("ÉTÉ");
/// assert!(search.finds(["two_island", "migration en été"]));
/// assert!(!search.finds(["et", "é"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// A search for this text.
    pub fn new(text: &str) -> Self {
        Self(folded(text))
    }

    /// Whether one of the fields has the text. Linear in their length.
    pub fn finds<'f>(&self, fields: impl IntoIterator<Item = &'f str>) -> bool {
        fields.into_iter().any(|field| folded(field).contains(&self.0))
    }
}

fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::Search;

    #[test]
    fn letters_of_every_script_are_found_in_either_case() {
        for (text, field) in [
            ("KINGMAN", "The Kingman coalescent"),
            ("mütter", "MÜTTER"),
            ("ПОПУЛЯЦИЯ", "популяция"),
            ("οδος", "ΟΔΟΣ ΜΑΚΡΑ"),
            ("ΟΔΟΣ", "οδος"),
            ("STRASSE", "straße"),
            ("", "anything"),
        ] {
            assert!(Search::new(text).finds([field]), "{text} in {field}");
        }
        assert!(!Search::new("ete").finds(["été"]), "accents count");
    }

    #[test]
    fn nothing_is_found_across_fields() {
        assert!(!Search::new("queue theory").finds(["queue", "theory"]));
        assert!(!Search::new("a").finds([]));
    }
}
