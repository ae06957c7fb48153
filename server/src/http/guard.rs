//! Who may pass: recognises the caller, takes the price of the request, and compares with the table of `access`.
//!
//! Fails closed: a route the table does not know is not reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING, VARY,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::middleware::Next;
use axum::response::IntoResponse;
use phasic_hub_api::{ComputeId, ProblemCode};

use super::access::{self, Access, BodyLimit, REFUSED};
use super::error::ApiError;
use super::rate::{Payer, Rates};
use super::standing::Standing;
use crate::auth::{Caller, Scope, TokenRefusal, recognise};
use crate::config;
use crate::hub::Hub;
use crate::listen::{Peer, client};
use crate::visibility::Viewer;

/// What deciding takes.
pub(super) struct Gate {
    hub: Arc<Hub>,
    anonymous: Option<Scope>,
    trusted_proxies: config::Networks,
    rates: Rates,
    /// Bytes of the longest body of each kind.
    usual_bytes: u64,
    model_bytes: u64,
    file_bytes: u64,
}

impl Gate {
    pub(super) fn new(hub: Arc<Hub>, config: &config::Config) -> Self {
        Self {
            hub,
            anonymous: config.access.anonymous.scope(),
            trusted_proxies: config.http.trusted_proxies.clone(),
            rates: Rates::new(&config.rate),
            usual_bytes: config.http.max_body_bytes.get(),
            model_bytes: config.models.max_body_bytes.get(),
            file_bytes: config.uploads.max_blob_bytes.get(),
        }
    }

    /// Bytes of the longest body a route takes.
    fn longest_body(&self, path: &str) -> u64 {
        match access::body_limit(path) {
            BodyLimit::Usual => self.usual_bytes,
            BodyLimit::Model => self.model_bytes,
            BodyLimit::File => self.file_bytes,
        }
    }
}

pub(super) async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response<Body> {
    let (access, viewer) = match admit(&gate, &mut request).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response(),
    };
    let standing = request.extensions().get::<Caller>().and_then(|caller| Standing::of(caller, &gate.hub));
    let answering = next.run(request);
    let mut response = match standing {
        Some(standing) => standing.answer(answering).await,
        None => answering.await,
    };
    gate.restrict(access, &viewer, response.headers_mut());
    response
}

/// Lets a request pass, with its [`Caller`] among its extensions.
async fn admit(gate: &Gate, request: &mut Request) -> Result<(Access, Viewer), ApiError> {
    let address = Payer::Address(client(address(&gate.trusted_proxies, request)));
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        // The router has said that there is nothing.
        gate.pay(&address, 1)?;
        return Ok((Access::Open, Viewer::Public));
    };
    let Some((access, cost)) = access::required(request.method().as_str(), &path) else {
        gate.pay(&address, 1)?;
        return Err(no_such_method(&path));
    };
    let cost = cost.max(access::of_query(&path, request.uri().query()));
    let caller = match (request.headers().get(AUTHORIZATION), access) {
        (Some(authorization), Access::Scoped(_) | Access::OfId(_)) => {
            let authorization = authorization.as_bytes().to_owned();
            gate.recognise(&authorization, &address).await?
        }
        _ => Caller::Anonymous,
    };
    let payer = match &caller {
        Caller::Token { id, .. } => Payer::Token(id.clone()),
        Caller::Anonymous => address,
    };
    gate.pay(&payer, cost.saturating_add(of_body(request.headers(), gate.longest_body(&path))))?;
    if let Some(wanted) = access.scope()
        && !caller.may(wanted, gate.anonymous)
    {
        return Err(refuse(&caller, wanted));
    }
    if let Access::OfId(_) = access {
        check_id(&caller, request).await?;
    }
    let viewer = caller.viewer();
    request.extensions_mut().insert(caller);
    if cost > 1 {
        // Who asks for work takes turns with the others.
        request.extensions_mut().insert(payer);
    }
    Ok((access, viewer))
}

/// What the length of a body adds to the price: it is read, and computed with or stored. One that does not say how long it
/// is may become as long as the longest.
fn of_body(headers: &HeaderMap, longest: u64) -> u32 {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let unknown = if headers.contains_key(TRANSFER_ENCODING) { longest } else { 0 };
    u32::try_from(length.unwrap_or(unknown) / access::BYTES_PER_POINT).unwrap_or(u32::MAX)
}

/// Holds the id in the path against the ids the token is for, before anything is looked up.
async fn check_id(caller: &Caller, request: &mut Request) -> Result<(), ApiError> {
    let parameters = request.extract_parts::<RawPathParams>().await;
    let id = parameters.ok().and_then(|parameters| {
        let mut parameters = parameters.iter();
        parameters.find_map(|(name, value)| (name == "id").then(|| value.to_owned()))
    });
    // What is no id is nobody's, and is refused by whoever reads it.
    let Some(id) = id.and_then(|id| id.parse::<ComputeId>().ok()) else { return Ok(()) };
    match caller {
        Caller::Token { ids, .. } if !caller.acts_on(&id) => {
            let detail = format!("The token is for the ids {ids}, and {:?} is none of them.", id.as_str());
            Err(ApiError::new(ProblemCode::IdNotAllowed, detail))
        }
        _ => Ok(()),
    }
}

