//! When passes come although the moment that was noted for the next one is nobody's any more.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_hub_tests::database;
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::registry::{document, entry, kingman, write_directory};

struct Place {
    directory: tempfile::TempDir,
    upstreams: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let checkout = directory.path().join("lab");
        let model = kingman(6);
        let files = [(format!("artifacts/{}.bin", model.hash), &model.ptdprmc3[..])];
        write_directory(&checkout, &document(&[("theirs", entry(&model, &model.ptdprmc3))]), &files);
        let upstreams =
            format!(r#"[{{name = "lab", url = "{}", interval_ms = 3600000}}]"#, checkout.display());
        Self { directory, upstreams }
    }

    fn data(&self) -> std::path::PathBuf {
        self.directory.path().join("hub-data")
    }

    fn hub(&self) -> Hub {
        Hub::start_with(&self.data(), &[], &[("mirror_upstreams", &self.upstreams)])
    }
}

/// The number of the last pass.
fn last_pass(place: &Place) -> String {
    database::texts(&place.data(), "SELECT CAST(coalesce(max(number), 0) AS TEXT) FROM passes").remove(0)
}

/// Whether another pass has come by itself when the next one was noted for a moment, and how long upstream is left alone.
fn comes_at_once(place: &Place, next_run: &str, wait: &str) -> bool {
    let sql = format!(
        "UPDATE upstreams SET next_run_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{next_run}'), \
         wait_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '{wait}')"
    );
    database::execute(&place.data(), &sql);
    let before = last_pass(place);
    let _hub = place.hub();
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs() < 4 {
        if last_pass(place) != before {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    false
}

#[test]
fn a_mirror_does_not_wait_for_a_moment_of_a_clock_that_was_ahead_or_of_a_longer_interval() {
    let place = Place::new();
    let hub = place.hub();
    wait_until("the first pass is done", || last_pass(&place) == "1");
    drop(hub);
    assert!(comes_at_once(&place, "+400 days", "+400 days"), "the clock was a year ahead");
    assert!(comes_at_once(&place, "+7 days", "-1 days"), "the interval was a week");
    assert!(!comes_at_once(&place, "+2 hours", "+2 hours"), "upstream has asked for two hours");
}
