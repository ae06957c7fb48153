//! Holders of tokens, and what they ask.

use std::path::Path;

use phasic_hub_api::Sha256;
use serde_json::Value;

use crate::http::{Answer, send};
use crate::hub::{Hub, run};

/// Makes a token with further arguments, such as `["--scope", "publish"]`.
pub fn token(data: &Path, arguments: &[&str]) -> String {
    let data = data.to_str().unwrap();
    let made = run(&[&["token", "create", "--name", "test", "--data", data], arguments].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Somebody who asks a hub, with a token or without.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// The token, if any.
    pub token: Option<&'a str>,
}

impl Client<'_> {
    /// Sends a request with header fields and a body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = self.token.map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        all.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if body.is_empty() && method != "GET" && method != "HEAD" && !has_length {
            all.push(("Content-Length", "0"));
        }
        send(self.hub.address(), method, path, &all, body)
    }

    /// Sends a GET.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// Sends JSON.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[], body.to_string().as_bytes())
    }

    /// Uploads bytes under their digest.
    pub fn upload(&self, bytes: &[u8]) -> Answer {
        self.send("PUT", &format!("/v1/blobs/sha256/{}", Sha256::of(bytes)), &[], bytes)
    }
}

/// Status and code of a refusal.
pub fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}
