//! The judge of the fault tests finds what it is for: each promise is broken by hand once.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use phasic_hub_tests::hub::Hub;
use phasic_hub_tests::oracle::{self, Names};
use phasic_hub_tests::registry::model;
use phasic_hub_tests::{blobs, database};

/// What is said when a promise is broken.
fn complaint(look: impl FnOnce()) -> String {
    let said = catch_unwind(AssertUnwindSafe(look)).expect_err("it was not found");
    said.downcast_ref::<String>().cloned().unwrap_or_default()
}

fn digest(id: &str) -> String {
    phasic_hub_api::Sha256::of(&model(id).ptdprmc3).to_string()
}

/// A directory whose hub has been ready once.
fn served(data: &Path, names: &mut Names) {
    let hub = Hub::start(data);
    names.everything_holds(&hub, data);
    hub.stop();
}

#[test]
fn other_bytes_lost_files_and_changed_lines_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    served(data, &mut Names::default());
    let file = blobs::path(data, &digest("coal_n5_theta1"));
    let good = fs::read(&file).unwrap();
    let mut rotten = good.clone();
    rotten[100] ^= 1;
    fs::write(&file, &rotten).unwrap();
    assert!(complaint(|| assert_eq!(oracle::blobs_have_their_bytes(data), 0)).contains("I1"));
    fs::remove_file(&file).unwrap();
    assert!(complaint(|| oracle::rows_have_their_files(data)).contains("I3"));
    fs::write(&file, good).unwrap();
    oracle::rows_have_their_files(data);
    oracle::audit_is_whole(data);
    database::execute(
        data,
        "DROP TRIGGER audit_never_changes; UPDATE audit SET subject = 'another' WHERE number = 1",
    );
    complaint(|| oracle::audit_is_whole(data));
}

#[test]
fn an_id_that_stands_for_something_else_without_a_revision_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut names = Names::default();
    served(data, &mut names);
    let (one, other) = ("coal_n5_theta1", "coal_n10_theta1");
    database::execute(
        data,
        &format!(
            "CREATE TEMP TABLE c AS SELECT * FROM computes; CREATE TEMP TABLE a AS SELECT * FROM compute_artifacts; \
             UPDATE computes SET entry = (SELECT entry FROM c WHERE id = '{other}') WHERE id = '{one}'; \
             UPDATE compute_artifacts SET (graph_hash, original_sha256, served_sha256) = (SELECT graph_hash, \
             original_sha256, served_sha256 FROM a WHERE compute_id = '{other}' AND role = 'parent') \
             WHERE compute_id = '{one}' AND role = 'parent'; UPDATE catalogue_changes SET number = number + 1"
        ),
    );
    let hub = Hub::start(data);
    assert_eq!(oracle::served_is_whole(&hub)[one], digest(other), "the fault is there");
    assert!(complaint(|| drop(names.change_by_revision(&hub))).contains("I4"));
}
