//! Artifacts: what comes with them, ranges, and conditions.

use phasic_hub_api::ProblemCode;

use super::{assert_problem, fixture};

#[test]
fn an_artifact_comes_with_everything_needed_to_check_it() {
    let fixture = fixture();
    let by_digest = format!("{}?sha256={}", fixture.path(), fixture.digest());
    let scenarios =
        [(fixture.path(), "public, no-cache"), (by_digest, "public, max-age=31536000, immutable")];
    for (target, caching) in scenarios {
        for method in ["GET", "HEAD"] {
            let answer = fixture.hub.request(method, &target, &[]);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body, if method == "GET" { fixture.bytes() } else { b"" });
            let expected = [
                ("content-type", "application/octet-stream"),
                ("accept-ranges", "bytes"),
                ("cache-control", caching),
                ("etag", &fixture.etag()),
                ("x-checksum-sha256", &fixture.digest()),
                ("content-length", &fixture.bytes().len().to_string()),
                ("repr-digest", "sha-256=:BSChOGiIY/N5dFbEDrHfGj4MV0ICtz/g91wJkNG78ZY=:"),
            ];
            for (name, value) in expected {
                assert_eq!(answer.header(name), Some(value), "{method} {target}");
            }
            assert_eq!(answer.header("content-encoding"), None);
            assert_eq!(answer.header("vary"), Some("authorization"));
        }
    }
}

#[test]
fn one_range_is_answered_with_206() {
    let fixture = fixture();
    let size = fixture.bytes().len();
    let last = size - 1;
    let cases = [
        ("bytes=0-7".to_owned(), 0..8),
        ("bytes=0-".to_owned(), 0..size),
        (format!("bytes={last}-"), last..size),
        ("bytes=-5".to_owned(), size - 5..size),
        ("bytes=-999999999".to_owned(), 0..size),
        ("bytes=100-99999999999999999999999".to_owned(), 100..size),
        (format!("bytes=10-{}", size + 10), 10..size),
    ];
    for (header, range) in cases {
        let answer = fixture.hub.request("GET", &fixture.path(), &[("Range", &header)]);
        assert_eq!(answer.status, 206, "{header}");
        assert_eq!(answer.body, fixture.bytes()[range.clone()], "{header}");
        let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        assert_eq!(answer.header("content-range"), Some(place.as_str()));
        assert_eq!(answer.header("etag"), Some(fixture.etag().as_str()));
        assert!(answer.header("repr-digest").is_some(), "the digest is that of the whole");
    }
}

#[test]
fn what_is_no_single_range_gets_the_whole() {
    let fixture = fixture();
    for header in ["bytes=0-1,4-5", "bytes=5-2", "bytes=x-y", "bytes=-", "items=0-1", "bytes 0-1", ""] {
        let answer = fixture.hub.request("GET", &fixture.path(), &[("Range", header)]);
        assert_eq!((answer.status, &answer.body[..]), (200, fixture.bytes()), "{header}");
        assert_eq!(answer.header("content-range"), None);
    }
    let two = [("Range", "bytes=0-1"), ("Range", "bytes=2-3")];
    assert_eq!(fixture.hub.request("GET", &fixture.path(), &two).status, 200);
    let head = fixture.hub.request("HEAD", &fixture.path(), &[("Range", "bytes=0-1")]);
    assert_eq!(head.status, 200, "ranges are for GET");
}

#[test]
fn a_range_outside_is_416_with_the_size() {
    let fixture = fixture();
    let size = fixture.bytes().len();
    for header in
        [format!("bytes={size}-"), "bytes=-0".to_owned(), "bytes=99999999999999999999999-".to_owned()]
    {
        let answer = fixture.hub.request("GET", &fixture.path(), &[("Range", &header)]);
        assert_problem(&answer, ProblemCode::RangeNotSatisfiable);
        assert_eq!(answer.header("content-range"), Some(format!("bytes */{size}").as_str()));
    }
}

#[test]
fn a_range_belongs_to_the_tag_of_if_range() {
    let fixture = fixture();
    let etag = fixture.etag();
    let weak = format!("W/{etag}");
    let cases = [
        (etag.as_str(), 206),
        (weak.as_str(), 200),
        ("\"other\"", 200),
        ("Sat, 21 Nov 2026 08:00:00 GMT", 200),
    ];
    for (tag, status) in cases {
        let headers = [("Range", "bytes=0-7"), ("If-Range", tag)];
        assert_eq!(fixture.hub.request("GET", &fixture.path(), &headers).status, status, "{tag}");
    }
}

#[test]
fn an_artifact_answers_304_before_ranges_and_to_head() {
    let fixture = fixture();
    let etag = fixture.etag();
    let range = ("Range", "bytes=0-7");
    for (method, headers) in [
        ("GET", vec![("If-None-Match", etag.as_str())]),
        ("HEAD", vec![("If-None-Match", etag.as_str())]),
        ("GET", vec![("If-None-Match", etag.as_str()), range]),
        ("GET", vec![("If-None-Match", "*")]),
    ] {
        let answer = fixture.hub.request(method, &fixture.path(), &headers);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{headers:?}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert!(answer.header("cache-control").is_some());
        assert_eq!(
            answer.header("content-length"),
            None,
            "{method}: the length of nothing is not that of the file"
        );
    }
    let other = [("If-None-Match", "\"other\""), range];
    assert_eq!(fixture.hub.request("GET", &fixture.path(), &other).status, 206);
}
