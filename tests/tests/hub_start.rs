//! Starting, stopping, settings and tokens of a real hub process.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use phasic_engine::reference;
use phasic_hub_tests::hub::{Hub, command, run, sync};
use phasic_hub_tests::registry::{self, write_directory};

fn data(directory: &tempfile::TempDir) -> std::path::PathBuf {
    directory.path().join("hub-data")
}

fn stderr(output: &std::process::Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn a_first_start_makes_everything_and_a_second_one_only_uses_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(&directory);
    let hub = Hub::start(&data);
    let address = hub.address();
    let registry = hub.get("/registry.json?paths=relative");
    let first = hub.stop();
    assert!(first.status.success());
    assert_eq!(first.stdout.len(), 4, "{:?}", first.stdout);
    assert!(first.stdout[2].contains("Reading asks for no token"), "{:?}", first.stdout);
    assert!(first.stdout[3].contains("phasic-hub token create"), "{:?}", first.stdout);
    assert_eq!(first.stdout[0], format!("Phasic Hub is listening on http://{address}"));
    let token = first.stdout[1].strip_prefix("Admin token, shown only now: ").unwrap();
    assert!(token.starts_with("hub_") && token.len() == 60, "{token}");
    for compute in reference::computes() {
        assert!(first.log.contains(compute.id), "{} is not in the log", compute.id);
    }

    let hub = Hub::start(&data);
    assert_eq!(hub.get("/registry.json?paths=relative").body, registry.body);
    let second = hub.stop();
    assert_eq!(second.stdout.len(), 1, "the token is shown once: {:?}", second.stdout);
    assert!(!second.log.contains("published"), "a warm start eliminates nothing: {}", second.log);
    assert!(!holds(&data, token), "the token is stored as a hash only");
    assert!(!first.log.contains(token) && !second.log.contains(token));
}

#[test]
fn what_was_rendered_before_spares_work_and_is_never_believed_when_it_was_changed() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(&directory);
    let served = || {
        let hub = Hub::start_with(&data, &["--public-url", "https://hub.example"], &[]);
        let body = hub.get("/registry.json").body;
        (body, hub.stop().log)
    };
    let (first, _) = served();
    let kept = data.join("registry.rendered");
    let whole = fs::read(&kept).unwrap();
    let (again, log) = served();
    assert_eq!(again, first);
    assert!(!log.contains("rendered before"), "{log}");
    let mut changed = whole.clone();
    let place = whole.windows(7).position(|window| window == b"kingman").unwrap();
    changed[place] = b'K';
    fs::write(&kept, &changed).unwrap();
    let (rendered, log) = served();
    assert_eq!(rendered, first);
    assert!(log.contains("cannot use what was rendered before"), "{log}");
    assert_eq!(fs::read(&kept).unwrap(), whole, "the next start has it again");
}

/// Whether any file of a directory holds a text.
fn holds(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, text);
        }
        fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn no_subcommand_means_serve() {
    let directory = tempfile::tempdir().unwrap();
    // Without a subcommand and with a wrong address: what complains is `serve`.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address, "--data", directory.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&format!("cannot listen on {address}")), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn options_in_front_of_a_subcommand_are_refused_rather_than_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(&["--data", directory.path().to_str().unwrap(), "token", "list"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_data_directory_is_served_by_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start(directory.path());
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data", directory.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("another phasic-hub serves the data directory"), "{}", stderr(&output));
    assert_eq!(hub.get("/healthz").status, 200);
}

#[test]
fn a_killed_hub_starts_again_with_everything_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start(directory.path());
    let registry = hub.get("/registry.json?paths=relative").body;
    hub.signal("KILL");
    hub.ended();
    fs::create_dir_all(directory.path().join("tmp/1-dead")).unwrap();
    fs::write(directory.path().join("tmp/1-dead/0"), "half a blob").unwrap();
    let hub = Hub::start(directory.path());
    assert_eq!(hub.get("/registry.json?paths=relative").body, registry);
    assert!(!directory.path().join("tmp/1-dead").exists());
}

