//! Request bodies that are JSON: read within limits, with an error that says where the mistake is.
//!
//! Bodies of documents and parameter vectors may be large, so all of them together are bounded, too.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Request};
use phasic_hub_api::ProblemCode;
use serde::de::DeserializeOwned;

use super::account::{Account, Share};
use super::aside;
use super::error::ApiError;
use super::object;
use super::rate::Payer;
use crate::config;

/// Bytes that the bodies of all requests may take together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    account: Account,
    most_bytes: usize,
}

/// A body, and its share of the budget for as long as it lives.
pub(super) struct Received {
    bytes: Bytes,
    share: Share,
}

impl Budget {
    pub(super) fn new(limits: &config::Models) -> Self {
        let most_bytes = limits.max_body_bytes.count();
        // Whatever is set, one body of the largest size must fit.
        Self { account: Account::new(limits.max_bodies_bytes.get(), most_bytes as u64), most_bytes }
    }

    /// Reads a whole body, once there is room for it. It takes what is announced until it is here, and then what it has.
    pub(super) async fn receive(&self, request: Request<Body>) -> Result<Received, ApiError> {
        let announced = announced(request.headers()).unwrap_or(self.most_bytes as u64);
        if announced > self.most_bytes as u64 {
            return Err(self.too_large());
        }
        let mut share = self.account.take(Payer::of(request.extensions()), announced).await?;
        let bytes = axum::body::to_bytes(request.into_body(), self.most_bytes).await.map_err(|error| {
            if is_limit(&error) {
                return self.too_large();
            }
            ApiError::new(ProblemCode::InvalidRequest, "The request body broke off before its end.")
        })?;
        share.keep(bytes.len() as u64);
        Ok(Received { bytes, share })
    }

    fn too_large(&self) -> ApiError {
        let detail = format!(
            "The body is larger than the {} bytes this hub reads; the setting is models.max_body_bytes.",
            self.most_bytes
        );
        ApiError::new(ProblemCode::BodyTooLarge, detail)
    }
}

/// Looks for the member that tells a request from a document.
#[derive(serde::Deserialize)]
struct Look {
    model: Option<serde::de::IgnoredAny>,
}

impl Received {
    /// Whether the body is a JSON object without the member `model`.
    pub(super) async fn is_document(&self) -> Result<bool, ApiError> {
        let bytes = self.bytes.clone();
        let look = move || serde_json::from_slice::<Look>(&bytes).is_ok_and(|look| look.model.is_none());
        aside::run(self.bytes.len(), look).await
    }

    /// The body as JSON, and its share of the budget, to be held while the value lives.
    pub(super) async fn json<T: DeserializeOwned + Send + 'static>(self) -> Result<(T, Share), ApiError> {
        let Self { bytes, share } = self;
        match aside::run(bytes.len(), move || object::read(&bytes)).await? {
            Ok(value) => Ok((value, share)),
            Err(error) => Err(ApiError::new(
                ProblemCode::InvalidRequest,
                format!("The body is not what this route takes: {error}."),
            )),
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether reading stopped because the body is too long.
fn is_limit(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.to_string() == "length limit exceeded" {
            return true;
        }
        source = cause.source();
    }
    error.to_string() == "length limit exceeded"
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use axum::body::{Body, Bytes};
    use axum::http::Request;
    use axum::http::header::CONTENT_LENGTH;
    use futures_util::stream;

    use super::{Budget, Payer, Received};
    use crate::config;

    /// Room for eight bodies of 64 KiB; two of one client.
    fn budget() -> Budget {
        let toml = "max_body_bytes = 65536\nmax_bodies_bytes = 524288";
        Budget::new(&toml::from_str::<config::Models>(toml).unwrap())
    }

    fn request(client: &str, announced: Option<usize>, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        request.extensions_mut().insert(Payer::Token(client.to_owned()));
        if let Some(length) = announced {
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        request
    }

    /// A body that never ends.
    fn stalled() -> Body {
        let first = Ok::<_, std::io::Error>(Bytes::from_static(b"["));
        Body::from_stream(stream::once(async { first }).chain_pending())
    }

    trait ChainPending: futures_util::Stream + Sized {
        fn chain_pending(self) -> impl futures_util::Stream<Item = Self::Item> + Send
        where
            Self: Send,
            Self::Item: Send,
        {
            futures_util::StreamExt::chain(self, stream::once(pending()))
        }
    }
    impl<S: futures_util::Stream> ChainPending for S {}

    async fn is_received(budget: &Budget, client: &str) -> Option<Received> {
        let small = request(client, Some(2), Body::from("{\"list\": []}"));
        let received = tokio::time::timeout(Duration::from_secs(2), budget.receive(small)).await;
        received.ok().map(Result::unwrap)
    }

    #[tokio::test]
    async fn clients_that_send_slowly_keep_only_themselves_waiting() {
        let budget = budget();
        let mut slow = Vec::new();
        for announced in [Some(60_000), None, Some(60_000), None] {
            let (budget, request) = (budget.clone(), request("slow", announced, stalled()));
            slow.push(tokio::spawn(async move { budget.receive(request).await.is_ok() }));
        }
        tokio::task::yield_now().await;
        assert!(is_received(&budget, "slow").await.is_none(), "it has taken its part");
        for _ in 0..20 {
            assert!(is_received(&budget, "another").await.is_some());
        }
        for one in slow {
            one.abort();
            assert!(one.await.unwrap_err().is_cancelled());
        }
        assert!(is_received(&budget, "slow").await.is_some(), "what is given up is given back");
    }

    #[derive(serde::Deserialize)]
    struct Of<T> {
        list: Vec<T>,
    }

    fn list(zeros: usize) -> String {
        format!("{{\"list\": [{}0]}}", "0,".repeat(zeros))
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_keeps_no_more_than_it_has() {
        let budget = budget();
        let mut kept = Vec::new();
        for _ in 0..20 {
            let request = request("one", None, Body::from("{\"list\": []}"));
            let received = tokio::time::timeout(Duration::from_secs(2), budget.receive(request)).await;
            kept.push(received.expect("there is room").unwrap().json::<Of<u8>>().await.unwrap());
        }
        let (_, mut large) = {
            let text = list(30_000);
            budget
                .receive(request("two", Some(text.len()), Body::from(text)))
                .await
                .unwrap()
                .json::<Of<u8>>()
                .await
                .unwrap()
        };
        let before = budget.account.free_bytes();
        large.keep(1000);
        assert!(budget.account.free_bytes() > before + (50 << 10), "the rest is given back");
    }

    #[tokio::test]
    async fn a_large_body_is_read_beside_the_thread_that_answers() {
        use futures_util::FutureExt as _;
        let budget = Budget::new(&toml::from_str("").unwrap());
        let received = async |zeros: usize| {
            let text = list(zeros);
            budget.receive(request("one", Some(text.len()), Body::from(text))).await.unwrap()
        };
        let small = received(1000).await.json::<Of<u8>>().now_or_never();
        assert_eq!(small.expect("it is read at once").unwrap().0.list.len(), 1001);
        let mut large = std::pin::pin!(received(1_000_000).await.json::<Of<u8>>());
        assert!(large.as_mut().now_or_never().is_none(), "the thread is free while others read");
        assert_eq!(large.await.unwrap().0.list.len(), 1_000_001);
        let wrong = received(1_000_000).await.json::<Of<String>>().await;
        assert!(wrong.is_err(), "what is wrong is found there, too");
    }
}
