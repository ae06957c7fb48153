//! Bodies that are no JSON, too much JSON, or endless, against every route that takes a body.
//!
//! Each is refused as the client's fault, the hub lives on, and its memory stays bounded by its settings.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]
#![allow(clippy::print_stdout, reason = "measurements are shown to whoever asks for them with --nocapture")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use phasic_hub_tests::http::{connect, send};
use phasic_hub_tests::hub::{Hub, run};
use serde_json::Value;

/// Every route of the committed API document that takes JSON.
fn routes() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["requestBody"]["content"].get("application/json").is_some() {
                let segment = |part: &str| match part {
                    "{number}" => "1".to_owned(),
                    part if part.starts_with('{') => "none".to_owned(),
                    part => part.to_owned(),
                };
                let path = path.split('/').map(segment).collect::<Vec<_>>().join("/");
                routes.push((method.to_uppercase(), path));
            }
        }
    }
    assert!(routes.len() >= 4, "{routes:?}");
    routes
}

/// Small texts that nobody may accept.
const TEXTS: &[&str] = &[
    "",
    " ",
    "\n",
    "nul",
    "null",
    "true",
    "0",
    "-1",
    "\"x\"",
    "[]",
    "[[]]",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "{}x",
    "{} {}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{'a':1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"model\"",
    "{\"model\":",
    "{\"model\":{",
    "{\"model\":{\"builtin\":\"kingman\"}",
    "{\"model\":\"",
    "\"",
    "\"\\",
    "\"\\u",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\x41\"",
    "\"\t\"",
    "\u{feff}{}",
    "/**/{}",
    "//\n{}",
    "NaN",
    "Infinity",
    "-Infinity",
    "+1",
    "01",
    "1.",
    ".5",
    "1e",
    "0x10",
    "1_000",
    "1e999999999",
    "-",
    "{\"model\":NaN}",
    "{\"model\":Infinity}",
    "{\"model\":undefined}",
    "<xml/>",
    "---\nmodel: x",
    "model=x",
    "{\"model\":{\"builtin\":\"kingman\"},\"theta\":[NaN]}",
    "{\"model\":{\"builtin\":\"kingman\"},\"theta\":[1e999]}",
    "{\"model\":{\"builtin\":\"kingman\"},\"theta\":[-1e999]}",
    "{\"model\":{\"builtin\":\"kingman\",\"builtin\":\"rabbits\"}}",
    "{\"model\":{\"builtin\":\"kingman\"},\"model\":{\"builtin\":\"rabbits\"}}",
    "{\"model\":{\"builtin\":\"kingman\",\"constants\":{\"n\":99999999999999999999}}}",
    "{\"model\":{\"builtin\":\"kingman\",\"constants\":{\"n\":-9223372036854775808}}}",
    "{\"model\":{\"builtin\":\"kingman\",\"constants\":{\"n\":1e308}}}",
    "{\"model\":{\"builtin\":\"\\u0000\"}}",
    "{\"name\":\"x\",\"name\":\"y\",\"scopes\":[\"read\"]}",
    "{\"name\":\"\",\"scopes\":[\"read\"]}",
    "{\"name\":\"x\",\"scopes\":[]}",
    "{\"name\":\"x\",\"scopes\":[\"root\"]}",
    "{\"name\":\"x\",\"scopes\":[\"read\"],\"expires_in_seconds\":-1}",
    "{\"name\":\"x\",\"scopes\":[\"read\"],\"expires_in_seconds\":1e30}",
    "{\"name\":\"x\",\"scopes\":[\"read\"],\"expires_in_seconds\":99999999999999999999}",
    "{\"name\":null,\"scopes\":null}",
    "{\"__proto__\":{}}",
    "{\"constructor\":{\"prototype\":{}}}",
];

/// Bodies that nobody may accept, each with a name.
fn bodies() -> Vec<(String, Vec<u8>)> {
    let texts = TEXTS.iter().map(|text| ((*text).to_owned(), text.as_bytes().to_vec()));
    let bytes = BYTES.iter().map(|bytes| (format!("{bytes:?}"), bytes.to_vec()));
    texts.chain(bytes).chain(nested()).chain(large()).collect()
}

/// Nothing of these is UTF-8, or text at all.
const BYTES: &[&[u8]] = &[
    b"\xff",
    b"\xfe\xff\x00{",
    b"\xff\xfe{\x00}\x00",
    b"{\"a\":\"\xc0\xaf\"}",
    b"{\"\xed\xa0\x80\":1}",
    b"\"\xf8\x88\x80\x80\x80\"",
    b"\x00",
    b"{}\x00",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
];

/// One thing within another, to the end and left open.
fn nested() -> Vec<(String, Vec<u8>)> {
    let mut bodies = Vec::new();
    for depth in [100, 127, 128, 129, 1000, 100_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"model\":", "}"), ("{\"document\":[", "]}")] {
            let whole = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            bodies.push((format!("{depth} times {open}"), whole.into_bytes()));
            bodies.push((format!("{depth} times {open}, open"), open.repeat(depth).into_bytes()));
        }
    }
    bodies
}

