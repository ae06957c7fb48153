//! Slow, silent, numerous and interrupted connections of a real hub.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use phasic_hub_tests::http::{PATIENCE, connect, read_answer};
use phasic_hub_tests::hub::{Hub, sync_with, wait_until};
use phasic_hub_tests::registry;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

/// Waits until the other side has closed, and says how long that took and what came before.
fn closed(stream: &mut TcpStream) -> (Duration, Vec<u8>) {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("still open: {error}"),
        _ => (begun.elapsed(), bytes),
    }
}

#[test]
fn a_connection_that_sends_no_whole_head_is_closed_in_time() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_header_timeout_ms", "300")]);
    let beginnings: [&[u8]; 5] =
        [b"", b"G", b"P", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: y\r\n"];
    let mut streams: Vec<_> = beginnings
        .iter()
        .map(|beginning| {
            let mut stream = connect(hub.address());
            stream.write_all(beginning).unwrap();
            stream
        })
        .collect();
    for (stream, beginning) in streams.iter_mut().zip(beginnings) {
        let (took, _) = closed(stream);
        assert!(took < Duration::from_secs(5), "{took:?} after {:?}", String::from_utf8_lossy(beginning));
    }
    assert_eq!(hub.get("/healthz").status, 200);
}

#[test]
fn an_idle_connection_is_closed_after_its_answer() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_header_timeout_ms", "300")]);
    let mut stream = connect(hub.address());
    stream.write_all(REQUEST).unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 200);
    let (took, rest) = closed(&mut stream);
    assert!(took < Duration::from_secs(5) && rest.is_empty(), "{took:?}");
}

#[test]
fn a_head_that_drips_in_slowly_is_not_waited_for_for_ever() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_header_timeout_ms", "300")]);
    let mut stream = connect(hub.address());
    let begun = Instant::now();
    // Each byte comes well within the limit; the head as a whole does not.
    while stream.write_all(b"G").is_ok() {
        assert!(begun.elapsed() < PATIENCE, "the connection is still open");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_max_header_bytes", "8192")]);
    let mut stream = connect(hub.address());
    let head = format!("GET /healthz HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    stream.write_all(head.as_bytes()).unwrap();
    is_refused(&mut stream, 431, "header_too_large");
    let many = "X: y\r\n".repeat(200);
    let mut stream = connect(hub.address());
    // Also behind another request on the same connection.
    stream.write_all(REQUEST).unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 200);
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: h\r\n{many}\r\n").as_bytes()).unwrap();
    is_refused(&mut stream, 431, "header_too_large");
    assert_eq!(hub.get("/healthz").status, 200);
    wait_until("they are counted", || {
        let metrics = hub.get("/metrics").text().to_owned();
        metrics.lines().any(|line| line.contains("status=\"431\"") && line.ends_with(" 2"))
    });
}

#[test]
fn what_is_no_request_is_answered_as_all_errors_are() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start_with(data.path(), &[], &[("http_max_header_bytes", "200000")]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000));
    for (sent, status, code) in [
        ("nonsense\r\n\r\n", 400, "invalid_request"),
        ("GET /healthz HTTP/7.3\r\n\r\n", 400, "invalid_request"),
        ("GET /healthz HTTP/1.1\r\nno field\r\n\r\n", 400, "invalid_request"),
        (&long, 414, "uri_too_long"),
    ] {
        let mut stream = connect(hub.address());
        stream.write_all(sent.as_bytes()).unwrap();
        is_refused(&mut stream, status, code);
    }
}

/// The answer is a problem like all others, and then the hub closes.
fn is_refused(stream: &mut TcpStream, status: u16, code: &str) {
    let (_, answer) = closed(stream);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()), "{answer}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{answer}");
    let id = problem["request_id"].as_str().unwrap();
    let fields =
        ["content-type: application/problem+json", &format!("x-request-id: {id}"), "connection: close"];
    for field in fields.into_iter().chain([&*format!("content-length: {}", body.len())]) {
        assert_eq!(head.lines().filter(|line| *line == field).count(), 1, "{field}: {answer}");
    }
}

#[test]
fn connections_beyond_the_cap_wait_until_there_is_a_place() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("http_max_connections", "2"), ("http_header_timeout_ms", "20000")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let mut held: Vec<_> = (0..2).map(|_| connect(hub.address())).collect();
    for stream in &mut held {
        stream.write_all(REQUEST).unwrap();
        assert_eq!(read_answer(stream, false).status, 200);
    }
    let mut third = connect(hub.address());
    third.write_all(REQUEST).unwrap();
    third.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let waiting = third.read(&mut [0]).unwrap_err();
    assert!(matches!(waiting.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waiting}");
    held.pop();
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_answer(&mut third, false).status, 200);
}

