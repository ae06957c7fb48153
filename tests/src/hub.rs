//! A hub process: started on a free port, spoken to, stopped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::{self, Answer, PATIENCE};
use crate::program;

/// A running `phasic-hub serve`. Killed when dropped.
pub struct Hub {
    child: Child,
    address: SocketAddr,
    stdout: Option<JoinHandle<Vec<String>>>,
    log: Option<JoinHandle<String>>,
}

/// What a hub has left behind.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// The lines it printed, the address first.
    pub stdout: Vec<String>,
    /// What it logged.
    pub log: String,
}

/// `phasic-hub` with these arguments, in the environment of the tests without any settings, and without the public
/// upstream: tests open no connection to the world.
pub fn command(arguments: &[&str]) -> Command {
    within(&[], arguments)
}

/// The same, run by another command line.
pub fn within(wrapper: &[&str], arguments: &[&str]) -> Command {
    let hub = program::phasic_hub();
    let mut command = match wrapper {
        [] => Command::new(hub),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(hub);
            command
        }
    };
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PHASIC_HUB_") {
            command.env_remove(name);
        }
    }
    command.env("PHASIC_HUB_MIRROR_UPSTREAMS", "");
    command
}

/// Runs `phasic-hub` to its end.
pub fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Makes a token of a scope for the hub of a data directory.
pub fn token(data: &Path, scope: &str) -> String {
    let output = run(&["token", "create", "--name", "t", "--scope", scope, "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs `phasic-hub mirror sync` on a data directory.
pub fn sync(data: &Path, from: &str, settings: &[(&str, &str)]) -> Output {
    sync_with(data, from, &[], settings)
}

/// Runs `phasic-hub mirror sync` on a data directory, with further arguments.
pub fn sync_with(data: &Path, from: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = command(&["mirror", "sync", "--from", from, "--data", data.to_str().unwrap()]);
    set(command.args(arguments), settings).output().unwrap()
}

fn set<'a>(command: &'a mut Command, settings: &[(&str, &str)]) -> &'a mut Command {
    for (name, value) in settings {
        command.env(format!("PHASIC_HUB_{}", name.to_ascii_uppercase()), value);
    }
    command
}

impl Hub {
    /// Starts a hub on a data directory and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    /// Starts a hub with further arguments, and with settings such as `("http_header_timeout_ms", "200")`.
    pub fn start_with(data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::start_within(&[], data, arguments, settings)
    }

    /// Starts a hub likewise, by a command line that runs the one it is given: `unshare -m`, say.
    pub fn start_within(
        wrapper: &[&str],
        data: &Path,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command =
            within(wrapper, &["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = set(&mut command, settings).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = mpsc::channel();
        let stdout = thread::spawn(move || {
            let lines = lines.map(Result::unwrap);
            // Nobody listens to the lines behind the first.
            lines.inspect(|line| drop(tell.send(line.clone()))).collect()
        });
        let first = told.recv_timeout(PATIENCE).unwrap_or_default();
        let Some(address) = first.strip_prefix("Phasic Hub is listening on http://") else {
            let _ = child.kill();
            panic!("the hub did not start: {first:?}\n{}", log.join().unwrap());
        };
        let address = address.parse().unwrap();
        let hub = Self { child, address, stdout: Some(stdout), log: Some(log) };
        wait_until("the hub is ready", || hub.get("/readyz").status == 200);
        hub
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, for those who look at it from outside.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Sends one request.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        http::request(self.address, method, target, headers)
    }

    /// Sends a GET.
    pub fn get(&self, target: &str) -> Answer {
        http::get(self.address, target)
    }

    /// Sends JSON, and reads the answer.
    pub fn post(&self, target: &str, body: &serde_json::Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        http::send(self.address, "POST", target, &headers, body.to_string().as_bytes())
    }

    /// Sends JSON with the token of an administrator, and reads the answer.
    pub fn administer(&self, token: &str, target: &str, body: &serde_json::Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Prefer", "wait=25")];
        http::send(self.address, "POST", target, &headers, body.to_string().as_bytes())
    }

    /// Sends a GET with a token.
    pub fn get_as(&self, token: &str, target: &str) -> Answer {
        http::request(self.address, "GET", target, &[("Authorization", &format!("Bearer {token}"))])
    }

    /// Sends a signal, by the name `kill` knows.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to stop and waits for the end.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ended {
        let mut status = None;
        wait_until("the hub has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        Ended {
            status: status.unwrap(),
            stdout: self.stdout.take().unwrap().join().unwrap(),
            log: self.log.take().unwrap().join().unwrap(),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to become true, and not for ever.
pub fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
