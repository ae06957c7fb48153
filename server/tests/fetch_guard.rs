//! Where fetches may lead: the corpus of forbidden places, scripts of resolvers that change their mind, and listeners
//! that must never be connected to.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use phasic_hub::fetch::resolver::{GuardedResolver, Home, Lookup, ResolveError};
use phasic_hub::fetch::{FailureClass, FetchError, Fetcher, Guard, Limits};
use serde_json::Value;
use url::Url;

/// The name of the upstream.
const HOME: &str = "lab.example.org";

fn corpus(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Every string of the corpus, for an upstream at a port and a listener at another port of its host.
fn places(port: u16, canary: u16) -> Vec<String> {
    let fill = |text: &str| {
        let text = text.replace("{home}", &format!("{HOME}:{port}")).replace("{canary}", &canary.to_string());
        text.replace("{port}", &port.to_string())
    };
    let groups = corpus("ssrf.json");
    let strings = groups.iter().flat_map(|group| group["strings"].as_array().unwrap());
    strings.map(|text| fill(text.as_str().unwrap())).collect()
}

/// Answers look-ups from a script, and counts them.
#[derive(Default)]
struct Script(Mutex<(VecDeque<Vec<SocketAddr>>, usize)>);

impl Script {
    fn of(answers: impl IntoIterator<Item = Vec<SocketAddr>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new((answers.into_iter().collect(), 0))))
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Lookup for Script {
    fn look_up(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let mut script = self.0.lock().unwrap();
        script.1 += 1;
        let answer = script.0.pop_front().ok_or_else(|| io::Error::other("the script is over"));
        Box::pin(std::future::ready(answer))
    }
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

/// Listeners at the port of the upstream on other addresses of this machine; nobody may connect to them.
struct Canaries(Vec<TcpListener>);

impl Canaries {
    /// The upstream's own listener, and the canaries around it.
    fn around() -> (TcpListener, Self) {
        let home = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = home.local_addr().unwrap().port();
        let silent = |address: &str| {
            let listener = TcpListener::bind((address, port)).ok()?;
            listener.set_nonblocking(true).unwrap();
            Some(listener)
        };
        // Where the machine has no more addresses of its own than one, one canary at another port is left.
        let mut canaries: Vec<_> = ["127.0.0.2", "127.1.2.3", "::1"].into_iter().filter_map(silent).collect();
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        canaries.push(elsewhere);
        (home, Self(canaries))
    }

    fn port(&self) -> u16 {
        self.0.last().unwrap().local_addr().unwrap().port()
    }

    fn assert_untouched(&self, what: &str) {
        for canary in &self.0 {
            assert!(canary.accept().is_err(), "{what:?} led to {canary:?}");
        }
    }
}

/// Answers every request on a listener with a redirect to the next of `places`, as it stands.
fn redirecting(listener: TcpListener, places: Vec<String>) {
    std::thread::spawn(move || {
        for place in places {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let answer = format!(
                "HTTP/1.1 302 X\r\nConnection: close\r\nContent-Length: 0\r\nLocation: {place}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
}

#[tokio::test]
async fn every_forbidden_place_is_refused_before_its_name_is_looked_up() {
    let (listener, canaries) = Canaries::around();
    let home = listener.local_addr().unwrap();
    let places = places(home.port(), canaries.port());
    assert!(places.len() >= 250, "the corpus has {} strings", places.len());
    let guard = Guard::new(Url::parse(&format!("http://{HOME}:{}/registry.json", home.port())).unwrap());
    let led = |place: &&String| guard.follow(guard.home(), place).is_ok();
    let led: Vec<_> = places.iter().filter(led).collect();
    assert!(led.is_empty(), "not refused: {led:?}");
    redirecting(listener, places.clone());
    let script = Script::of([vec![home]]);
    let fetcher = Fetcher::open_with(guard.home().clone(), limits(), script.clone()).await.unwrap();
    for place in &places {
        let error = fetcher.get(guard.home(), 100).await.unwrap_err();
        // Some hold bytes that no header field may have; then there is no answer at all.
        let refused = matches!(error.class(), FailureClass::Refused | FailureClass::Transfer);
        assert!(refused, "{place:?}: {error}");
    }
    canaries.assert_untouched("the corpus");
    assert_eq!(
        (script.asked(), fetcher.requests()),
        (1, places.len() as u64),
        "only the upstream was looked up"
    );
}

fn address(text: &str) -> SocketAddr {
    match text.split_once('%') {
        None => (text.parse::<IpAddr>().unwrap(), 1).into(),
        Some((address, zone)) => {
            SocketAddrV6::new(address.parse::<Ipv6Addr>().unwrap(), 1, 0, zone.parse().unwrap()).into()
        }
    }
}

#[tokio::test]
async fn what_a_resolver_says_is_checked_each_time_and_dialled_as_checked() {
    let scripts = corpus("resolver.json");
    assert!(scripts.len() >= 20, "there are {} scripts", scripts.len());
    for script in scripts {
        let what = script["what"].as_str().unwrap();
        let steps: Vec<_> = script["answers"].as_array().unwrap().iter().collect();
        let addresses = |step: &&Value| {
            let texts = step["addresses"].as_array().unwrap().iter();
            texts.map(|text| address(text.as_str().unwrap())).collect::<Vec<_>>()
        };
        let lookup = Script::of(steps.iter().map(addresses));
        let resolver = GuardedResolver::new(None, lookup);
        for step in &steps {
            let outcome = resolver.addresses("files.example.org").await;
            match (step["allowed"].as_bool().unwrap(), outcome) {
                (true, Ok(dialled)) => {
                    let plain = |address: &SocketAddr| SocketAddr::new(address.ip(), 0);
                    assert_eq!(dialled, addresses(step).iter().map(plain).collect::<Vec<_>>(), "{what}");
                }
                (false, Err(ResolveError::Refused(_))) => {}
                (_, outcome) => panic!("{what}: {step} gave {outcome:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_dialled() {
    for address in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
        let (listener, canaries) = Canaries::around();
        let home = listener.local_addr().unwrap();
        let dialled: IpAddr = address.parse().unwrap();
        redirecting(listener, vec![format!("http://files.example.org:{}/x", home.port())]);
        let script = Script::of([vec![(dialled, 0).into()]]);
        let home = Url::parse(&format!("http://{home}/registry.json")).unwrap();
        let fetcher = Fetcher::open_with(home.clone(), limits(), script.clone()).await.unwrap();
        let error = fetcher.get(&home, 100).await.unwrap_err();
        assert!(matches!(error, FetchError::Refused(_)), "{address}: {error}");
        assert!(error.to_string().contains("files.example.org"), "{error}");
        canaries.assert_untouched(address);
        assert_eq!(script.asked(), 1);
    }
}

#[tokio::test]
async fn the_named_host_keeps_the_addresses_it_had_when_it_was_opened() {
    let (listener, canaries) = Canaries::around();
    let at = listener.local_addr().unwrap();
    redirecting(listener, vec!["/a".to_owned(), "/b".to_owned(), "/c".to_owned(), "/d".to_owned()]);
    let script = Script::of([vec![at], vec!["127.0.0.2:0".parse().unwrap()]]);
    let home = Url::parse(&format!("http://{HOME}:{}/registry.json", at.port())).unwrap();
    let fetcher = Fetcher::open_with(home.clone(), limits(), script.clone()).await.unwrap();
    let error = fetcher.get(&home, 100).await.unwrap_err();
    assert!(error.to_string().contains("more than 3 redirects"), "{error}");
    assert_eq!((script.asked(), fetcher.requests()), (1, 4));
    canaries.assert_untouched("a second look-up");
    let resolver = GuardedResolver::new(Some(Home { name: HOME.to_owned(), addresses: vec![at] }), script);
    assert_eq!(resolver.addresses(HOME).await.unwrap(), [at]);
    assert!(resolver.addresses("lab.example.org.").await.is_err());
}
