//! Writing with a deadline: a reader that stops reading, or hardly reads, gives its place to others.
//!
//! Wraps a connection and watches only how many bytes are taken while something waits to be sent; how many connections there are, and what they
//! carry, is not known here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A connection whose writes fail when the other side takes fewer than `least` bytes while they have waited for `patience`.
pub(super) struct Progress<S> {
    inner: S,
    patience: Duration,
    least: u64,
    deadline: Pin<Box<Sleep>>,
    /// Since when a write is waiting, and `deadline` counts.
    since: Option<Instant>,
    /// How long writes have waited for the present bytes, and how many of those were taken.
    waited: Duration,
    taken: u64,
}

impl<S> Progress<S> {
    /// A rate of 0 asks for a byte at all.
    pub(super) fn new(inner: S, patience: Duration, bytes_per_second: u64) -> Self {
        let least = bytes_per_second.saturating_mul(patience.as_secs()).max(1);
        let deadline = Box::pin(tokio::time::sleep(patience));
        Self { inner, patience, least, deadline, since: None, waited: Duration::ZERO, taken: 0 }
    }

    /// Counts what a write has done. Only the time counts in which something waited to be sent: a connection that has
    /// nothing to say may be silent.
    fn wrote(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.taken += bytes as u64;
        if self.taken >= self.least {
            (self.waited, self.taken) = (Duration::ZERO, 0);
        }
    }

    /// Passes on the outcome of a write, and turns waiting for too long into an error.
    fn watch<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = &outcome {
            self.wrote(result.as_ref().map_or(0, bytes));
            return outcome;
        }
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            self.deadline.as_mut().reset(now + self.patience.saturating_sub(self.waited));
        }
        ready!(self.deadline.as_mut().poll(cx));
        let (taken, patience) = (self.taken, self.patience);
        let reason = format!(
            "the client has taken {taken} bytes in {patience:?}, and at least {} are asked for",
            self.least
        );
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Progress<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Progress<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(outcome, |&count| count, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.watch(outcome, |&count| count, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        // A flush that has nothing to do says nothing about a write that waits.
        if outcome.is_ready() { outcome } else { self.watch(outcome, |()| 0, cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(outcome, |()| 0, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::Progress;

    const PATIENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut writer = Progress::new(ours, PATIENCE, 0);
        let error = writer.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("taken 0 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_slow_reader_is_waited_for_as_long_as_it_takes_something() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut writer = Progress::new(ours, PATIENCE, 0);
        let begun = tokio::time::Instant::now();
        let reading = tokio::spawn(async move {
            let mut taken = 0;
            while taken < 80 {
                tokio::time::sleep(PATIENCE / 5).await;
                taken += theirs.read(&mut [0; 8]).await.unwrap();
            }
        });
        writer.write_all(&[0; 80]).await.unwrap();
        reading.await.unwrap();
        assert!(begun.elapsed() > PATIENCE, "all of it took longer than one write may wait");
    }

    #[tokio::test]
    async fn a_reader_below_the_least_rate_is_given_up_and_one_above_is_not() {
        const SECOND: Duration = Duration::from_secs(1);
        for (bytes_per_second, is_enough) in [(10_000, false), (1, true)] {
            let (ours, mut theirs) = tokio::io::duplex(8);
            let mut writer = Progress::new(ours, SECOND, bytes_per_second);
            let reading = tokio::spawn(async move {
                // As long as the writer is there.
                while theirs.read(&mut [0; 8]).await.is_ok_and(|count| count > 0) {
                    tokio::time::sleep(SECOND / 20).await;
                }
            });
            let written = writer.write_all(&[0; 400]).await;
            assert_eq!(written.is_ok(), is_enough, "{bytes_per_second}: {written:?}");
            drop(writer);
            reading.await.unwrap();
        }
    }
}
