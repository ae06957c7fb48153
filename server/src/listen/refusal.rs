//! What is no request, or has too large a head, gets an answer like all others.
//!
//! The HTTP library answers it before anybody hears of a request: with a status, and nothing else. It cannot be told to say
//! more. So this stands between it and the connection, and knows whose turn it is to speak: where the library writes while
//! no answer of ours is under way, it is that answer, and another one is sent in its place. What that one says is not
//! known here.

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long the rest of what was refused is read and thrown away: closing at once would have the system of the client forget
/// the answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// And at most so much of it.
const MOST_DISCARDED: usize = 4 << 20;

/// Whether an answer of ours is under way on a connection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Requests whose answers were not yet handed over to the last byte. There may be two for a moment: the library can take
    /// the next request before it lets the body of an answer go that has said its length and is sent.
    answering: AtomicUsize,
    /// From the request until its answer was written to the last byte.
    is_speaking: AtomicBool,
}

/// Held by a request, and then by the body of its answer.
#[derive(Debug)]
pub(super) struct Answering(Turn);

impl Turn {
    /// A request has come.
    pub(super) fn begin(&self) -> Answering {
        self.0.answering.fetch_add(1, Ordering::Relaxed);
        self.0.is_speaking.store(true, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// All that was handed over has been written.
    fn is_written(&self) {
        if self.0.answering.load(Ordering::Relaxed) == 0 {
            self.0.is_speaking.store(false, Ordering::Relaxed);
        }
    }

    fn is_ours(&self) -> bool {
        self.0.is_speaking.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which is under way until all of it was handed over, or this is dropped.
pub(super) struct Attended {
    body: Body,
    /// What is still to be handed over, if the length is known. The library knows by it that an answer is over, and may
    /// refuse what comes next before it lets the body go.
    left: Option<u64>,
    answering: Option<Answering>,
}

impl Attended {
    /// The answer with a body that is attended.
    pub(super) fn answer(answer: Response<Body>, answering: Answering) -> Response<Self> {
        let length =
            answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let left = length.or_else(|| answer.body().size_hint().exact());
        answer.map(|body| Self { body, left, answering: Some(answering) })
    }
}

impl HttpBody for Attended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let (Some(left), Some(data)) = (&mut self.left, frame.data_ref())
        {
            *left = left.saturating_sub(data.len() as u64);
            if *left == 0 {
                self.answering = None;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection on which `refusal` says what is answered with a status when there is no request.
pub(super) struct Refusing<S, R> {
    inner: S,
    turn: Turn,
    refusal: R,
    /// What is sent instead, from its first byte, and how much of it was.
    instead: Option<(Vec<u8>, usize)>,
    /// Since the answer was sent.
    farewell: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S, R: Fn(StatusCode) -> Response<String>> Refusing<S, R> {
    pub(super) fn new(inner: S, turn: Turn, refusal: R) -> Self {
        Self { inner, turn, refusal, instead: None, farewell: None }
    }

    /// Takes note of an answer that is none of ours. Nothing else is written after it.
    fn note(&mut self, bytes: &[u8]) {
        if self.instead.is_none()
            && !self.turn.is_ours()
            && let Some(status) = status_of(bytes)
        {
            self.instead = Some((written(bytes, &(self.refusal)(status)), 0));
        }
    }
}

impl<S: AsyncWrite + Unpin, R> Refusing<S, R> {
    /// Sends what is sent instead.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, sent)) = &mut self.instead
            && *sent < bytes.len()
        {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes[*sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += count;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin, R> Refusing<S, R> {
    /// Reads what still comes, for a moment, and throws it away.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (deadline, left) =
            self.farewell.get_or_insert_with(|| (Box::pin(tokio::time::sleep(FAREWELL)), MOST_DISCARDED));
        let mut piece = [0; 4096];
        while *left > 0 && deadline.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *left = left.saturating_sub(buffer.filled().len()),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

/// The status of an answer that begins here.
fn status_of(head: &[u8]) -> Option<StatusCode> {
    StatusCode::from_bytes(head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()
}

/// An answer as it is sent: with what the library says in the head of its own, but for the length.
fn written(bare: &[u8], refusal: &Response<String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let lines = bare.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with(b"content-length:")) {
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
    }
    for (name, value) in refusal.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let body = refusal.body();
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
    bytes
}

impl<S: AsyncRead + Unpin, R: Unpin> AsyncRead for Refusing<S, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S, R> AsyncWrite for Refusing<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Fn(StatusCode) -> Response<String> + Unpin,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note(bytes);
        if self.instead.is_none() {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        ready!(self.poll_instead(cx))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note(pieces.first().map_or(&[], |piece| piece));
        if self.instead.is_none() {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        }
        ready!(self.poll_instead(cx))?;
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.turn.is_written();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.farewell.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        }
        if self.instead.is_some() {
            ready!(self.poll_farewell(cx));
        }
        Poll::Ready(Ok(()))
    }
}
