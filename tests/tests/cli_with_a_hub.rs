//! The `phasic` command beside a real hub: the tutorial, as a user types it.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::PathBuf;
use std::process::{Command, Output};

use phasic_engine::reference;
use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::Hub;
use phasic_hub_tests::program;
use serde_json::Value;

/// A hub, and a user with a home folder of their own.
struct Lab {
    /// `None` after it was stopped.
    hub: Option<Hub>,
    url: String,
    home: tempfile::TempDir,
}

impl Lab {
    fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let hub = Hub::start(&home.path().join("hub-data"));
        Self { url: format!("http://{}", hub.address()), hub: Some(hub), home }
    }

    fn phasic(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program::phasic());
        command.args(arguments).env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("PHASIC_HUB_URL", &self.url).output().unwrap()
    }

    /// The output of a command that must succeed.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.phasic(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Where phasic looks for the program of a graph.
    fn cached(&self, hash: &str) -> PathBuf {
        self.home.path().join(".phasic_cache/parameterized_reward_compute").join(format!("{hash}.bin"))
    }
}

#[test]
fn everything_a_fresh_hub_lists_can_be_shown_and_pulled_and_is_reproduced() {
    let lab = Lab::open();
    let listed = lab.json(&["list"]);
    let ids: Vec<_> =
        listed.as_array().unwrap().iter().map(|compute| compute["compute_id"].as_str().unwrap()).collect();
    assert_eq!(ids, reference::computes().iter().map(|compute| compute.id).collect::<Vec<_>>());
    for id in ids {
        let shown = lab.json(&["show", id]);
        let pulled = lab.json(&["pull", id]);
        assert_eq!(
            (&pulled["status"], &pulled["evidence"]),
            (&"installed".into(), &"reproduced".into()),
            "{id}"
        );
        assert_eq!(pulled["compute_id"], id);
        let hash = shown["graph_hash"].as_str().unwrap();
        let bytes = std::fs::read(lab.cached(hash)).unwrap();
        assert!(bytes.starts_with(b"PTDPRMC3"), "{id} is in the form phasic uses");
        // The hub serves that very form, so the installed file is the one the registry vouches for.
        assert_eq!(Sha256::of(&bytes).to_string(), shown["artifacts"]["parent"]["sha256"].as_str().unwrap());
        assert_eq!(lab.json(&["pull", id])["status"], "present");
    }
}

#[test]
fn a_user_reuses_a_model_by_its_own_document_and_gets_the_papers_numbers() {
    let lab = Lab::open();
    let pulled = lab.json(&["pull", "builtin:kingman", "--set", "n=5"]);
    let path = pulled["path"].as_str().unwrap();
    let numbers = lab.json(&["eval", "builtin:kingman", "--set", "n=5", "--theta", "1", "--artifact", path]);
    assert_eq!(numbers[0]["expectation"], 1.6);
    assert!(lab.says(&["inspect", path, "--graph", "coal_n5_theta1"]).contains("verified (reproduced)"));
}

#[test]
fn a_model_the_hub_does_not_have_is_a_plain_no_without_a_file() {
    let lab = Lab::open();
    let output = lab.phasic(&["pull", "builtin:kingman", "--set", "n=11"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    let hash = lab.says(&["hash", "builtin:kingman", "--set", "n=11"]);
    assert!(!lab.cached(hash.trim()).exists());
}

#[test]
fn what_was_pulled_stays_usable_when_the_hub_is_gone() {
    let mut lab = Lab::open();
    lab.says(&["pull", "rabbits_n7"]);
    assert!(lab.hub.take().unwrap().stop().status.success());
    assert_eq!(lab.json(&["pull", "rabbits_n7"])["status"], "present");
    let output = lab.phasic(&["pull", "erlang_k4"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("is the hub running there"));
}