impl Gate {
    /// Says of an answer who may keep it, and for whom.
    fn restrict(&self, access: Access, viewer: &Viewer, headers: &mut HeaderMap) {
        let Some(scope) = access.scope() else { return };
        // Who sends a token may see more than who sends none.
        vary_by_token(headers);
        if *viewer != Viewer::Public || !self.anonymous.is_some_and(|open| open.includes(scope)) {
            keep_private(headers);
        }
    }

    /// Lets a request without a token and without a body pass where everybody may, as [`guard`] does. `None` where that
    /// is not so, or its price cannot be paid; then nothing has been paid.
    pub(super) fn admit_anybody(&self, request: &Request, access: Access, cost: u32) -> Option<()> {
        let asks_for_more = [AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING];
        if asks_for_more.iter().any(|name| request.headers().contains_key(name))
            || access.scope().is_some_and(|wanted| !Caller::Anonymous.may(wanted, self.anonymous))
        {
            return None;
        }
        let payer = Payer::Address(client(address(&self.trusted_proxies, request)));
        self.rates.pay(&payer, cost).ok()
    }

    /// Says of an answer to somebody without a token who may keep it.
    pub(super) fn restrict_anybodys(&self, access: Access, headers: &mut HeaderMap) {
        self.restrict(access, &Viewer::Public, headers);
    }

    async fn recognise(&self, authorization: &[u8], address: &Payer) -> Result<Caller, ApiError> {
        match recognise(&self.hub.data.store, authorization).await? {
            Ok(caller) => Ok(caller),
            Err(refusal) => {
                self.pay(address, REFUSED)?;
                Err(refused(refusal))
            }
        }
    }

    fn pay(&self, payer: &Payer, cost: u32) -> Result<(), ApiError> {
        self.rates.pay(payer, cost).map_err(too_many)
    }
}

/// The address of the client: that of the connection, or, where that is a proxy we trust, the last one it and its like
/// have not added themselves.
fn address(trusted: &config::Networks, request: &Request) -> IpAddr {
    let peer =
        request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    forwarded(trusted, peer, request.headers())
}

fn forwarded(trusted: &config::Networks, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let values = headers.get_all("x-forwarded-for").iter().rev().filter_map(|value| value.to_str().ok());
    let named = values.flat_map(|value| value.rsplit(',')).map(str::trim);
    let mut address = peer;
    for name in named {
        let Some(next) = trusted.contains(address).then(|| named_address(name)).flatten() else { break };
        address = next;
    }
    address
}

/// The address in an entry of `X-Forwarded-For`, which some proxies write with the port, and IPv6 then, or always, in
/// brackets.
fn named_address(name: &str) -> Option<IpAddr> {
    let without_brackets = || name.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let address = name.parse::<IpAddr>().ok();
    let address = address.or_else(|| name.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.or_else(|| without_brackets().map(IpAddr::V6))
}

fn no_such_method(path: &str) -> ApiError {
    let allowed = access::allowed(path);
    if allowed.is_empty() {
        tracing::error!(path, "a route has no line in the table of access, so it is closed");
        return ApiError::new(ProblemCode::Internal, "The hub has forgotten to say who may use this route.");
    }
    let detail = "This path answers other methods; they are in the Allow header.";
    let allow = HeaderValue::from_str(&allowed).unwrap_or_else(|_| HeaderValue::from_static("GET"));
    ApiError::new(ProblemCode::MethodNotAllowed, detail).with_headers(HeaderMap::from_iter([(ALLOW, allow)]))
}

/// The answer to a token that opens nothing.
pub(super) fn refused(refusal: TokenRefusal) -> ApiError {
    let error = ApiError::new(ProblemCode::TokenInvalid, refusal.to_string());
    challenge(error, "Bearer realm=\"phasic-hub\", error=\"invalid_token\"")
}

fn refuse(caller: &Caller, wanted: Scope) -> ApiError {
    match caller {
        Caller::Anonymous => {
            let detail = format!(
                "This asks for a token of scope {wanted}, sent as \"Authorization: Bearer hub_…\". An administrator \
                 of the hub makes one."
            );
            challenge(ApiError::new(ProblemCode::TokenRequired, detail), "Bearer realm=\"phasic-hub\"")
        }
        Caller::Token { scopes, .. } => {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            let detail =
                format!("This asks for a token of scope {wanted}; the token has {}.", scopes.join(" and "));
            let header =
                format!("Bearer realm=\"phasic-hub\", error=\"insufficient_scope\", scope=\"{wanted}\"");
            challenge(ApiError::new(ProblemCode::ScopeMissing, detail), &header)
        }
    }
}

fn challenge(error: ApiError, header: &str) -> ApiError {
    let value = HeaderValue::from_str(header).unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
    error.with_headers(HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]))
}

