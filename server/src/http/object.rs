//! JSON objects, which is what bodies are. A structure can be read from a list as well, member by member in the order they happen
//! to have, which nobody is promised.

use serde::de::DeserializeOwned;

/// Reads a structure from an object and from nothing else; an error says what is wrong, and where.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let begin = text.trim_ascii_start();
    if begin.first().is_some_and(|&first| first != b'{') {
        return Err("it is no JSON object".to_owned());
    }
    if begin.is_empty() {
        return Err("it is empty".to_owned());
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::access::TokenRequest;

    use super::read;

    #[test]
    fn a_body_is_an_object_and_no_list_of_its_members() {
        let object = br#" {"name": "a", "scopes": ["read"]}"#;
        assert_eq!(read::<TokenRequest>(object).unwrap().name, "a");
        let list = br#"["a", ["read"], [], null]"#;
        assert!(serde_json::from_slice::<TokenRequest>(list).is_ok(), "it would be read");
        for (text, said) in [
            (&list[..], "no JSON object"),
            (b"null", "no JSON object"),
            (b"\xef\xbb\xbf{}", "no JSON object"),
            (b" ", "empty"),
            (b"{", "column 1"),
            (b"{}", "missing field `name`"),
        ] {
            let error = read::<TokenRequest>(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
