//! What a real hub answers, header by header.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

mod artifacts;
mod documentation;
mod problems;
mod registry;

use std::sync::{Arc, Mutex, Weak};

use phasic_hub_api::{Problem, ProblemCode, Sha256};
use phasic_hub_tests::http::Answer;
use phasic_hub_tests::hub::Hub;
use phasic_hub_tests::registry::{Model, model};

const ID: &str = "coal_n5_theta1";

struct Fixture {
    hub: Hub,
    data: tempfile::TempDir,
    model: Model,
}

/// One hub for the tests that only ask, for as long as any of them runs. A plain static would never be dropped, and its
/// hub would outlive the tests.
fn fixture() -> Arc<Fixture> {
    static FIXTURE: Mutex<Weak<Fixture>> = Mutex::new(Weak::new());
    let mut shared = FIXTURE.lock().unwrap();
    if let Some(fixture) = shared.upgrade() {
        return fixture;
    }
    let data = tempfile::tempdir().unwrap();
    let fixture = Arc::new(Fixture { hub: Hub::start(data.path()), data, model: model(ID) });
    *shared = Arc::downgrade(&fixture);
    fixture
}

impl Fixture {
    fn bytes(&self) -> &[u8] {
        &self.model.ptdprmc3
    }

    fn path(&self) -> String {
        format!("/artifacts/{}.bin", self.model.hash)
    }

    fn digest(&self) -> String {
        Sha256::of(self.bytes()).to_string()
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.digest())
    }
}

fn assert_problem(answer: &Answer, code: ProblemCode) {
    assert_eq!(answer.status, code.status(), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((problem.code.as_str(), problem.status), (code.as_str(), code.status()));
    assert_eq!(problem.title, code.title());
    assert!(problem.detail.ends_with('.'), "{problem:?}");
    assert!(problem.request_id.is_some() && problem.request_id.as_deref() == answer.header("x-request-id"));
}
