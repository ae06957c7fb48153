//! A body that is in memory in several pieces, whose length is known.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// The body of these pieces, one after the other.
pub(super) fn in_pieces(mut pieces: Vec<Bytes>) -> Body {
    pieces.retain(|piece| !piece.is_empty());
    match (pieces.pop(), pieces.is_empty()) {
        (Some(only), true) => Body::from(only),
        (last, _) => Body::new(Pieces(pieces.into_iter().chain(last).collect())),
    }
}

struct Pieces(VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::HttpBody as _;
    use http_body_util::BodyExt as _;

    use super::in_pieces;

    #[tokio::test]
    async fn pieces_are_sent_one_after_the_other_and_counted_before() {
        for pieces in [&[][..], &["", ""], &["one"], &["one", "", "two"], &["", "one", "two", "three"]] {
            let body = in_pieces(pieces.iter().map(|piece| (*piece).into()).collect());
            let whole = pieces.concat();
            assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
            assert_eq!(body.collect().await.unwrap().to_bytes(), whole);
        }
    }
}
