use super::{Json, JsonProblem, MAX_DEPTH};
use crate::document::{DocumentError, Problem};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn problem(text: &str) -> (usize, usize, JsonProblem) {
    let error = Json::parse(text).expect_err(text);
    match error.problem() {
        Problem::Json(problem) => (error.place().line, error.place().column, problem.clone()),
        other => panic!("{text}: {other:?}"),
    }
}

/// The document as `serde_json` would have read it.
fn mirror(value: super::Value<'_>) -> Result<serde_json::Value, DocumentError> {
    if let Some(items) = value.as_list() {
        return items.map(mirror).collect();
    }
    if value.is_object() {
        return value
            .members()?
            .map(|(key, value)| Ok((key.string()?.into_owned(), mirror(value)?)))
            .collect();
    }
    if let Some(text) = value.as_string() {
        return Ok(text.into());
    }
    if value.as_number().is_some() {
        return Ok(value.float()?.into());
    }
    Ok(if value.is_null() { serde_json::Value::Null } else { value.boolean()?.into() })
}

/// All numbers as floats, so that `1` and `1.0` agree.
fn floats(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(floats).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, floats(value))).collect(),
        other => other,
    }
}

#[test]
fn values_are_read_as_serde_json_reads_them() {
    for text in [
        "null",
        " [ ] ",
        "{}",
        r#"{"a": [1, -2.5e3, 0.1, true, false, null, {"b": []}], "é": "x"}"#,
        r#""A\n\t\"\\\/\u00e9\ud83d\ude00\b\f\r""#,
        "[[[[]]], {}]",
        "-0",
        "1E+2",
        "123456789012345678901234567890",
    ] {
        let expected: serde_json::Value = serde_json::from_str(text).expect(text);
        let json = Json::parse(text).expect(text);
        assert_eq!(mirror(json.root()).expect(text), floats(expected), "{text}");
    }
}

#[test]
fn slips_are_reported_with_line_and_column() {
    for (text, line, column) in [
        ("", 1, 1),
        ("{", 1, 2),
        ("[1,\n 2,]", 2, 4),
        ("[1 2]", 1, 4),
        ("{\"a\" 1}", 1, 6),
        ("{\"a\": 1,}", 1, 9),
        ("{a: 1}", 1, 2),
        ("{'a': 1}", 1, 2),
        ("[1]]", 1, 4),
        ("[tru]", 1, 2),
        ("\"é\\x\"", 1, 3),
        ("\"abc", 1, 1),
        ("\"ab\nc\"", 1, 4),
        ("[01]", 1, 2),
        ("[1.]", 1, 2),
        ("[.5]", 1, 2),
        ("[+1]", 1, 2),
        ("[1e]", 1, 2),
        ("[NaN]", 1, 2),
        ("[-Infinity]", 1, 2),
        ("[\"\\ud800\"]", 1, 3),
        ("[\"\\udc00\"]", 1, 3),
        ("[\"\\u12\"]", 1, 3),
    ] {
        let (found_line, found_column, problem) = problem(text);
        assert_eq!((found_line, found_column), (line, column), "{text}: {problem}");
    }
}

#[test]
fn duplicate_keys_are_refused_however_they_are_spelled_and_however_many_there_are() {
    assert_eq!(problem(r#"{"a": 1, "\u0061": 2}"#).2, JsonProblem::DuplicateKey("a".to_owned()));
    assert!(Json::parse(r#"{"a": {"a": 1}, "b": {"a": 1}}"#).is_ok());
    let members = |count: usize| (0..count).map(|k| format!("\"k{k}\": {k}")).collect::<Vec<_>>().join(", ");
    assert!(Json::parse(&format!("{{{}}}", members(100))).is_ok());
    let text = format!("{{{}, \"k70\": 0}}", members(100));
    assert_eq!(problem(&text).2, JsonProblem::DuplicateKey("k70".to_owned()));
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(problem(&nested(MAX_DEPTH + 1)).2, JsonProblem::TooDeep);
    assert_eq!(problem(&"[".repeat(1_000_000)).2, JsonProblem::TooDeep);
}

#[test]
fn paths_lead_to_values_and_keys() {
    let json = Json::parse(r#"{"a": [10, {"k[1]": true}], "b c": {"": [[]]}}"#).expect("JSON");
    let root = json.root();
    let list = root.get("a").expect("a");
    assert_eq!(list.place().path, "a");
    let object = list.list().expect("a list").nth(1).expect("two items");
    assert_eq!(object.place().path, "a[1]");
    let (key, value) = object.members().expect("an object").next().expect("a member");
    assert_eq!((key.place().path, value.place().path), (r#"a[1]["k[1]"]"#.into(), r#"a[1]["k[1]"]"#.into()));
    let inner = root.get("b c").and_then(|value| value.get("")).expect("it is there");
    assert_eq!(inner.list().expect("a list").next().expect("an item").place().path, r#"["b c"][""][0]"#);
    assert_eq!(root.place().path, "");
}

#[test]
fn places_within_strings_count_escapes() {
    let json = Json::parse("[\n \"a\\u0062\\n+ é!\"]").expect("JSON");
    let text = json.root().list().expect("a list").next().expect("an item");
    assert_eq!(text.string().expect("a string"), "ab\n+ é!");
    for (offset, column) in [(0, 3), (1, 4), (2, 10), (3, 12), (5, 14), (7, 15), (8, 16), (99, 16)] {
        assert_eq!(text.place_within(offset).column, column, "{offset}");
    }
}

#[test]
fn excerpts_of_long_lines_are_cut_around_the_caret() {
    let text = format!("[{}x{}]", "1, ".repeat(200), ", 1".repeat(200));
    let error = Json::parse(&text).expect_err("x is no value");
    let place = error.place();
    assert_eq!(place.column, 602);
    assert!(place.excerpt.chars().count() <= 122, "{}", place.excerpt);
    assert_eq!(place.excerpt.chars().nth(place.caret), Some('x'));
    let marked = place.marked_excerpt();
    let mut lines = marked.lines().map(|line| line.chars().collect::<Vec<_>>());
    let (source, caret) = (lines.next().expect("a line"), lines.next().expect("a line"));
    assert_eq!(source[caret.iter().position(|&c| c == '^').expect("a caret")], 'x');
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn what_serde_json_writes_is_read_back(value in value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.expect("it can be written");
        let json = Json::parse(&text).expect(&text);
        prop_assert_eq!(mirror(json.root()).expect(&text), floats(value));
    }

    #[test]
    fn texts_are_accepted_exactly_when_serde_json_accepts_them(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"a\"", "\"b\"", "\"", "\\", "1", "-", "0.5", "e", "1e9", "true", "null", " ",
            "\n", "\\u0041", "é", "'",
        ]), 0..12)
    ) {
        let text = pieces.concat();
        // Large numbers and duplicate keys are the two known differences.
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match Json::parse(&text) {
            Ok(_) => prop_assert!(theirs.map_or_else(|error| error.to_string().contains("out of range"), |_| true), "{}", text),
            Err(error) => {
                let is_duplicate = matches!(error.problem(), Problem::Json(JsonProblem::DuplicateKey(_)));
                prop_assert!(theirs.is_err() || is_duplicate, "{}: {}", text, error);
            }
        }
    }
}
