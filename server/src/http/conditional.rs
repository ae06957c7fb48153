//! Validators (RFC 9110, sections 8.8 and 13).

use axum::http::HeaderMap;
use axum::http::header::{IF_NONE_MATCH, IF_RANGE};

/// Whether `If-None-Match` names this entity tag, which is given with its quotes. Weak tags of the client match, as
/// the header demands.
pub(super) fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| names(value, etag))
}

fn names(list: &str, etag: &str) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list;
    // Tags may contain commas, so the list is walked tag by tag.
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        rest = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(length) = rest.strip_prefix('"').and_then(|text| text.find('"')) else { return false };
        let (tag, after) = rest.split_at(length + 2);
        if tag == etag {
            return true;
        }
        rest = after;
    }
}

/// Whether a `Range` is to be heeded: there is no `If-Range`, or it has exactly this strong tag. Dates never match,
/// because no date is ever sent.
pub(super) fn range_applies(headers: &HeaderMap, etag: &str) -> bool {
    headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{names, range_applies};
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn lists_are_searched_tag_by_tag() {
        let found = [r#""a""#, r#"W/"a""#, r#" "b" , "a""#, r#""b","a""#, r#""x,y",W/"a""#, "*", " * "];
        for list in found {
            assert!(names(list, "\"a\""), "{list}");
        }
        let other =
            ["", "a", r#""A""#, r#""aa""#, r#""b""#, r#"b, "a""#, r#""a"#, r#""b" x "a""#, r#""x,"a"""#];
        for list in other {
            assert!(!names(list, "\"a\""), "{list}");
        }
    }

    #[test]
    fn only_the_same_strong_tag_lets_a_range_pass() {
        assert!(range_applies(&HeaderMap::new(), "\"a\""));
        for (value, applies) in
            [("\"a\"", true), ("W/\"a\"", false), ("\"b\"", false), ("Sat, 21 Nov 2026 08:00:00 GMT", false)]
        {
            let headers =
                HeaderMap::from_iter([("if-range".parse().unwrap(), HeaderValue::from_static(value))]);
            assert_eq!(range_applies(&headers, "\"a\""), applies, "{value}");
        }
    }
}
