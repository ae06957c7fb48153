//! What is shipped to run a hub with: the systemd unit, the image and the compose file, held against the hub itself. No
//! daemon is needed; tools that are not installed are left out, and said so.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]
#![allow(clippy::print_stderr, reason = "who runs the tests must see what was not tried")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use phasic_hub_tests::hub::{command, run};
use phasic_hub_tests::program;
use yaml_rust2::{Yaml, YamlLoader};

fn shipped(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docker")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(shipped(name)).unwrap()
}

/// Whether a tool is installed; says so if not.
fn is_here(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("not tried: {tool} is not installed");
    }
    found
}

/// That the hub takes these variables, beside its example settings.
fn assert_settings(variables: &BTreeMap<String, String>) {
    let example = shipped("hub.toml");
    let mut check = command(&["config", "check", "--config", example.to_str().unwrap()]);
    let output = check.envs(variables).output().unwrap();
    assert!(output.status.success(), "{variables:?}: {}", String::from_utf8_lossy(&output.stderr));
    for name in variables.keys() {
        assert!(name.starts_with("PHASIC_HUB_"), "{name} sets nothing of a hub");
    }
}

/// That the hub has this subcommand, with these options.
fn assert_command(words: &[&str]) {
    let names = words.iter().take_while(|word| !word.starts_with("--")).copied();
    let help = run(&names.chain(["--help"]).collect::<Vec<_>>());
    assert!(help.status.success(), "{words:?}: {}", String::from_utf8_lossy(&help.stderr));
    let help = String::from_utf8(help.stdout).unwrap();
    for option in words.iter().filter(|word| word.starts_with("--")) {
        assert!(
            help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
            "{option}: {help}"
        );
    }
}

/// Seconds a hub may take to end in good order, by the settings that are shipped.
fn drain_seconds() -> f64 {
    let template =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src/config/hub.toml")).unwrap();
    let milliseconds = |text: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix("drain_timeout_ms = "))?;
        Some(line.trim().parse().unwrap())
    };
    milliseconds(&text("hub.toml")).or_else(|| milliseconds(&template)).unwrap() / 1000.0
}

/// The values of a key of a unit, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(name, _)| *name == key).map(|(_, value)| value).collect()
}