#[test]
fn a_client_has_only_so_many_connections_and_further_ones_are_closed() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("http_max_connections_per_address", "2"), ("http_header_timeout_ms", "20000")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let answers = |stream: &mut TcpStream| {
        // What is refused may be closed before the request is written.
        let _ = stream.write_all(REQUEST);
        matches!(stream.peek(&mut [0]), Ok(1))
    };
    let mut held = Vec::new();
    wait_until("both places are taken", || {
        let mut stream = connect(hub.address());
        let answered = answers(&mut stream);
        held.extend(answered.then_some(stream));
        held.len() == 2
    });
    assert!(!answers(&mut connect(hub.address())));
    held.pop();
    wait_until("the place is free again", || answers(&mut connect(hub.address())));
}

#[test]
fn readers_that_stop_reading_do_not_keep_others_out() {
    let data = tempfile::tempdir().unwrap();
    let hub =
        Hub::start_with(data.path(), &[], &[("http_max_connections", "2"), ("http_write_timeout_ms", "300")]);
    let stuck: Vec<_> = (0..2).map(|_| pipeline(&hub)).collect();
    // Both places are taken, so this waits until one of the two has been given up.
    assert_eq!(hub.get("/healthz").status, 200);
    drop(stuck);
}

/// A connection that asks for more than the buffers of two sockets hold, and reads nothing.
fn pipeline(hub: &Hub) -> TcpStream {
    let mut stream = connect(hub.address());
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2000);
    // The hub stops reading requests when it cannot write answers.
    let _ = stream.write_all(requests.as_bytes());
    stream
}

#[cfg(target_os = "linux")]
#[test]
fn silent_connections_are_asked_whether_anybody_is_there() {
    let data = tempfile::tempdir().unwrap();
    let hub = Hub::start(data.path());
    let mut stream = connect(hub.address());
    stream.write_all(REQUEST).unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 200);
    let hex = |port: u16| format!("0100007F:{port:04X}");
    let (ours, theirs) = (hex(stream.local_addr().unwrap().port()), hex(hub.address().port()));
    wait_until("the hub's side has a keepalive timer", || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut lines = table.lines().map(fields);
        // Columns: local and remote address, and the timer, of which kind 2 is keepalive.
        lines.any(|line| line[1] == theirs && line[2] == ours && line[5].starts_with("02:"))
    });
}

/// A hub with an artifact of 36 MB, far more than the buffers of two sockets hold, and the path of that artifact.
fn hub_with_large_artifact(data: &Path, settings: &[(&str, &str)]) -> (Hub, String, Vec<u8>) {
    let model = registry::kingman(60_000);
    let checkout = tempfile::tempdir().unwrap();
    let path = format!("artifacts/{}.bin", model.hash);
    let document = registry::document(&[("large", registry::entry(&model, &model.ptdprmc3))]);
    registry::write_directory(checkout.path(), &document, &[(path.clone(), &model.ptdprmc3)]);
    let pass = sync_with(data, checkout.path().to_str().unwrap(), &["--replace"], &[]);
    assert!(pass.status.success(), "{pass:?}");
    (Hub::start_with(data, &[], settings), format!("/{path}"), model.ptdprmc3)
}

/// A request that is under way for as long as its reader likes.
fn long_request(hub: &Hub, target: &str) -> TcpStream {
    let mut stream = connect(hub.address());
    write!(stream, "GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    // The first byte of the answer says that it is being written.
    assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
    stream
}

#[test]
fn a_hub_told_to_stop_closes_idle_connections_and_finishes_running_requests() {
    let data = tempfile::tempdir().unwrap();
    let (hub, target, bytes) = hub_with_large_artifact(data.path(), &[]);
    let mut idle = connect(hub.address());
    idle.write_all(REQUEST).unwrap();
    assert_eq!(read_answer(&mut idle, false).status, 200);
    let mut running = long_request(&hub, &target);
    let address = hub.address();
    hub.signal("TERM");
    assert!(closed(&mut idle).1.is_empty());
    let refused = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err();
    wait_until("new connections are refused", refused);
    let answer = read_answer(&mut running, false);
    assert!(answer.body == bytes, "what was begun comes whole");
    assert!(closed(&mut running).1.is_empty());
    let ended = hub.ended();
    assert!(ended.status.success());
    assert!(ended.log.contains("all requests have finished"), "{}", ended.log);
}

#[test]
fn draining_has_a_deadline_and_a_second_signal_ends_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    for (setting, signals, expected) in [
        (("http_drain_timeout_ms", "300"), 1, "the drain timeout is over"),
        (("http_drain_timeout_ms", "60000"), 2, "told to stop a second time"),
    ] {
        let (hub, target, _) = hub_with_large_artifact(data.path(), &[setting]);
        // Never read from.
        let _stuck = long_request(&hub, &target);
        for _ in 0..signals {
            hub.signal("INT");
            std::thread::sleep(Duration::from_millis(100));
        }
        let ended = hub.ended();
        assert!(ended.status.success());
        assert!(ended.log.contains(expected), "{}", ended.log);
    }
}