/// Much of one thing.
fn large() -> Vec<(String, Vec<u8>)> {
    let keys: String = (0..1_000_000).fold(String::new(), |text, key| text + &format!("\"k{key}\":0,"));
    let equal = "\"a\":0,".repeat(1_000_000);
    let long = "x".repeat(15 << 20);
    let model = "\"model\":{\"builtin\":\"kingman\"}";
    let bodies = [
        ("a million keys", format!("{{{keys}\"z\":0}}")),
        ("a million keys within a model", format!("{{\"model\":{{{keys}\"z\":0}}}}")),
        ("a million equal keys", format!("{{{equal}\"a\":0}}")),
        ("a long number", format!("{{\"model\":{}}}", "9".repeat(1_000_000))),
        ("a long fraction", format!("[0.{}]", "3".repeat(1_000_000))),
        ("a long string", format!("{{\"model\":\"{long}\"}}")),
        ("a long key", format!("{{\"{long}\":1}}")),
        ("millions of rewards", format!("{{{model},\"rewards\":[{}[0]]}}", "[0],".repeat(3 << 20))),
        (
            "millions of quantities",
            format!("{{{model},\"quantities\":[{}\"variance\"]}}", "\"variance\",".repeat(1 << 20)),
        ),
        (
            "a constant of millions",
            format!(
                "{{\"model\":{{\"builtin\":\"kingman\",\"constants\":{{\"n\":[{}0]}}}}}}",
                "0,".repeat(6 << 20)
            ),
        ),
        (
            "a million constants",
            format!("{{\"model\":{{\"builtin\":\"kingman\",\"constants\":{{{keys}\"n\":0}}}}}}"),
        ),
        ("too long", " ".repeat(20 << 20)),
    ];
    bodies.map(|(name, text)| (name.to_owned(), text.into_bytes())).to_vec()
}

fn token(data: &std::path::Path) -> String {
    let made = run(&["token", "create", "--name", "t", "--scope", "admin", "--data", data.to_str().unwrap()]);
    format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim())
}

/// Memory that a request may take for each byte of its body, on its way to an answer or a refusal.
const MOST_TIMES: f64 = 40.0;

/// The most memory a process has had, in bytes.
fn most_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[test]
fn hostile_bodies_are_the_fault_of_the_client_and_memory_stays_bounded() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("rate_per_second", "0"), ("models_max_steps", "1000000"), ("compute_threads", "1")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let token = token(data.path());
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    let bodies = bodies();
    assert!(bodies.len() >= 120, "there are {} bodies", bodies.len());
    let before = most_memory(hub.process_id());
    for (method, path) in routes() {
        for (what, body) in &bodies {
            // Where everything has a default, nothing at all is a fine request.
            let has_defaults = path.starts_with("/v1/admin/") || path == "/v1/mirror/sync";
            if has_defaults && ["", " ", "\n", "[]", "[[]]", "null"].contains(&what.as_str()) {
                continue;
            }
            let answer = send(hub.address(), &method, &path, &headers, body);
            let expected = matches!(answer.status, 400 | 404 | 409 | 413 | 415 | 422);
            let shown = &what[..what.floor_char_boundary(80)];
            assert!(expected, "{method} {path} {shown:?}: {} {}", answer.status, answer.text());
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path} {shown:?}");
            assert!(answer.body.len() < 4096, "{path} {shown:?}: an answer of {} bytes", answer.body.len());
        }
    }
    assert_eq!(hub.get("/readyz").status, 200);
    if let (Some(before), Some(after)) = (before, most_memory(hub.process_id())) {
        let grown = after.saturating_sub(before);
        println!("{} bodies took {grown} bytes more than {before}", bodies.len());
        // One body of the largest size, as bytes and as the tree of values it becomes.
        assert!(grown < 512 << 20, "{grown} bytes");
    }
}

