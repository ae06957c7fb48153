//! What a fetcher makes of servers that answer conditionally, break off, drip, fall silent and send too much.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use phasic_hub::fetch::{FailureClass, FetchError, Fetcher, Limits, Validators};
use url::Url;

/// A server that gives each connection, one after another, to the next of its answers; requests are remembered.
struct Server {
    url: Url,
    requests: Arc<Mutex<Vec<String>>>,
}

type Answer = Box<dyn FnOnce(&mut TcpStream) -> std::io::Result<()> + Send>;

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&requests);
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                told.lock().unwrap().push(String::from_utf8(head).unwrap().to_ascii_lowercase());
                // A client that has heard enough goes away.
                let _ = answer(&mut stream);
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { url, requests }
    }

    async fn get(&self, limits: Limits) -> Result<Vec<u8>, FetchError> {
        Ok(self.fetcher(limits).await.get(&self.url, 1000).await?.bytes)
    }

    async fn fetcher(&self, limits: Limits) -> Fetcher {
        Fetcher::open(self.url.clone(), limits).await.unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Sends this text and closes, which the head says, too: another request must not be sent on the same connection.
fn says(text: impl Into<String>) -> Answer {
    let text = text.into().replacen(" X\r\n", " X\r\nConnection: close\r\n", 1);
    Box::new(move |stream| stream.write_all(text.as_bytes()))
}

fn whole(headers: &str, body: &str) -> Answer {
    says(format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()))
}

fn limits() -> Limits {
    let patience = Duration::from_secs(20);
    Limits {
        connect_timeout: patience,
        idle_timeout: patience,
        file_timeout: patience,
        min_bytes_per_second: 0,
        rate_window: patience,
        max_requests: u64::MAX,
    }
}

#[tokio::test]
async fn a_version_that_is_known_is_not_sent_again() {
    let dated = "Last-Modified: Sat, 28 Nov 2026 10:00:00 GMT\r\nETag: \"v1\"\r\n";
    let unchanged = || says("HTTP/1.1 304 X\r\nETag: \"v1\"\r\n\r\n");
    let server =
        Server::start(vec![whole(dated, "one"), unchanged(), whole("ETag: \"v2\"\r\n", "two"), unchanged()]);
    let fetcher = server.fetcher(limits()).await;
    let first = fetcher.get(&server.url, 100).await.unwrap();
    assert_eq!(first.bytes, b"one");
    let expected = Validators {
        etag: Some("\"v1\"".to_owned()),
        last_modified: Some("Sat, 28 Nov 2026 10:00:00 GMT".to_owned()),
    };
    assert_eq!(first.validators, expected);
    assert!(fetcher.get_if_changed(&server.url, 100, &first.validators).await.unwrap().is_none());
    let second = fetcher.get_if_changed(&server.url, 100, &first.validators).await.unwrap().unwrap();
    assert_eq!((&second.bytes[..], second.validators.etag.as_deref()), (&b"two"[..], Some("\"v2\"")));
    let error = fetcher.get(&server.url, 100).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Unexpected, "nothing was known: {error}");
    let requests = server.requests();
    assert!(
        !requests[0].contains("if-") && requests[0].contains("accept-encoding: identity\r\n"),
        "{requests:?}"
    );
    let asks = "if-none-match: \"v1\"\r\nif-modified-since: sat, 28 nov 2026 10:00:00 gmt\r\n";
    assert!(requests[1].contains(asks), "{requests:?}");
    assert_eq!(fetcher.requests(), 4);
}

#[tokio::test]
async fn a_transfer_that_broke_off_is_gone_on_with_where_the_version_is_named() {
    let begin = || says("HTTP/1.1 200 X\r\nContent-Length: 10\r\nETag: \"v\"\r\n\r\n01234");
    let rest = |headers: &str, body: &str| {
        let length = body.len();
        says(format!("HTTP/1.1 206 X\r\nContent-Length: {length}\r\n{headers}\r\n{body}"))
    };
    let right = "Content-Range: bytes 5-9/10\r\nETag: \"v\"\r\n";
    let server = Server::start(vec![begin(), rest(right, "56789")]);
    assert_eq!(server.get(limits()).await.unwrap(), b"0123456789");
    assert!(
        server.requests()[1].contains("range: bytes=5-\r\nif-range: \"v\"\r\n"),
        "{:?}",
        server.requests()
    );

    let server = Server::start(vec![begin(), whole("ETag: \"w\"\r\n", "abc")]);
    assert_eq!(server.get(limits()).await.unwrap(), b"abc", "another version begins anew");

    let wrong = [
        rest("Content-Range: bytes 4-8/10\r\nETag: \"v\"\r\n", "45678"),
        rest("Content-Range: bytes 5-9/10\r\nETag: \"w\"\r\n", "56789"),
        rest("ETag: \"v\"\r\n", "56789"),
        says("HTTP/1.1 416 X\r\nContent-Length: 0\r\n\r\n"),
    ];
    for wrong in wrong {
        let server = Server::start(vec![begin(), wrong]);
        let error = server.get(limits()).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Transfer, "{error}");
    }
    let server =
        Server::start(vec![begin(), says("HTTP/1.1 503 X\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n")]);
    let error = server.get(limits()).await.unwrap_err();
    assert_eq!((error.class(), error.retry_after()), (FailureClass::TryLater, Some(Duration::from_secs(9))));
}

