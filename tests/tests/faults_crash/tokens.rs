//! Changes of tokens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use phasic_hub_tests::hub::{run, wait_until};
use phasic_hub_tests::oracle::Names;
use phasic_hub_tests::seed::Seeded;
use serde_json::{Value, json};

use super::{kill, start};

/// Tokens that were made are there, those that were revoked are not, whenever the hub was killed.
pub(crate) fn hubs_with_tokens_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut hub = start(data.path());
    let place = data.path().to_str().unwrap().to_owned();
    let made = run(&["token", "create", "--name", "tests", "--scope", "admin", "--data", &place]);
    let admin = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut names = Names::default();
    let mut told: BTreeMap<String, bool> = BTreeMap::new();
    for _ in 0..times {
        let address = hub.address();
        let authorization = format!("Bearer {admin}");
        let is_changing = Arc::new(AtomicBool::new(false));
        let changing = thread::spawn({
            let is_changing = Arc::clone(&is_changing);
            move || {
                let mut told = Vec::new();
                loop {
                    let body = json!({"name": "brief", "scopes": ["read"], "expires_in_seconds": 3600});
                    let Some(made) = attempt(address, "POST", "/v1/tokens", &authorization, &body) else {
                        break;
                    };
                    is_changing.store(true, Ordering::SeqCst);
                    let id = made["id"].as_str().unwrap().to_owned();
                    // Every other one stays valid.
                    if told.len() % 2 == 0 {
                        told.push((id, true));
                        continue;
                    }
                    let target = format!("/v1/tokens/{id}");
                    // Of a revocation that was not answered nobody knows whether it was made.
                    let Some(_) = attempt(address, "DELETE", &target, &authorization, &Value::Null) else {
                        break;
                    };
                    told.push((id, false));
                }
                told
            }
        });
        wait_until("the first token is made", || is_changing.load(Ordering::SeqCst));
        thread::sleep(seeded.moment(Duration::from_millis(300)));
        kill(hub);
        told.extend(changing.join().unwrap());
        hub = start(data.path());
        names.everything_holds(&hub, data.path());
        let listing = run(&["token", "list", "--data", &place]).stdout;
        let listing = String::from_utf8(listing).unwrap();
        let column = listing.lines().next().unwrap().split('\t').position(|name| name == "revoked").unwrap();
        for (id, is_valid) in &told {
            let line = listing.lines().find(|line| line.starts_with(id.as_str()));
            let line = line.unwrap_or_else(|| panic!("I3: the token {id} is lost"));
            assert_eq!(line.split('\t').nth(column) == Some("-"), *is_valid, "I3: {line}");
        }
    }
}

/// What a server answered that may be killed meanwhile; `None` when it was.
fn attempt(
    address: SocketAddr,
    method: &str,
    target: &str,
    authorization: &str,
    body: &Value,
) -> Option<Value> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 2"), "{answer}");
    if body.is_empty() { Some(Value::Null) } else { serde_json::from_str(body).ok() }
}