/// Bodies of one size that are lists of as many small things as go into it, each with a name and its route.
fn lists(bytes: usize) -> Vec<(&'static str, &'static str, String)> {
    let repeated = |before: &str, item: &str, after: &str| {
        let count = (bytes - before.len() - after.len()) / item.len();
        format!("{before}{}{after}", item.repeat(count))
    };
    let evaluate = |member: &str, item: &str, end: &str| {
        repeated(&format!("{{\"model\":{{\"builtin\":\"kingman\"}},{member}"), item, end)
    };
    let nested = format!("{}0{},", "[".repeat(60), "]".repeat(60));
    vec![
        ("numbers of one theta", "/v1/evaluate", evaluate("\"theta\":[", "0,", "0]}")),
        ("thetas", "/v1/evaluate", evaluate("\"theta\":[", "[0],", "[0,0]]}")),
        ("times", "/v1/evaluate", evaluate("\"quantities\":[{\"cdf\":[", "1,", "-1]}]}")),
        (
            "observations",
            "/v1/evaluate",
            evaluate("\"quantities\":[{\"log_likelihood\":{\"observed\":[", "1,", "-1]}}]}"),
        ),
        ("rewards", "/v1/evaluate", evaluate("\"rewards\":[[", "1,", "1]]}")),
        (
            "vertices named",
            "/v1/evaluate",
            evaluate("\"quantities\":[{\"sojourn_times_of\":[", "9,", "9]}]}"),
        ),
        (
            "vertices",
            "/v1/graphs",
            repeated("{\"state_length\":1,\"vertices\":[", "[0],", "[0]],\"edges\":[[0,0,[]]]}"),
        ),
        ("numbers of one vertex", "/v1/graphs", repeated("{\"vertices\":[[", "0,", "0]],\"edges\":[]}")),
        ("edges", "/v1/graphs", repeated("{\"vertices\":[[0],[1]],\"edges\":[", "[0,1,[]],", "[0,7,[]]]}")),
        (
            "coefficients",
            "/v1/graphs",
            repeated("{\"vertices\":[[0],[1]],\"edges\":[[0,1,[", "1,", "1]],[0,7,[]]]}"),
        ),
        ("unknown lists", "/v1/graphs", repeated("{\"unknown\":[", "[],", "0],\"vertices\":0}")),
        (
            "unknown lists within lists",
            "/v1/graphs",
            repeated("{\"unknown\":[", &nested, "0],\"vertices\":0}"),
        ),
        (
            "names of a state",
            "/v1/graphs",
            repeated("{\"format\":\"phasic-model/1\",\"state\":[", "\"a\",", "\"a\"]}"),
        ),
        (
            "transitions",
            "/v1/graphs",
            repeated("{\"format\":\"phasic-model/1\",\"transitions\":[", "{},", "{}]}"),
        ),
    ]
}

#[test]
fn what_lists_of_small_things_take_is_bounded_by_the_length_of_the_body() {
    const BODY_BYTES: usize = 8 << 20;
    let body_limit = (BODY_BYTES + 1024).to_string();
    for (what, path, body) in lists(BODY_BYTES) {
        // A hub for each: what an allocator keeps of one body would hide what the next one takes.
        let data = tempfile::tempdir().unwrap();
        let settings = [
            ("rate_per_second", "0"),
            ("compute_threads", "1"),
            ("access_anonymous", "compute"),
            ("models_max_body_bytes", body_limit.as_str()),
        ];
        let hub = Hub::start_with(data.path(), &[], &settings);
        let before = most_memory(hub.process_id());
        let answer = send(hub.address(), "POST", path, &[], body.as_bytes());
        // A long state is one; all others are refused at their end.
        assert!(matches!(answer.status, 201 | 400 | 422), "{what}: {} {}", answer.status, answer.text());
        if let (Some(before), Some(after)) = (before, most_memory(hub.process_id())) {
            let times = after.saturating_sub(before) as f64 / body.len() as f64;
            println!("{what}: {times:.1} times the body of {} bytes", body.len());
            assert!(times < MOST_TIMES, "{what}: {times} times the body");
        }
    }
}

/// Sends a head and then pieces until the hub has heard enough; gives what it said.
fn endless(address: SocketAddr, head: &str, piece: &[u8], pause: Duration) -> (String, u64) {
    let mut stream = connect(address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(piece).is_ok() {
        sent += piece.len() as u64;
        std::thread::sleep(pause);
        if pause > Duration::ZERO && stream.set_nonblocking(true).is_ok() {
            let answered = matches!(stream.peek(&mut [0]), Ok(1));
            stream.set_nonblocking(false).unwrap();
            if answered {
                break;
            }
        }
    }
    let mut answer = Vec::new();
    // A reset after the answer may take the answer with it.
    let _ = stream.read_to_end(&mut answer);
    (String::from_utf8_lossy(&answer).into_owned(), sent)
}

#[test]
fn a_body_without_end_is_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("rate_per_second", "0"), ("http_request_timeout_ms", "2000")];
    let hub = Hub::start_with(data.path(), &[], &settings);
    let token = token(data.path());
    for (method, path) in routes() {
        let begin = |framing: &str| {
            format!(
                "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: {token}\r\n{framing}\r\n\r\n"
            )
        };
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
        let (answer, sent) =
            endless(hub.address(), &begin("Transfer-Encoding: chunked"), chunk.as_bytes(), Duration::ZERO);
        assert!(sent < 64 << 20, "{path} took {sent} bytes");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        let (answer, sent) = endless(
            hub.address(),
            &begin("Content-Length: 10737418240"),
            &vec![b' '; 1 << 16],
            Duration::ZERO,
        );
        assert!(sent < 64 << 20, "{path} took {sent} bytes");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        // One byte now and then: within the time for a request.
        let drip = begin("Transfer-Encoding: chunked");
        let (answer, _) = endless(hub.address(), &drip, b"1\r\n \r\n", Duration::from_millis(50));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{path}: {answer}");
    }
    assert_eq!(hub.get("/readyz").status, 200);
}