#[tokio::test]
async fn a_transfer_without_a_named_version_fails_and_no_transfer_goes_on_for_ever() {
    for headers in ["", "ETag: W/\"v\"\r\n", "ETag: \"v\"\r\nAccept-Ranges: none\r\n"] {
        let server =
            Server::start(vec![says(format!("HTTP/1.1 200 X\r\nContent-Length: 9\r\n{headers}\r\n0123"))]);
        let error = server.get(limits()).await.unwrap_err();
        assert_eq!((error.class(), server.requests().len()), (FailureClass::Transfer, 1), "{error}");
    }
    let piece = |from: usize| {
        says(format!(
            "HTTP/1.1 206 X\r\nContent-Length: {}\r\nETag: \"v\"\r\nContent-Range: bytes {from}-9/10\r\n\r\nx",
            10 - from
        ))
    };
    let begin = says("HTTP/1.1 200 X\r\nContent-Length: 10\r\nETag: \"v\"\r\n\r\nx");
    let server = Server::start(vec![begin, piece(1), piece(2), piece(3), piece(4)]);
    assert_eq!(server.get(limits()).await.unwrap_err().class(), FailureClass::Transfer);
    assert_eq!(server.requests().len(), 4, "the first request and three more");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_and_one_that_is_only_slow_is_not() {
    let drip = |pause: Duration, piece: &'static str, pieces: usize| -> Answer {
        Box::new(move |stream| {
            write!(stream, "HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", piece.len() * pieces)?;
            for _ in 0..pieces {
                stream.write_all(piece.as_bytes())?;
                thread::sleep(pause);
            }
            Ok(())
        })
    };
    let rule = || Limits { min_bytes_per_second: 50, rate_window: Duration::from_millis(600), ..limits() };
    let server = Server::start(vec![drip(Duration::from_millis(100), "x", 900)]);
    let begun = Instant::now();
    let error = server.get(rule()).await.unwrap_err();
    assert!(matches!(error, FetchError::TooSlow { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let server = Server::start(vec![drip(Duration::from_millis(100), "0123456789012345", 12)]);
    assert_eq!(server.get(rule()).await.unwrap().len(), 192);
}

#[tokio::test]
async fn silence_in_the_head_or_in_the_body_is_given_up() {
    let silent = |text: &'static str| -> Answer {
        Box::new(move |stream| {
            stream.write_all(text.as_bytes())?;
            thread::sleep(Duration::from_secs(3));
            Ok(())
        })
    };
    let drip: Answer = Box::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 X\r\nX: ")?;
        for _ in 0..100 {
            stream.write_all(b"x")?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let answers =
        [silent(""), silent("HTTP/1.1 2"), silent("HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n012"), drip];
    for answer in answers {
        let server = Server::start(vec![answer]);
        let short = Limits { idle_timeout: Duration::from_millis(300), ..limits() };
        let error = server.get(short).await.unwrap_err();
        assert!(matches!(error, FetchError::Silent(_)), "{error}");
    }
    let server = Server::start(vec![silent("HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n012")]);
    let short = Limits { file_timeout: Duration::from_millis(300), ..limits() };
    assert!(matches!(server.get(short).await, Err(FetchError::Deadline(_))));
}

#[tokio::test]
async fn what_is_too_long_or_transformed_is_not_taken() {
    let many = "x".repeat(1001);
    let chunked = format!("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{many}\r\n0\r\n\r\n");
    let endless: Answer = Box::new(|stream| {
        stream.write_all(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 512])?;
        }
    });
    for answer in [whole("", &many), says(chunked), endless] {
        let error = Server::start(vec![answer]).get(limits()).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLong { limit_bytes: 1000 }), "{error}");
    }
    for coding in ["gzip", "br", "zstd", "deflate", "GZIP", "x-unknown", "identity, gzip"] {
        let server = Server::start(vec![whole(&format!("Content-Encoding: {coding}\r\n"), "x")]);
        let error = server.get(limits()).await.unwrap_err();
        assert!(matches!(error, FetchError::Encoding(_)), "{coding}: {error}");
    }
    let twice = "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n";
    assert!(Server::start(vec![whole(twice, "x")]).get(limits()).await.is_err());
    let server = Server::start(vec![whole("Content-Encoding: Identity\r\n", &"x".repeat(1000))]);
    assert_eq!(server.get(limits()).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn requests_stop_at_the_budget_redirects_included() {
    let server = Server::start(vec![
        says("HTTP/1.1 302 X\r\nLocation: /y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        says("HTTP/1.1 302 X\r\nLocation: /z\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        whole("", "never"),
    ]);
    let fetcher = server.fetcher(Limits { max_requests: 2, ..limits() }).await;
    assert!(matches!(fetcher.get(&server.url, 100).await, Err(FetchError::Budget(2))));
    assert!(matches!(fetcher.get(&server.url, 100).await, Err(FetchError::Budget(2))));
    assert_eq!((fetcher.requests(), server.requests().len()), (2, 2));
}
