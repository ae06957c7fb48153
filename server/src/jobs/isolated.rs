//! An elimination in a process of its own: this side starts it, watches it and believes nothing it says.
//!
//! The child is this very program. It gets the task on its standard input and nothing else of ours: no environment, no
//! files, no sockets. It limits its own memory before it begins, and ends when its standard input does, which is when
//! this process ends, however it ends. What it may say on standard output is a line of [`Said`] at a time.

use std::process::Stdio;
use std::time::Duration;

use phasic_hub_api::jobs::JobProgress;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::running::Running;
use super::task::Task;

/// What a child is told, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) task: Task,
    /// Address space it may take.
    pub(super) address_space_bytes: u64,
}

/// What a child says, a line of JSON each; the bytes follow the line that announces them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    Progress(JobProgress),
    /// The task has no result, and would have none if it were tried again.
    Failed(String),
    /// So many bytes of result follow.
    Result(u64),
}

/// Address space beside twice what a job was forecast to take: program, libraries, stacks, and slack.
const MORE_BYTES: u64 = 512 << 20;

/// Of a line a child says, and of what it says on standard error, so much is listened to.
const MOST_LINE_BYTES: u64 = 64 << 10;
const MOST_LAMENT_BYTES: usize = 4 << 10;

/// How long a child that has closed its standard output may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How a child ended that gave no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error("{0}")]
    Failed(String),
    /// It may have been bad luck.
    #[error("its process {0}")]
    Broke(String),
    #[error("it was cancelled")]
    Cancelled,
    #[error("it took too long")]
    TooLong,
}

/// Address space for a job that was forecast to take this much memory.
pub(super) fn address_space_bytes(setting: u64, forecast_bytes: u64) -> u64 {
    if setting == 0 { forecast_bytes.saturating_mul(2).saturating_add(MORE_BYTES) } else { setting }
}

/// Has a child do a task. Gives the bytes it says are the result: not verified.
pub(super) async fn perform(order: &Order, running: &Running) -> Result<Vec<u8>, ChildError> {
    let broke = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| ChildError::Broke(format!("{what}: {error}"))
    };
    let text = serde_json::to_string(order).map_err(|error| ChildError::Failed(error.to_string()))?;
    let begun = tokio::time::Instant::now();
    let mut child = start().map_err(broke("could not be started"))?;
    let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = taken else {
        return Err(ChildError::Broke("has no pipes".to_owned()));
    };
    let lament = tokio::spawn(lament(stderr));
    let heard = tokio::select! {
        heard = converse(&mut stdin, &text, stdout, running) => heard,
        () = running.cancelled.cancelled() => Err(ChildError::Cancelled),
        () = running.overdue(begun) => Err(ChildError::TooLong),
    };
    if let Err(ChildError::Broke(said)) = heard {
        let ended = tokio::time::timeout(END_WITHIN, child.wait()).await;
        let how = match ended {
            Ok(Ok(status)) => format!("ended with {status}"),
            Ok(Err(error)) => format!("cannot be waited for: {error}"),
            Err(_) => said,
        };
        end(&mut child).await;
        let lament = lament.await.unwrap_or_default();
        return Err(ChildError::Broke(if lament.is_empty() { how } else { format!("{how}: {lament}") }));
    }
    end(&mut child).await;
    heard
}

fn start() -> std::io::Result<Child> {
    // The program as it runs, whatever stands at its path by now.
    let itself = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut command = Command::new(itself);
    command.arg("eliminate").env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A Ctrl-C at the terminal is for the hub, which ends its jobs in good order.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

/// Kills a child, and waits until it is gone.
async fn end(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::error!(%error, "could not end the process of a job");
    }
}

async fn converse(
    stdin: &mut ChildStdin,
    order: &str,
    stdout: ChildStdout,
    running: &Running,
) -> Result<Vec<u8>, ChildError> {
    let broke = |error: std::io::Error| ChildError::Broke(format!("does not listen: {error}"));
    stdin.write_all(order.as_bytes()).await.map_err(broke)?;
    stdin.write_all(b"\n").await.map_err(broke)?;
    stdin.flush().await.map_err(broke)?;
    let mut reader = BufReader::new(stdout);
    loop {
        match hear(&mut reader).await.map_err(ChildError::Broke)? {
            Said::Progress(progress) => running.set(progress),
            Said::Failed(reason) => return Err(ChildError::Failed(reason)),
            Said::Result(size_bytes) if size_bytes > running.memory_bytes => {
                let most = running.memory_bytes;
                return Err(ChildError::Failed(format!(
                    "its result has {size_bytes} bytes, more than the {most} that were forecast for all of it"
                )));
            }
            Said::Result(size_bytes) => {
                let mut bytes = Vec::new();
                let read = (&mut reader).take(size_bytes).read_to_end(&mut bytes).await;
                let cut = || ChildError::Broke("broke off in its result".to_owned());
                return if read.is_ok() && bytes.len() as u64 == size_bytes { Ok(bytes) } else { Err(cut()) };
            }
        }
    }
}

async fn hear(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Said, String> {
    let mut line = Vec::new();
    let read = reader.take(MOST_LINE_BYTES).read_until(b'\n', &mut line).await;
    if read.is_err() || line.last() != Some(&b'\n') {
        return Err("has stopped talking".to_owned());
    }
    serde_json::from_slice(&line).map_err(|error| format!("said what nobody understands: {error}"))
}

/// The end of what a child says on standard error, on one line.
async fn lament(mut stderr: ChildStderr) -> String {
    let (mut kept, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        let beyond = kept.len().saturating_sub(MOST_LAMENT_BYTES);
        kept.drain(..beyond);
    }
    let text = String::from_utf8_lossy(&kept);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
