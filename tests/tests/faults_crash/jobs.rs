//! Jobs that wait and run.

use std::time::Duration;

use phasic_hub_api::Sha256;
use phasic_hub_tests::hub::{Hub, wait_until};
use phasic_hub_tests::oracle::Names;
use phasic_hub_tests::registry::kingman;
use phasic_hub_tests::seed::Seeded;
use serde_json::{Value, json};

use super::{kill, start};

/// So many samples take long enough to be seen at work, on most machines.
const LONG: u64 = 4000;
/// No machine is done with so many before it is killed.
const LONGEST: u64 = LONG << 8;

/// Jobs that were accepted are done after the restart, and their files are what they should be. The first of each round
/// is meant to be at work when the hub is killed: where the machine was done with it, it is twice as long in the next
/// round, and there are more rounds until one was interrupted.
pub(crate) fn hubs_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut hub = start(data.path());
    let (mut names, mut long, mut interruptions) = (Names::default(), LONG, 0);
    for round in 0.. {
        if round >= times as u64 && interruptions > 0 {
            break;
        }
        assert!(long <= LONGEST, "no hub was killed while a job ran");
        let accepted: Vec<(u64, String)> = [long + round, 30 + round * 2, 31 + round * 2]
            .into_iter()
            .map(|n| {
                let asked = json!({"model": {"builtin": "kingman", "constants": {"n": n}}});
                let answer = hub.post("/v1/eliminations", &asked);
                assert_eq!(answer.status, 202, "{}", answer.text());
                (n, answer.json()["job"]["id"].as_str().unwrap().to_owned())
            })
            .collect();
        wait_until("the long job runs", || job(&hub, &accepted[0].1)["state"] != "queued");
        std::thread::sleep(seeded.moment(Duration::from_millis(30)));
        kill(hub);
        hub = start(data.path());
        names.everything_holds(&hub, data.path());
        // A job is tried three times in all, so a hub may not be killed in the middle of one for ever.
        let before = interruptions;
        for (n, id) in &accepted {
            wait_until("the job is done", || job(&hub, id)["state"] == "done");
            let job = job(&hub, id);
            interruptions += u64::from(job["attempts"] != 1);
            let digest = job["artifact"]["sha256"].as_str().unwrap();
            let file = hub.get(&format!("/v1/blobs/sha256/{digest}"));
            assert_eq!(Sha256::of(&file.body).to_string(), digest);
            assert_eq!(file.body, kingman(i64::try_from(*n).unwrap()).ptdprmc3, "I3: n = {n}");
        }
        if interruptions == before {
            long *= 2;
        }
    }
    println!("{interruptions} jobs were interrupted");
}

/// A job that is not given up.
fn job(hub: &Hub, id: &str) -> Value {
    let answer = hub.get(&format!("/v1/jobs/{id}"));
    assert_eq!(answer.status, 200, "I3: an accepted job is lost: {id}");
    let job = answer.json();
    let is_given_up = matches!(job["state"].as_str(), Some("failed" | "quarantined" | "cancelled"));
    assert!(!is_given_up, "{}", answer.text());
    job
}
