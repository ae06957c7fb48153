//! Whether who asked may still have the answer: a token may be revoked, or expire, while an answer is made or sent.
//!
//! Around all routes, so that no handler can forget it. What a change writes is held against the token in the transaction of
//! the change (`store::audit`).

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::failed;
use super::guard::refused;
use crate::auth::{Caller, TokenRefusal};
use crate::hub::Hub;
use crate::store::{Store, StoreError};

/// What is over sooner than this is not looked at again: a look into an index, and the time a revocation may take.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// How often it is looked, while nothing is sent, whether a token has expired: that changes nothing in the database.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A token that was valid a moment ago.
pub(super) struct Standing {
    store: Store,
    caller: Caller,
    looked_at: Instant,
    /// Changes of anything, by anybody.
    changes: watch::Receiver<u64>,
    /// Whether something has changed and no look has followed yet: waiting for one may be broken off.
    is_due: bool,
}

impl Standing {
    /// That of a caller who was recognised just now; `None` without a token.
    pub(super) fn of(caller: &Caller, hub: &Hub) -> Option<Self> {
        let Caller::Token { .. } = caller else { return None };
        let (store, caller) = (hub.data.store.clone(), caller.clone());
        let changes = hub.database_changes();
        Some(Self { store, caller, looked_at: Instant::now(), changes, is_due: false })
    }

    /// What answers a request, for as long as the token stands; or a refusal.
    pub(super) async fn answer(mut self, answering: impl Future<Output = Response<Body>>) -> Response<Body> {
        let mut answering = std::pin::pin!(answering);
        loop {
            tokio::select! {
                biased;
                response = &mut answering => return self.hand_over(response).await,
                () = self.is_doubtful() => {}
            }
            // Left alone then, as when the client goes away.
            match self.holds().await {
                Ok(true) => {}
                Ok(false) => return refused(TokenRefusal::Ended).into_response(),
                Err(error) => return failed(error).into_response(),
            }
        }
    }

    /// The answer, or a refusal in its place; of one that goes on, as much as the token stands for. Problems have no body yet,
    /// and tell something all the same.
    async fn hand_over(mut self, response: Response<Body>) -> Response<Body> {
        let (status, length) = (response.status(), response.body().size_hint().exact());
        if length == Some(0) && (status.is_success() || status == StatusCode::NOT_MODIFIED) {
            return response;
        }
        match self.holds().await {
            Ok(true) if length.is_some() => response,
            Ok(true) => response.map(|body| Body::from_stream(self.watch(body.into_data_stream()))),
            Ok(false) => refused(TokenRefusal::Ended).into_response(),
            Err(error) => failed(error).into_response(),
        }
    }

