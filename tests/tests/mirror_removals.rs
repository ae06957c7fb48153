//! What a pass over a directory may take away, with real processes.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::Path;

use phasic_hub_tests::hub::{run, sync_with};
use phasic_hub_tests::registry::{Model, document, entry, kingman, write_directory};

/// A pass: its exit status, and what it said.
fn pass(data: &Path, from: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = sync_with(data, from.to_str().unwrap(), arguments, &[]);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn write(checkout: &Path, entries: &[(&str, &Model)]) {
    let files: Vec<_> = entries
        .iter()
        .map(|(_, model)| (format!("artifacts/{}.bin", model.hash), &model.ptdprmc3[..]))
        .collect();
    let entries: Vec<_> = entries.iter().map(|(id, model)| (*id, entry(model, &model.ptdprmc3))).collect();
    write_directory(checkout, &document(&entries), &files);
}

#[test]
fn another_upstream_and_an_empty_one_need_the_word_of_the_operator() {
    let place = tempfile::tempdir().unwrap();
    let [data, first, second] = ["data", "first", "second"].map(|name| place.path().join(name));
    let (one, two) = (kingman(4), kingman(5));
    write(&first, &[("a", &one), ("b", &two)]);
    write(&second, &[("c", &one)]);
    assert_eq!(pass(&data, &first, &[]).0, Some(0));

    let (status, said) = pass(&data, &second, &["--remove-many"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("mirrors as manual") && said.contains("--replace"), "{said}");
    write(&first, &[]);
    let (status, said) = pass(&data, &first, &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("2 of the 2") && said.contains("--remove-many"), "{said}");

    let (status, said) = pass(&data, &second, &["--replace"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("1 mirrored, 0 notes, 2 changes\n  renamed c, formerly a\n  vanished b\n"),
        "{said}"
    );
}

#[test]
fn renaming_computes_and_retracting_them_at_once_is_removing_them() {
    let place = tempfile::tempdir().unwrap();
    let [data, checkout] = ["data", "checkout"].map(|name| place.path().join(name));
    let models = [4, 5, 6].map(kingman);
    let [a, b, c] = &models;
    write(&checkout, &[("a", a), ("b", b), ("c", c)]);
    assert_eq!(pass(&data, &checkout, &[]).0, Some(0));
    // Under another name that everybody sees they are as good as before.
    write(&checkout, &[("x", a), ("y", b), ("z", c)]);
    let (status, said) = pass(&data, &checkout, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("renamed x, formerly a") && !said.contains("vanished"), "{said}");
    let hidden = |names: [&'static str; 3], are_hidden: [bool; 3]| {
        let entries = names.iter().zip(&models).zip(are_hidden).map(|((name, model), is_hidden)| {
            let mut entry = entry(model, &model.ptdprmc3);
            entry["retracted"] = is_hidden.into();
            (*name, entry)
        });
        write_directory(&checkout, &document(&entries.collect::<Vec<_>>()), &[]);
    };
    hidden(["k", "l", "m"], [true; 3]);
    let (status, said) = pass(&data, &checkout, &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("3 of the 3") && said.contains("--remove-many"), "{said}");
    hidden(["x", "l", "z"], [false, true, false]);
    let (status, said) = pass(&data, &checkout, &[]);
    assert_eq!(status, Some(2), "one of three is more than 30 %: {said}");
    assert!(said.contains("1 of the 3"), "{said}");
    hidden(["k", "l", "m"], [true; 3]);
    let (status, said) = pass(&data, &checkout, &["--remove-many"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.matches("vanished").count(), 3, "{said}");
}

#[test]
fn an_entry_that_becomes_unreadable_keeps_its_last_good_version() {
    let place = tempfile::tempdir().unwrap();
    let [data, checkout] = ["data", "checkout"].map(|name| place.path().join(name));
    let model = kingman(4);
    write(&checkout, &[("a", &model)]);
    assert_eq!(pass(&data, &checkout, &[]).0, Some(0));
    let mut bad = entry(&model, &model.ptdprmc3);
    bad["graph_hash"] = 7.into();
    write_directory(&checkout, &document(&[("a", bad)]), &[]);
    let (status, said) = pass(&data, &checkout, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 entries, 1 mirrored, 1 notes"), "{said}");
}

#[test]
fn the_last_pass_and_its_faults_can_be_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let [data, checkout] = ["data", "checkout"].map(|name| place.path().join(name));
    let status = || run(&["mirror", "status", "--data", data.to_str().unwrap()]);
    assert_eq!(status().status.code(), Some(2), "there is no hub");
    let made =
        run(&["token", "create", "--name", "first", "--scope", "read", "--data", data.to_str().unwrap()]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(status().status.code(), Some(1), "a hub that never mirrored is a plain no");
    let mut later = entry(&kingman(4), b"");
    later["format_revision"] = 4.into();
    write_directory(&checkout, &document(&[("later", later)]), &[]);
    assert_eq!(pass(&data, &checkout, &[]).0, Some(0));
    let said = String::from_utf8(status().stdout).unwrap();
    assert!(said.contains("manual: 0 computes, trust checked, not in the settings"), "{said}");
    assert!(said.contains("checkout/registry.json: 1 entries, 0 mirrored, 1 notes, 0 changes"), "{said}");
    assert!(said.contains("1 in quarantine"), "{said}");
    let passes = |arguments: &[&str]| {
        let output = run(&[&["mirror", "passes", "--data", data.to_str().unwrap()], arguments].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(passes(&[]).starts_with("1 manual at 20"), "{}", passes(&[]));
    assert!(passes(&["1"]).contains("\n  revision_unknown later: "), "{}", passes(&["1"]));
}