#[test]
fn settings_come_from_file_environment_and_flags() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hub.toml");
    fs::write(&file, "public_url = \"https://file.example\"\n[log]\nformat = \"json\"\n").unwrap();
    let file = file.to_str().unwrap();
    let base = |arguments: &[&str], settings: &[(&str, &str)]| {
        let hub = Hub::start_with(&data(&directory), arguments, settings);
        // The Host header is the client's word, and not believed.
        let registry = hub.request("GET", "/registry.json", &[("Host", "evil.example")]).json();
        let location = registry["computes"]["coal_n5_theta1"]["artifacts"]["parent"]["cid_or_path"].clone();
        let (address, ended) = (hub.address(), hub.stop());
        let base = location.as_str().unwrap().split("/artifacts/").next().unwrap().to_owned();
        (base.replace(&address.to_string(), "ADDRESS"), ended)
    };
    assert_eq!(base(&[], &[]).0, "http://ADDRESS");
    let (from_file, ended) = base(&["--config", file], &[]);
    assert_eq!(from_file, "https://file.example");
    for line in ended.log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap()["level"].is_string());
    }
    let variable = [("public_url", "https://variable.example/")];
    assert_eq!(base(&["--config", file], &variable).0, "https://variable.example");
    let flag = ["--config", file, "--public-url", "https://flag.example/hub"];
    assert_eq!(base(&flag, &variable).0, "https://flag.example/hub");
}

#[test]
fn wrong_settings_end_with_status_2_and_say_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hub.toml");
    fs::write(&file, "[http]\nmax_conections = 5\n").unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("max_conections"), "{}", stderr(&output));
    let output = command(&["token", "list"]).env("PHASIC_HUB_LISTN", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("PHASIC_HUB_LISTN"), "{}", stderr(&output));
    assert_eq!(run(&["serve", "--listen", "here"]).status.code(), Some(2));
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let made = run(&[
        "token",
        "create",
        "--name",
        "ci",
        "--scope",
        "read",
        "--scope",
        "publish",
        "--expires",
        "90d",
        "--data",
        data,
    ]);
    let token = String::from_utf8(made.stdout).unwrap();
    assert!(token.starts_with("hub_") && token.lines().count() == 1, "{token}");
    let list = || String::from_utf8(run(&["token", "list", "--data", data]).stdout).unwrap();
    let listing = list();
    assert!(listing.contains("\tci\tread publish\t") && !listing.contains(token.trim()), "{listing}");
    let id = listing.lines().nth(1).unwrap().split('\t').next().unwrap();
    assert!(run(&["token", "revoke", id, "--data", data]).status.success());
    assert!(!list().lines().nth(1).unwrap().ends_with('-'), "{}", list());
    let again = run(&["token", "revoke", id, "--data", data]);
    assert_eq!(again.status.code(), Some(1), "a plain no: {}", stderr(&again));
    let wrong = run(&["token", "create", "--name", "x", "--scope", "root", "--data", data]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn offline_asks_nobody_but_still_reads_directories() {
    let directory = tempfile::tempdir().unwrap();
    let model = registry::model("erlang_k4");
    let files = [(format!("artifacts/{}.bin", model.hash), &model.ptdprmc1[..])];
    let checkout = directory.path().join("checkout");
    let document = registry::document(&[("mine", registry::entry(&model, &model.ptdprmc1))]);
    write_directory(&checkout, &document, &files);
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let url = format!("http://{}", canary.local_addr().unwrap());
    let output = sync(&data(&directory), &url, &[("offline", "true")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("offline"), "{}", stderr(&output));
    assert!(canary.accept().is_err(), "somebody was asked");
    let output = sync(&data(&directory), checkout.to_str().unwrap(), &[("offline", "true")]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn the_committed_api_document_is_the_one_the_hub_has() {
    let printed = String::from_utf8(run(&["openapi"]).stdout).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(printed == committed, "write it anew: cargo run -p phasic-hub -- openapi > openapi/openapi.json");
    let directory = tempfile::tempdir().unwrap();
    let served = Hub::start(directory.path()).get("/openapi.json");
    assert_eq!(served.text(), committed);
    assert_eq!(served.header("content-type"), Some("application/json"));
}