    /// The pieces of an answer; it breaks off, and does not look whole, when the token stands no more.
    fn watch<E: Into<axum::BoxError>>(
        self,
        pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> impl Stream<Item = Result<Bytes, axum::BoxError>> {
        futures_util::stream::try_unfold((self, pieces), async |(mut standing, mut pieces)| {
            let piece = loop {
                tokio::select! {
                    biased;
                    piece = pieces.next() => break piece,
                    () = standing.is_doubtful() => if !standing.holds().await? {
                        return Err(TokenRefusal::Ended.into());
                    },
                }
            };
            let Some(piece) = piece else { return Ok(None) };
            if !standing.holds().await? {
                return Err(TokenRefusal::Ended.into());
            }
            Ok(Some((piece.map_err(Into::into)?, (standing, pieces))))
        })
    }

    /// Complete when there is a reason to look at the token again. A reason is not lost when this is broken off.
    async fn is_doubtful(&mut self) {
        if !self.is_due {
            let late = self.looked_at + LOOK_EVERY;
            tokio::select! {
                Ok(()) = self.changes.changed() => self.is_due = true,
                () = tokio::time::sleep_until(late) => return,
            }
        }
        tokio::time::sleep_until(self.looked_at + LOOK_AFTER).await;
    }

    /// Whether the token stands; looked up unless that was done a moment ago.
    async fn holds(&mut self) -> Result<bool, StoreError> {
        if self.looked_at.elapsed() < LOOK_AFTER {
            return Ok(true);
        }
        (self.looked_at, self.is_due) = (Instant::now(), false);
        self.caller.is_still_valid(&self.store).await
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body::{Body, Bytes};
    use axum::http::Response;
    use axum::response::IntoResponse as _;
    use futures_util::{FutureExt as _, StreamExt as _};
    use phasic_hub_api::{IdPatterns, ProblemCode, Scope};
    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::{LOOK_AFTER, LOOK_EVERY, Standing};
    use crate::auth::{Caller, TokenSecret};
    use crate::http::error::ApiError;
    use crate::store::{Actor, Store};

    struct Place {
        _directory: tempfile::TempDir,
        store: Store,
        token: String,
        changes: watch::Sender<u64>,
    }

    async fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let row = TokenSecret::generate().unwrap().row("t", &[Scope::Read], IdPatterns::default(), None);
        store.add_token(&row, &Actor::Hub).await.unwrap();
        Place { _directory: directory, store, token: row.id, changes: watch::Sender::new(0) }
    }

    impl Place {
        fn standing(&self) -> Standing {
            let caller = Caller::Token {
                id: self.token.clone(),
                scopes: vec![Scope::Read],
                ids: IdPatterns::default(),
            };
            let (store, changes) = (self.store.clone(), self.changes.subscribe());
            let looked_at = Instant::now().checked_sub(LOOK_AFTER).unwrap();
            Standing { store, caller, looked_at, changes, is_due: false }
        }

        async fn revoke(&self) {
            assert!(self.store.revoke_token(&self.token, &Actor::Operator).await.unwrap());
        }
    }

    #[tokio::test]
    async fn an_answer_is_given_while_the_token_stands_and_refused_when_it_was_revoked() {
        let place = place().await;
        let answer = || Response::new(Body::from("secret"));
        assert_eq!(place.standing().hand_over(answer()).await.status(), 200);
        place.revoke().await;
        assert_eq!(place.standing().hand_over(answer()).await.status(), 401);
        let done = Response::builder().status(204).body(Body::empty()).unwrap();
        assert_eq!(place.standing().hand_over(done).await.status(), 204, "gives nothing away");
        let problem = ApiError::new(ProblemCode::Internal, "").into_response();
        assert_eq!(place.standing().hand_over(problem).await.status(), 401, "its body is written later");
    }

    #[tokio::test]
    async fn a_stream_breaks_off_at_the_next_piece() {
        let place = place().await;
        let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, Infallible>>(1);
        let pieces = Box::pin(futures_util::stream::unfold(receive, async |mut receive| {
            Some((receive.recv().await?, receive))
        }));
        let mut watched = Box::pin(place.standing().watch(pieces));
        send.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
        assert_eq!(watched.next().await.unwrap().unwrap(), "one");
        place.revoke().await;
        tokio::time::sleep(LOOK_AFTER).await;
        send.send(Ok(Bytes::from_static(b"two"))).await.unwrap();
        let refused = watched.next().await.unwrap().unwrap_err();
        assert!(refused.to_string().contains("revoked"), "{refused}");
        assert!(watched.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_sends_nothing_breaks_off_when_the_change_is_seen() {
        let place = place().await;
        let silent = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        let mut watched = Box::pin(place.standing().watch(silent));
        place.revoke().await;
        place.changes.send_modify(|count| *count += 1);
        let found =
            tokio::time::timeout(LOOK_EVERY / 2, watched.next()).await.expect("it is looked at at once");
        assert!(found.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_change_is_not_forgotten_because_a_piece_comes_right_after_it() {
        let place = place().await;
        let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, Infallible>>(1);
        let pieces = Box::pin(futures_util::stream::unfold(receive, async |mut receive| {
            Some((receive.recv().await?, receive))
        }));
        let mut standing = place.standing();
        // For so long that the piece comes before the look.
        standing.looked_at = Instant::now() + LOOK_EVERY / 5;
        let mut watched = Box::pin(standing.watch(pieces));
        place.revoke().await;
        place.changes.send_modify(|count| *count += 1);
        assert!(watched.next().now_or_never().is_none(), "the change is seen");
        send.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
        assert_eq!(watched.next().await.unwrap().unwrap(), "one");
        let found = tokio::time::timeout(LOOK_EVERY / 2, watched.next()).await.expect("it is looked at soon");
        assert!(found.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_token_is_looked_at_now_and_then_though_nothing_changes() {
        let place = place().await;
        let silent = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        let mut standing = place.standing();
        standing.looked_at = Instant::now().checked_sub(LOOK_EVERY).unwrap_or(standing.looked_at);
        let mut watched = Box::pin(standing.watch(silent));
        place.revoke().await;
        let most = LOOK_EVERY + Duration::from_secs(30);
        assert!(tokio::time::timeout(most, watched.next()).await.expect("in time").unwrap().is_err());
    }
}
