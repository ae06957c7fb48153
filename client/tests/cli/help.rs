//! Help texts, word for word: they are what scripts and people rely on.

use crate::scene::Scene;

const COMMANDS: [&str; 11] = [
    "models",
    "hash",
    "graph",
    "forecast",
    "eliminate",
    "inspect",
    "eval",
    "transform",
    "list",
    "show",
    "pull",
];
const TRANSFORMS: [&str; 13] = [
    "rewards",
    "discretize",
    "normalize",
    "passage",
    "start",
    "settle",
    "sum",
    "minimum",
    "maximum",
    "order",
    "mixture",
    "matrices",
    "from-matrices",
];

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let scene = Scene::new();
    insta::assert_snapshot!("phasic", scene.output(&["--help"]));
    for command in COMMANDS {
        insta::assert_snapshot!(command, scene.output(&[command, "--help"]));
    }
    for kind in TRANSFORMS {
        // The flags of every command stand in the others.
        let help = scene.output(&["transform", kind, "-h"]);
        insta::assert_snapshot!(format!("transform_{kind}"), help.split("\n\nEverywhere:").next().unwrap());
    }
}

#[test]
fn the_commands_listed_are_these() {
    let help = Scene::new().output(&["--help"]);
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, [&COMMANDS[..], &["help"]].concat());
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(Scene::new().output(&["--version"]), format!("phasic {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn no_command_is_wrong_usage_and_shows_the_help() {
    let ended = Scene::new().run(&[]);
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("Usage: phasic [OPTIONS] <COMMAND>"), "{}", ended.err);
}
