//! Mathematics in a process of its own: this side starts it, watches it and believes nothing it says.
//!
//! The child is this very program. It gets its [`Work`] on its standard input and nothing else of ours: no environment, no
//! files, no sockets. It limits its own memory before it begins, and ends when its standard input does, which is when
//! this process ends, however it ends. What it may say on standard output is a line of [`Said`] at a time. What the work is
//! for, and what is done about a result, is known elsewhere.

mod child;

use std::process::Stdio;
use std::time::Duration;

use phasic_hub_api::jobs::JobProgress;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::config;
use crate::jobs::Task;
use crate::verification::Comparison;

pub(crate) use child::child;

/// What a child can do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Makes a program; its result is the file.
    Eliminate(Task),
    /// Holds a file against a graph; its result is what came of it, in JSON.
    Compare(Comparison),
}

impl Work {
    /// The word on the command line of a child: it tells whoever looks at the processes what this one does.
    const fn word(&self) -> &'static str {
        match self {
            Self::Eliminate(_) => "eliminate",
            Self::Compare(_) => "compare",
        }
    }
}

/// What a child is told, as one line of JSON. The bytes it works on, if any, follow.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    work: Work,
    /// How many bytes follow.
    input_bytes: u64,
    /// Address space it may take.
    address_space_bytes: u64,
}

/// Work for a child, and what it may take.
#[derive(Debug)]
pub(crate) struct Assignment<'a> {
    pub(crate) work: Work,
    /// The bytes it works on.
    pub(crate) input: &'a [u8],
    /// Memory it was admitted with. Its result is no larger.
    pub(crate) memory_bytes: u64,
}

/// What a child says, a line of JSON each; the bytes follow the line that announces them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Progress(JobProgress),
    /// The task has no result, and would have none if it were tried again.
    Failed(String),
    /// So many bytes of result follow. It took so much memory at most, where the process can tell.
    Result {
        size_bytes: u64,
        peak_memory_bytes: Option<u64>,
    },
}

/// What a child says has come of its work.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The result: not verified.
    pub(crate) bytes: Vec<u8>,
    /// The most memory it had at a time.
    pub(crate) peak_memory_bytes: Option<u64>,
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
pub(crate) enum ChildError {
    #[error("{0}")]
    Failed(String),
    /// The operating system gave no process.
    #[error("its process could not be started: {0}")]
    NotStarted(std::io::Error),
    /// It may have been bad luck.
    #[error("its process {0}")]
    Broke(String),
    #[error("it was cancelled")]
    Cancelled,
    #[error("it took too long")]
    TooLong,
}

/// Address space for what was forecast to take this much memory.
fn address_space_bytes(settings: &config::Compute, forecast_bytes: u64) -> u64 {
    match settings.isolated_memory_bytes.get() {
        0 => forecast_bytes.saturating_mul(2).saturating_add(MORE_BYTES),
        setting => setting,
    }
}

/// Has a child do some work, and tells of its progress, until it is done or `stop` says why it is not wanted any more.
/// Gives what it says is the result.
pub(crate) async fn perform(
    assignment: Assignment<'_>,
    settings: &config::Compute,
    progress: impl Fn(JobProgress),
    stop: impl Future<Output = ChildError>,
) -> Result<Outcome, ChildError> {
    let Assignment { work, input, memory_bytes } = assignment;
    let address_space_bytes = address_space_bytes(settings, memory_bytes);
    let word = work.word();
    let order = Order { work, input_bytes: input.len() as u64, address_space_bytes };
    let text = serde_json::to_string(&order).map_err(|error| ChildError::Failed(error.to_string()))?;
    drop(order);
    let mut child = start(word).map_err(ChildError::NotStarted)?;
    let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = taken else {
        return Err(ChildError::Broke("has no pipes".to_owned()));
    };
    let lament = tokio::spawn(lament(stderr));
    let talk = async {
        tell(&mut stdin, &[text.as_bytes(), b"\n", input]).await?;
        listen(stdout, memory_bytes, progress).await
    };
    let heard = tokio::select! {
        heard = talk => heard,
        why = stop => Err(why),
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

fn start(word: &str) -> std::io::Result<Child> {
    // The program as it runs, whatever stands at its path by now.
    let itself = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    let mut command = Command::new(itself);
    command.arg(word).env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A Ctrl-C at the terminal is for the hub, which ends its jobs in good order.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

/// Kills a child, and waits until it is gone.
async fn end(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::error!(%error, "could not end a process of the hub");
    }
}

async fn tell(stdin: &mut ChildStdin, pieces: &[&[u8]]) -> Result<(), ChildError> {
    let broke = |error: std::io::Error| ChildError::Broke(format!("does not listen: {error}"));
    for piece in pieces {
        stdin.write_all(piece).await.map_err(broke)?;
    }
    stdin.flush().await.map_err(broke)
}

async fn listen(
    stdout: ChildStdout,
    most_bytes: u64,
    progress: impl Fn(JobProgress),
) -> Result<Outcome, ChildError> {
    let mut reader = BufReader::new(stdout);
    loop {
        match hear(&mut reader).await.map_err(ChildError::Broke)? {
            Said::Progress(made) => progress(made),
            Said::Failed(reason) => return Err(ChildError::Failed(reason)),
            Said::Result { size_bytes, .. } if size_bytes > most_bytes => {
                return Err(ChildError::Failed(format!(
                    "its result has {size_bytes} bytes, more than the {most_bytes} that were forecast for all of it"
                )));
            }
            Said::Result { size_bytes, peak_memory_bytes } => {
                let mut bytes = Vec::new();
                let read = (&mut reader).take(size_bytes).read_to_end(&mut bytes).await;
                if read.is_ok() && bytes.len() as u64 == size_bytes {
                    return Ok(Outcome { bytes, peak_memory_bytes });
                }
                return Err(ChildError::Broke("broke off in its result".to_owned()));
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
