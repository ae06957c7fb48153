//! What people read when something is wrong with what they gave.

use crate::scene::Scene;

#[test]
fn an_error_in_a_document_is_shown_in_its_line_with_a_caret() {
    let scene = Scene::new();
    scene.write(
        "bad.json",
        r#"{"format": "phasic-model/1", "state": ["a"], "parameters": ["rate"],
 "initial": [{"state": {"a": 4}}],
 "transitions": [{"when": "a > 1 and", "to": {"a": "a-1"}, "rate": {"rate": "a"}}]}
"#,
    );
    let ended = scene.run(&["hash", "bad.json"]);
    let expected = r#"error: cannot use 'bad.json': transitions[0].when (line 3, column 37): expected a value, but found the end
3 |  "transitions": [{"when": "a > 1 and", "to": {"a": "a-1"}, "rate": {"rate": "a"}}]}
  |                                     ^
"#;
    assert_eq!((ended.status, ended.out.as_str(), ended.err.as_str()), (2, "", expected));
}

#[test]
fn what_cannot_be_a_model_is_said_to_be_none() {
    let scene = Scene::new();
    scene.write("list.json", "[1, 2]");
    scene.write("picture.png", b"\x89PNG\r\n\x1a\n\xff\xfe");
    for (model, message) in [
        ("missing.json", "error: cannot read 'missing.json': "),
        ("folder/missing", "error: cannot read 'folder/missing': "),
        ("list.json", "error: cannot use 'list.json': "),
        ("picture.png", "error: cannot read 'picture.png': stream did not contain valid UTF-8"),
        ("builtin:nothing", "error: there is no built-in model 'nothing'; 'phasic models' lists them"),
        ("no such thing", "error: 'no such thing' is neither a file nor a reference compute, and cannot be"),
    ] {
        let ended = scene.run(&["hash", model]);
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{model}: {ended:?}");
        assert!(ended.err.starts_with(message), "{model}: {}", ended.err);
    }
}

#[test]
fn constants_that_cannot_be_set_are_named() {
    let scene = Scene::new();
    let graph = scene.output(&["graph", "coal_n5_theta1"]);
    scene.write("graph.json", graph);
    for (arguments, message) in [
        (
            ["builtin:kingman", "--set", "m=3"],
            "--set m for 'builtin:kingman': the model has no constant `m`; its constants are `n`",
        ),
        (["builtin:kingman", "--set", "n=five"], "--set n=five: "),
        (["builtin:kingman", "--set", "n"], "write NAME=VALUE, for example n=5"),
        (["graph.json", "--set", "n=3"], "'graph.json' is a graph and has no constants to --set"),
    ] {
        let ended = scene.run(&[&["hash"], &arguments[..]].concat());
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(message), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn control_characters_of_a_name_do_not_reach_the_terminal() {
    let ended = Scene::new().run(&["hash", "a\u{1b}[31mb/c"]);
    assert!(!ended.err.contains('\u{1b}'), "{:?}", ended.err);
}

#[test]
fn settings_come_from_the_file_unless_the_environment_or_a_flag_says_otherwise() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.path(".config/phasic-hub")).unwrap();
    scene.write(".config/phasic-hub/client.toml", "hub_url = 'file-says-this'\n");
    let asked = |arguments: &[&str], environment: Option<&str>| {
        let mut command = scene.command(&[&["list"], arguments].concat());
        command.env_remove("PHASIC_HUB_URL");
        if let Some(url) = environment {
            command.env("PHASIC_HUB_URL", url);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(asked(&[], None).contains("'file-says-this' is not the address of a hub"));
    assert!(asked(&[], Some("environment-says-this")).contains("'environment-says-this'"));
    assert!(asked(&["--hub", "flag-says-this"], Some("environment-says-this")).contains("'flag-says-this'"));
}

#[test]
fn a_broken_settings_file_stops_every_command_with_its_line() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.path(".config/phasic-hub")).unwrap();
    scene.write(".config/phasic-hub/client.toml", "hub_url = 'http://x'\nhub_tokn = 'y'\n");
    let ended = scene.run(&["models"]);
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("client.toml") && ended.err.contains("hub_tokn"), "{}", ended.err);
}

#[test]
fn a_limit_that_is_reached_is_named_with_the_flag_that_raises_it() {
    let scene = Scene::new();
    scene.write("graph.json", scene.output(&["graph", "coal_n5_theta1"]));
    for (command, flag, enough) in [
        ("hash builtin:kingman", "--max-steps 10", "--max-steps 10000"),
        ("hash builtin:kingman", "--max-vertices 3", "--max-vertices 6"),
        ("hash graph.json", "--max-vertices 3", "--max-vertices 6"),
        ("hash builtin:kingman", "--max-edges 3", "--max-edges 5"),
        ("hash builtin:kingman", "--memory 9B", "--memory 1MiB"),
        ("hash graph.json", "--memory 9B", "--memory 1MiB"),
        ("eliminate coal_n5_theta1 -o x.bin", "--max-commands 37", "--max-commands 38"),
        ("eval coal_n5_theta1 --compat", "--max-commands 37", "--max-commands 38"),
        ("eval builtin:two_island", "--max-multiply-adds 3", "--max-multiply-adds 100000"),
        (
            "eliminate builtin:two_island -o x.bin --ordering fast",
            "--max-multiply-adds 3",
            "--max-multiply-adds 100000",
        ),
    ] {
        let asked = |flag: &str| {
            let arguments: Vec<_> = command.split(' ').chain(flag.split(' ')).collect();
            scene.run(&arguments)
        };
        let ended = asked(flag);
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{command} {flag}: {ended:?}");
        let name = flag.split(' ').next().unwrap();
        assert!(
            ended.err.ends_with(&format!("\n{name} raises this limit\n")),
            "{command} {flag}: {}",
            ended.err
        );
        let ended = asked(enough);
        assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{command} {enough}");
    }
}

#[test]
fn a_file_too_large_to_verify_is_refused_with_the_flag_that_helps() {
    let scene = Scene::new();
    scene.output(&["eliminate", "coal_n5_theta1", "-o", "five.bin"]);
    for command in ["inspect five.bin --graph coal_n5_theta1", "eval coal_n5_theta1 --artifact five.bin"] {
        let arguments: Vec<_> = command.split(' ').chain(["--max-commands", "37"]).collect();
        let ended = scene.run(&arguments);
        assert_eq!(ended.status, 4, "{command}: {ended:?}");
        assert!(ended.err.contains("cannot be made anew here"), "{command}: {}", ended.err);
        assert!(ended.err.ends_with("\n--max-commands raises this limit\n"), "{command}: {}", ended.err);
    }
}

#[test]
fn limits_no_engine_can_keep_are_wrong_usage() {
    for (flag, value) in [("--memory", "lots"), ("--max-commands", "4294967296"), ("--max-vertices", "-1")] {
        let ended = Scene::new().run(&["hash", "builtin:kingman", &format!("{flag}={value}")]);
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{flag}");
        assert!(ended.err.contains(flag) && ended.err.contains(value), "{}", ended.err);
    }
}
