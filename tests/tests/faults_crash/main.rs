//! Processes of a real hub killed (SIGKILL) at random moments: nothing acknowledged is lost, nothing is half there.
//!
//! The short tests are ordinary; `just faults` runs the long ones. A failing test prints the seed that repeats it.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]
#![allow(clippy::print_stdout, reason = "measurements are shown to whoever asks for them with --nocapture")]

#[cfg(target_os = "linux")]
mod calls;
mod collections;
#[cfg(target_os = "linux")]
mod failing;
mod jobs;
mod passes;
#[cfg(target_os = "linux")]
mod power;
mod tokens;
mod uploads;

use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use phasic_hub_tests::hub::{Hub, command};

/// Lets everybody compute, so that only tokens need a token.
const SETTINGS: &[(&str, &str)] = &[("access_anonymous", "compute"), ("compute_threads", "1")];

fn start(data: &Path) -> Hub {
    start_with(data, &[])
}

fn start_with(data: &Path, settings: &[(&str, &str)]) -> Hub {
    let begun = Instant::now();
    let hub = Hub::start_with(data, &[], &[SETTINGS, settings].concat());
    // Shown with --nocapture; a loaded machine has no say in whether the test passes.
    println!("ready after {:?}", begun.elapsed());
    hub
}

fn kill(hub: Hub) {
    hub.signal("KILL");
    hub.ended();
}

/// Runs a command of the hub, and kills it at a moment if it has not ended by then. Says whether it had succeeded.
fn cut_short(arguments: &[&str], moment: Duration) -> bool {
    let mut child: Child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(moment);
    // It may have ended.
    let _ = child.kill();
    child.wait().unwrap().success()
}

#[test]
fn a_mirror_pass_that_is_killed_leaves_the_state_of_one_document() {
    passes::commands_are_killed(3, 1);
}

#[test]
fn a_hub_that_is_killed_within_a_mirror_pass_has_the_state_of_one_document() {
    passes::hubs_are_killed(4, 6);
}

#[test]
fn accepted_jobs_survive_the_death_of_the_hub() {
    jobs::hubs_are_killed(2, 2);
}

#[test]
fn a_collection_that_is_killed_has_removed_nothing_that_is_wanted() {
    collections::are_killed(3, 3);
}

#[test]
fn acknowledged_changes_of_tokens_survive_the_death_of_the_hub() {
    tokens::hubs_with_tokens_are_killed(2, 4);
}

#[test]
fn acknowledged_uploads_survive_the_death_of_the_hub_and_others_go_on() {
    uploads::hubs_with_uploads_are_killed(3, 5);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_acknowledged_was_synced_in_the_order_that_survives_a_loss_of_power() {
    power::what_is_acknowledged_is_on_disk();
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "calls that fail take minutes: just faults"]
fn calls_to_files_that_fail_lose_nothing_that_was_acknowledged() {
    calls::fail(4, 7);
}

#[test]
#[ignore = "40 killed passes take minutes: just faults"]
fn forty_killed_mirror_passes() {
    passes::commands_are_killed(40, 11);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_within_mirror_passes() {
    passes::hubs_are_killed(40, 16);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_with_jobs() {
    jobs::hubs_are_killed(40, 12);
}

#[test]
#[ignore = "40 killed collections take minutes: just faults"]
fn forty_killed_collections() {
    collections::are_killed(40, 13);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_with_changes_of_tokens() {
    tokens::hubs_with_tokens_are_killed(40, 14);
}

#[test]
#[ignore = "40 killed hubs take minutes: just faults"]
fn forty_hubs_killed_with_uploads() {
    uploads::hubs_with_uploads_are_killed(40, 15);
}
