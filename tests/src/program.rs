//! The programs under test, as cargo builds them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The `phasic-hub` program.
///
/// It is brought up to date first, with the cargo and the target directory of the running tests, because cargo builds
/// programs only for the tests of their own package. `PHASIC_HUB_PROGRAM` names another one to test.
pub fn phasic_hub() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("phasic-hub", "phasic-hub", "PHASIC_HUB_PROGRAM")).clone()
}

/// The `phasic` program, likewise. `PHASIC_PROGRAM` names another one to test.
pub fn phasic() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("phasic-hub-client", "phasic", "PHASIC_PROGRAM")).clone()
}

fn build(package: &str, name: &str, variable: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo says about this package to its tests: build scripts that look at it (that of ring does) would take it
    // for a change, and rebuild half of the tree each time.
    for (variable, _) in std::env::vars_os() {
        let variable_name = variable.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"]
            .iter()
            .any(|prefix| variable_name.starts_with(prefix))
        {
            command.env_remove(&variable);
        }
    }
    let output = command
        .args(["build", "--quiet", "--package", package, "--bin", name, "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == name && message["target"]["kind"][0] == "bin";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    };
    messages.lines().find_map(executable).unwrap()
}
