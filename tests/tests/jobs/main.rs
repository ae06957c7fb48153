//! Graphs, eliminations and jobs of a real hub: what is submitted, and what becomes of jobs.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

mod running;
mod submitted;

use phasic_hub_tests::http::{self, Answer};
use phasic_hub_tests::hub::Hub;
use serde_json::{Value, json};

/// Lets everybody compute. Who else may is the matter of `hub_access`.
const EVERYBODY: (&str, &str) = ("access_anonymous", "compute");

fn model(n: i64) -> Value {
    json!({"builtin": "kingman", "constants": {"n": n}})
}

/// A model whose elimination takes a moment: 180 thousand commands, made, read back, written and synced.
fn large() -> Value {
    json!({"builtin": "rabbits", "constants": {"n": 40}})
}

fn eliminate(hub: &Hub, body: &Value, wait: bool) -> Answer {
    let prefer: &[(&str, &str)] = if wait { &[("Prefer", "wait=25")] } else { &[] };
    http::send(hub.address(), "POST", "/v1/eliminations", prefer, body.to_string().as_bytes())
}

fn job(hub: &Hub, id: &str) -> Value {
    let answer = hub.get(&format!("/v1/jobs/{id}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
}

/// The path of an absolute URL of the hub.
fn path(hub: &Hub, url: &Value) -> String {
    url.as_str().unwrap().strip_prefix(&format!("http://{}", hub.address())).unwrap().to_owned()
}

/// All items of a list that comes in pages.
fn paged(hub: &Hub, at: &str, list: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hub.get(&format!("{at}{cursor}")).json();
        items.extend(page[list].as_array().unwrap().clone());
        match page.get("next") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => return items,
        }
    }
}
