//! Requests of two meanings, requests without end, and crowds of half requests, against a real hub.
//!
//! Slow and silent connections one by one are in `hub_connections`.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use phasic_hub_tests::http::{connect, read_answer};
use phasic_hub_tests::hub::{Hub, wait_until};

/// All that comes back until the hub closes, or is silent for a moment.
fn heard(hub: &Hub, bytes: &[u8]) -> (String, bool) {
    let mut stream = connect(hub.address());
    stream.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
    // The hub may close before it has read everything.
    let _ = stream.write_all(bytes);
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let closed = loop {
        match stream.read(&mut piece) {
            Ok(0) => break true,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break false,
            Err(_) => break true,
        }
    };
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

#[test]
fn a_request_of_two_meanings_is_not_followed_by_another_on_its_connection() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("access_anonymous", "compute")]);
    let smuggled = "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n";
    let post =
        |head: &str, body: &str| format!("POST /v1/graphs HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n{body}");
    let shapes = [
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        post("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6", "hello"),
        post("Content-Length: 6\r\nContent-Length: 5", "hello"),
        post("Content-Length: 5, 6", "hello"),
        post("Content-Length: +5", "hello"),
        post("Content-Length: -5", "hello"),
        post("Content-Length: 0x5", "hello"),
        post("Content-Length: 5 5", "hello"),
        post("Content-Length: ", "hello"),
        post("Content-Length: 99999999999999999999999", "hello"),
        post("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        post("Transfer-Encoding: identity", "hello"),
        post("Transfer-Encoding: gzip, chunked, x", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked", "0\r\n\r\n"),
        post("Content-Length : 5", "hello"),
        post("X: y\r\n Content-Length: 5", "hello"),
        post("Transfer-Encoding: chunked", "zz\r\nhello\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked", "-5\r\nhello\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked", "5\nhello\n0\n\n"),
        post("Transfer-Encoding: chunked", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        post("X: a\0b", ""),
        post("X\0: y", ""),
        post("X y: z", ""),
        post(": y", ""),
        post("(): y", ""),
        "POST /v1/graphs HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET /healthz HTTP/0.9\r\n\r\n".to_owned(),
        "GET /healthz HTTP/2.0\r\nHost: h\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1x\r\nHost: h\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /health z HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "G(T /healthz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /healthz\0 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned(),
    ];
    assert!(shapes.len() >= 30);
    for shape in shapes {
        let (answer, closed) = heard(&hub, format!("{shape}{smuggled}").as_bytes());
        assert!(!answer.contains("\"openapi\""), "{shape:?} was followed by another: {answer}");
        assert!(closed, "{shape:?} left the connection open: {answer}");
        let refused =
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(refused, "{shape:?}: {answer}");
    }
    assert_eq!(hub.get("/healthz").status, 200);
}

#[test]
fn requests_one_behind_another_are_answered_in_order() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path());
    let mut stream = connect(hub.address());
    let targets = ["/healthz", "/nowhere", "/readyz", "/artifacts/none"];
    for number in 0..200 {
        let target = targets[number % targets.len()];
        write!(stream, "GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    }
    for number in 0..200 {
        let expected = [200, 404, 200, 404][number % targets.len()];
        assert_eq!(read_answer(&mut stream, false).status, expected, "answer {number}");
    }
}

#[test]
fn a_head_of_a_hundred_thousand_fields_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path());
    for fields in ["a:b\r\n".repeat(100_000), format!("a: {}\r\n", "b".repeat(1 << 20)), "\r\n".repeat(3)] {
        let (answer, closed) = heard(&hub, format!("GET /healthz HTTP/1.1\r\n{fields}\r\n").as_bytes());
        assert!(closed || answer.starts_with("HTTP/1.1 "), "{answer}");
        assert!(fields.len() < 10 || answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let target = "/".to_owned() + &"x".repeat(1 << 20);
    let (answer, closed) = heard(&hub, format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    assert!(closed && (answer.is_empty() || answer.starts_with("HTTP/1.1 4")), "{answer}");
    assert_eq!(hub.get("/healthz").status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn a_crowd_of_half_requests_keeps_nobody_out_and_leaves_nothing_open() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_header_timeout_ms", "1500")]);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", hub.process_id())).unwrap().count();
    assert_eq!(hub.get("/registry.json").status, 200);
    let before = open();
    let crowd: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = connect(hub.address());
            let half: &[u8] = [&b""[..], b"G", b"GET / HTTP/1.1\r\nX: "][number % 3];
            stream.write_all(half).unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(hub.get("/registry.json").status, 200);
    }
    wait_until("all of the crowd is gone", || open() <= before + 2);
    drop(crowd);
}