#[test]
fn the_unit_starts_what_there_is_and_gives_it_time_to_end() {
    let unit = text("phasic-hub.service");
    for key in ["ExecStartPre", "ExecStart"] {
        for line in values(&unit, key) {
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(words[0], "/usr/local/bin/phasic-hub");
            assert_command(&words[1..]);
        }
    }
    let variables = values(&unit, "Environment").into_iter().map(|pair| pair.split_once('=').unwrap());
    assert_settings(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    let state = format!("PHASIC_HUB_DATA_DIR=/var/lib/{}", values(&unit, "StateDirectory")[0]);
    assert!(values(&unit, "Environment").contains(&state.as_str()), "the only place it may write to");
    let patience: f64 = values(&unit, "TimeoutStopSec")[0].parse().unwrap();
    assert!(patience > drain_seconds(), "an orderly end counts as none if it is cut short");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !is_here("systemd-analyze") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("phasic-hub.service");
    let hub = program::phasic_hub();
    let unit = text("phasic-hub.service").replace("/usr/local/bin/phasic-hub", hub.to_str().unwrap());
    fs::write(&file, unit).unwrap();
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&verify.stderr);
    let about_it: Vec<_> = said.lines().filter(|line| line.contains("phasic-hub")).collect();
    assert!(verify.status.success() && about_it.is_empty(), "{said}");
    // What a service may do that needs nothing: 10 is everything, 2 is hardly anything.
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(&file)
        .output()
        .unwrap();
    let said = [security.stdout, security.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if said.contains("unrecognized option") {
        eprintln!("not tried: this systemd-analyze judges no files");
        return;
    }
    assert!(security.status.success(), "{said}");
}

/// The instructions of the image, with continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let joined = text("Dockerfile").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// What the last stage of the image says under a word.
fn of_image(word: &str) -> Vec<String> {
    let all = instructions();
    let last = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    all[last..].iter().filter(|(name, _)| name == word).map(|(_, rest)| rest.clone()).collect()
}

fn image_variables() -> BTreeMap<String, String> {
    let pairs = of_image("ENV");
    let pairs = pairs.iter().flat_map(|line| line.split(' ')).map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_image_is_made_of_named_versions_and_runs_the_hub_as_nobody() {
    const KNOWN: [&str; 11] = [
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "USER",
        "VOLUME",
        "EXPOSE",
        "ENV",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    ];
    let all = instructions();
    let mut stages = Vec::new();
    for (word, rest) in &all {
        assert!(KNOWN.contains(&word.as_str()), "{word} {rest}");
        if word == "FROM" {
            let mut words = rest.split(' ');
            let image = words.next().unwrap();
            let tag = image.rsplit('/').next().unwrap().split_once(':').map(|(_, tag)| tag);
            assert!(tag.is_some_and(|tag| tag != "latest"), "{image} may be another one tomorrow");
            stages.extend(words.nth(1).map(str::to_owned));
        }
        if let Some(from) = rest.strip_prefix("--from=") {
            let stage = from.split(' ').next().unwrap();
            assert!(stages.iter().any(|known| known == stage), "{rest}: no such stage");
        }
    }
    let workspace = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
    let rust =
        workspace.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(all[0].1.starts_with(&format!("rust:{rust}")), "{} builds no Rust {rust}", all[0].1);
    let user: u32 = of_image("USER")[0].split(':').next().unwrap().parse().unwrap();
    assert!(user > 0, "not root");
    assert_settings(&image_variables());
    let data = &of_image("VOLUME")[0];
    assert_eq!(&image_variables()["PHASIC_HUB_DATA_DIR"], data);
    assert!(image_variables()["PHASIC_HUB_LISTEN"].ends_with(&format!(":{}", of_image("EXPOSE")[0])));
    let words = |word: &str| -> Vec<String> { serde_json::from_str(&of_image(word)[0]).unwrap() };
    let program = words("ENTRYPOINT")[0].clone();
    assert!(
        of_image("COPY").iter().any(|rest| rest.ends_with(&format!(" {program}"))),
        "{program} is not in it"
    );
    assert_command(&words("CMD").iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn hadolint_finds_nothing_wrong_with_the_image() {
    if !is_here("hadolint") {
        return;
    }
    let output = Command::new("hadolint").arg(shipped("Dockerfile")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_compose_file_agrees_with_image_and_settings() {
    const KNOWN: [&str; 11] = [
        "build",
        "image",
        "command",
        "ports",
        "environment",
        "volumes",
        "read_only",
        "cap_drop",
        "security_opt",
        "stop_grace_period",
        "restart",
    ];
    let file = YamlLoader::load_from_str(&text("compose.yaml")).unwrap().remove(0);
    let names = |table: &Yaml| -> Vec<String> {
        table.as_hash().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&file), ["services", "volumes"]);
    assert_eq!(names(&file["services"]), ["hub"]);
    let hub = &file["services"]["hub"];
    for name in names(hub) {
        assert!(KNOWN.contains(&name.as_str()), "{name} is nothing this test knows of");
    }
    let context = shipped(hub["build"]["context"].as_str().unwrap());
    assert!(context.join(hub["build"]["dockerfile"].as_str().unwrap()).is_file());
    assert_command(&texts(&hub["command"]));

    let variables = hub["environment"].as_hash().unwrap().iter();
    let variables = variables
        .map(|(name, value)| (name.as_str().unwrap().to_owned(), value.as_str().unwrap().to_owned()));
    assert_settings(&image_variables().into_iter().chain(variables).collect());

    let mut mounted = BTreeMap::new();
    for mount in texts(&hub["volumes"]) {
        let (source, place) = mount.split_once(':').unwrap();
        let place = place.trim_end_matches(":ro");
        let is_there = if source.starts_with('.') {
            shipped(source).is_file()
        } else {
            names(&file["volumes"]).iter().any(|volume| volume == source)
        };
        assert!(is_there, "{source} is neither a file nor a volume");
        mounted.insert(place, source);
    }
    assert!(mounted.contains_key(of_image("VOLUME")[0].as_str()), "the data outlive the container");
    let settings = texts(&hub["command"]).last().copied().unwrap();
    assert_eq!(mounted.get(settings), Some(&"./hub.toml"), "the settings are where they are read");

    for port in texts(&hub["ports"]) {
        let (outside, inside) = port.rsplit_once(':').unwrap();
        assert_eq!(inside, of_image("EXPOSE")[0]);
        assert!(outside.starts_with("127.0.0.1:"), "{port} is open to the network without TLS");
    }
    assert_eq!(hub["read_only"].as_bool(), Some(true));
    assert_eq!(texts(&hub["cap_drop"]), ["ALL"]);
    let grace = hub["stop_grace_period"].as_str().unwrap();
    assert!(grace.strip_suffix('s').unwrap().parse::<f64>().unwrap() > drain_seconds());
}
