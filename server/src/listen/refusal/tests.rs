use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use futures_util::{StreamExt as _, stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::{Attended, Refusing, Turn};

/// What looks like an answer of the library, within an answer of ours.
const LOOKS_LIKE_IT: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";

/// All that is answered to these bytes: to each request what looks like a refusal, in pieces that are sent one by one.
async fn answered(sent: &[u8], buffer: usize) -> String {
    let (mut client, server) = tokio::io::duplex(buffer);
    let turn = Turn::default();
    let refusal = |status: StatusCode| {
        Response::builder().status(status).header("x-kind", "ours").body(format!("no: {status}")).unwrap()
    };
    let io = Refusing::new(server, turn.clone(), refusal);
    let service = service_fn(move |_| {
        let answering = turn.begin();
        let pieces = stream::iter(0..3).then(|_| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, Infallible>(Bytes::from_static(LOOKS_LIKE_IT.as_bytes()))
        });
        let answer = Response::builder().header("content-length", 3 * LOOKS_LIKE_IT.len());
        let answer = Attended::answer(answer.body(Body::from_stream(pieces)).unwrap(), answering);
        async { Ok::<_, Infallible>(answer) }
    });
    let serving = tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(io), service));
    let mut answer = Vec::new();
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let write = async {
        // It may be closed before all is written.
        let _ = writing.write_all(sent).await;
    };
    let ((), read) = tokio::join!(write, reading.read_to_end(&mut answer));
    read.unwrap();
    drop(client);
    let _ = serving.await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// A connection that is ready to write only every other time it is asked, as one whose client reads slowly may be.
struct Hesitant<S> {
    inner: S,
    is_ready: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Hesitant<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hesitant<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Sends all of this on a connection that hesitates, where each answer has all its bytes before it is known that this is
/// the end, and gives what comes until `is_all` says so.
async fn hesitantly_answered(sent: &str, is_all: impl Fn(&str) -> bool) -> String {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let turn = Turn::default();
    let refusal = |status: StatusCode| Response::builder().status(status).body("no".to_owned()).unwrap();
    let io = Refusing::new(Hesitant { inner: server, is_ready: true }, turn.clone(), refusal);
    let service = service_fn(move |_| {
        let answering = turn.begin();
        async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let piece = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; LENGTH]))]);
            let answer = Response::builder().header("content-length", LENGTH);
            let answer = answer.body(Body::from_stream(piece)).unwrap();
            Ok::<_, Infallible>(Attended::answer(answer, answering))
        }
    });
    let mut builder = http1::Builder::new();
    let serving = builder.max_buf_size(8192).serve_connection(TokioIo::new(io), service);
    let serving = tokio::spawn(serving);
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    while !is_all(&String::from_utf8_lossy(&answers)) {
        let read = tokio::time::timeout(Duration::from_secs(10), client.read_buf(&mut answers)).await;
        assert!(read.is_ok_and(|read| read.unwrap() > 0), "an answer was cut: {}", answers.len());
    }
    drop(client);
    let _ = serving.await.unwrap();
    String::from_utf8(answers).unwrap()
}

/// Bytes of an answer, more than the library writes at once.
const LENGTH: usize = 20_000;
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn an_answer_whose_request_came_before_the_last_body_was_let_go_is_left_alone() {
    let is_all = |answers: &str| answers.matches('x').count() == 4 * LENGTH;
    hesitantly_answered(&REQUEST.repeat(4), is_all).await;
}

#[tokio::test]
async fn what_is_refused_before_the_last_body_was_let_go_is_answered_with_our_words() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for before in 1..4 {
        let sent = REQUEST.repeat(before) + &many;
        let is_all = |answers: &str| answers.contains("431") && answers.contains("\r\n\r\nno");
        let answers = hesitantly_answered(&sent, is_all).await;
        assert_eq!(answers.matches('x').count(), before * LENGTH);
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_our_words_and_what_looks_like_that_is_left_alone() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for buffer in [1 << 20, 7] {
        for (bad, status) in [("nonsense\r\n\r\n", "400 Bad Request"), (&*many, "431 Request Header")] {
            for before in 0..3 {
                let sent = request.repeat(before) + bad;
                let answer = answered(sent.as_bytes(), buffer).await;
                let kept = answer.matches(&LOOKS_LIKE_IT.repeat(3)).count();
                let (_, last) = answer.rsplit_once("HTTP/1.1 ").unwrap();
                assert_eq!(kept, before, "{answer}");
                assert!(last.starts_with(status), "{answer}");
                let (head, body) = last.split_once("\r\n\r\n").unwrap();
                assert!(head.contains("x-kind: ours") && head.contains("connection: close"), "{answer}");
                assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
                assert!(body.starts_with(&format!("no: {}", &status[..3])), "{answer}");
                assert_eq!(answer.matches("x-kind").count(), 1, "{answer}");
            }
        }
    }
}
