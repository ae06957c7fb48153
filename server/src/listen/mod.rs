//! The accept loop: limits on connections and time, and an orderly end.
//!
//! `axum::serve` waits for ever for the rest of a request head, and the protocol-sniffing builder for the first byte of
//! one. This loop speaks HTTP/1 only, with a deadline on every head and on every write. What is answered is not known
//! here, also not to what is no request.

mod addresses;
mod progress;
mod refusal;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service;

use self::addresses::Addresses;
pub use self::addresses::client;
use self::progress::Progress;
use self::refusal::{Attended, Refusing, Turn};
use crate::{config, metrics};

/// The first pause after a failed accept, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What answers requests; it is always ready to.
pub trait Answers:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Unpin + 'static
{
    /// The answer of a status to what is no request, or one whose head is too large to be read.
    fn refusal(&self, status: StatusCode) -> axum::http::Response<String>;
}

/// The other end of the connection a request came on; among the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Header fields of one request.
const MAX_HEADER_FIELDS: usize = 100;

/// A connection that is silent for so long is asked whether anybody is still there, and again at this interval.
const KEEPALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(15));

/// Serves `answers` on `listener` until `stop` is complete; then lets running requests finish, for as long as the
/// drain timeout says, or until `hurry` is complete.
///
/// At most `max_connections` connections are open at a time; others wait in the queue of the operating system. Those
/// of a client beyond its `max_connections_per_address` are closed.
pub async fn serve(
    listener: TcpListener,
    answers: impl Answers,
    limits: &config::Http,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.max_connections.count()));
    let addresses = Addresses::new(limits.max_connections_per_address.count());
    let patience = limits.write_timeout_ms.duration();
    let (draining, drain) = watch::channel(false);
    let mut connections = JoinSet::new();
    let builder = protocol(limits);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // Taken before accepting, so that what cannot be served is not accepted either.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let (place, (stream, client)) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let Some(counted) = addresses.count(client.ip()) else {
            tracing::debug!(%client, "closed a connection: this client has as many as it may");
            continue;
        };
        let stream = Progress::new(stream, patience, limits.min_bytes_per_second.get());
        let held = (place, counted, metrics::Present::connection());
        let answering = (answers.clone(), Peer(client));
        connections.spawn(connection(builder.clone(), stream, answering, drain.clone(), held));
        // Forget those that are over.
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    tracing::info!(connections = connections.len(), "stopped accepting; letting running requests finish");
    draining.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finished => tracing::info!("all requests have finished"),
        () = tokio::time::sleep(limits.drain_timeout_ms.duration()) => {
            tracing::warn!("the drain timeout is over; closing what is still open");
        }
        () = hurry => tracing::warn!("told to stop a second time; closing what is still open"),
    }
    connections.shutdown().await;
}

fn protocol(limits: &config::Http) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout_ms.duration())
        .max_headers(MAX_HEADER_FIELDS)
        .max_buf_size(limits.max_header_bytes.count());
    builder
}

/// One connection, until it is over or draining has let its last request finish.
async fn connection(
    builder: http1::Builder,
    stream: Progress<TcpStream>,
    (answers, peer): (impl Answers, Peer),
    mut drain: watch::Receiver<bool>,
    _held: impl Send,
) {
    let turn = Turn::default();
    let refusing = answers.clone();
    let stream = Refusing::new(stream, turn.clone(), move |status| refusing.refusal(status));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answering = turn.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        // Always ready: limits are those of the connections.
        let answer = answers.clone().call(request);
        async { answer.await.map(|answer| Attended::answer(answer, answering)) }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let draining = async {
        // An error says that the sender is gone, which is the same.
        let _ = drain.wait_for(|&draining| draining).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Accepts the next connection. Errors, such as having no file descriptors left, are waited out.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let (mut pause, longest) = BACKOFF;
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                prepare(&stream);
                return (stream, client);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections at the moment");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

/// Sets what can be set; a connection without it still works.
fn prepare(stream: &TcpStream) {
    // Answers are written whole; waiting to fill packets only delays them.
    let _ = stream.set_nodelay(true);
    // A client that lost its power or its network says no goodbye.
    let (silence, interval) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(silence).with_interval(interval);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Whether the connection failed before it was accepted, and the listener is well.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