fn too_many(wait: Duration) -> ApiError {
    // Rounded up, so that whoever obeys is let in.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let detail = format!("There were too many requests from here. Wait {seconds} s.");
    ApiError::new(ProblemCode::RateLimited, detail)
        .with_headers(HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from(seconds))]))
}

/// Adds the token to what an answer depends on.
fn vary_by_token(headers: &mut HeaderMap) {
    let all = match headers.get(VARY).and_then(|value| value.to_str().ok()) {
        None => HeaderValue::from_static("authorization"),
        Some("accept-encoding") => HeaderValue::from_static("accept-encoding, authorization"),
        Some(others) => HeaderValue::from_str(&format!("{others}, authorization"))
            .unwrap_or(HeaderValue::from_static("authorization")),
    };
    headers.insert(VARY, all);
}

/// What not everybody may see is kept by no cache that everybody shares.
fn keep_private(headers: &mut HeaderMap) {
    let caching = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let private =
        caching.and_then(|caching| caching.strip_prefix("public")).map(|rest| format!("private{rest}"));
    if let Some(value) = private.and_then(|private| HeaderValue::from_str(&private).ok()) {
        headers.insert(CACHE_CONTROL, value);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
    use axum::response::IntoResponse as _;

    use super::{ApiError, Gate, Payer, forwarded, of_body};
    use crate::auth::{Scope, TokenSecret};
    use crate::blobs::LocalBlobs;
    use crate::config::{Config, Networks};
    use crate::hub::{DataDirectory, Hub};
    use crate::registry::Former;
    use crate::store::{Actor, Store};

    #[tokio::test]
    async fn a_token_that_cannot_be_looked_up_for_now_is_no_mistake_of_the_hub() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_within(directory.path(), Duration::from_millis(50)).await.unwrap();
        let secret = TokenSecret::generate().unwrap();
        let row = secret.row("one", &[Scope::Read], phasic_hub_api::IdPatterns::default(), None);
        store.add_token(&row, &Actor::Operator).await.unwrap();
        let data = DataDirectory::of(store.clone(), Arc::new(LocalBlobs::open(directory.path()).unwrap()));
        let hub = Hub::new(data, "http://hub".to_owned(), Former::default()).await.unwrap();
        let gate = Gate::new(Arc::new(hub), &Config::default());
        let authorization = format!("Bearer {secret}");
        let recognised = async || {
            let found = gate.recognise(authorization.as_bytes(), &Payer::UNKNOWN).await;
            found.map(drop).map_err(ApiError::into_response)
        };
        assert!(recognised().await.is_ok());
        // As many as may read are at it, and take their time.
        let mut readers = Vec::new();
        while let Ok(reader) = store.snapshot().await {
            readers.push(reader);
        }
        let busy = recognised().await.unwrap_err();
        assert_eq!((busy.status().as_u16(), busy.headers().contains_key(RETRY_AFTER)), (503, true));
        drop(readers);
        assert!(recognised().await.is_ok());
    }

    #[test]
    fn a_body_costs_what_it_announces_or_as_much_as_the_longest() {
        let price = |name: HeaderName, value: &'static str| {
            of_body(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]), 16 << 20)
        };
        assert_eq!(of_body(&HeaderMap::new(), 16 << 20), 0, "there is none");
        assert_eq!((price(CONTENT_LENGTH, "1048576"), price(CONTENT_LENGTH, "9")), (4, 0));
        assert_eq!(price(TRANSFER_ENCODING, "chunked"), 64);
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        let trusted = Networks::try_from("10.0.0.0/8".to_owned()).unwrap();
        let seen = |peer: &str, values: &[&'static str]| {
            let name = HeaderName::from_static("x-forwarded-for");
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            forwarded(&trusted, peer.parse().unwrap(), &headers)
        };
        let is = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(seen("192.0.2.1", &["8.8.8.8"]), is("192.0.2.1"), "a client that says so itself");
        assert_eq!(seen("10.0.0.1", &[]), is("10.0.0.1"));
        assert_eq!(seen("10.0.0.1", &["192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(seen("10.0.0.1", &["8.8.8.8, 192.0.2.1"]), is("192.0.2.1"), "the first one is made up");
        assert_eq!(seen("10.0.0.1", &["8.8.8.8", "192.0.2.1, 10.0.0.2"]), is("192.0.2.1"), "two proxies");
        assert_eq!(seen("10.0.0.1", &["192.0.2.1, unknown"]), is("10.0.0.1"), "not to be read");
        assert_eq!(seen("10.0.0.1", &["192.0.2.1:567"]), is("192.0.2.1"));
        assert_eq!(seen("10.0.0.1", &["8.8.8.8:1, [2001:db8::1]:5, 10.0.0.2:443"]), is("2001:db8::1"));
        assert_eq!(seen("10.0.0.1", &["[2001:db8::1]"]), is("2001:db8::1"));
        for wrong in
            ["192.0.2.1:", "192.0.2.1:70000", "[192.0.2.1]:5", "[2001:db8::1", "2001:db8::1]:5", ":5"]
        {
            assert_eq!(seen("10.0.0.1", &[wrong]), is("10.0.0.1"), "{wrong}");
        }
    }
}
