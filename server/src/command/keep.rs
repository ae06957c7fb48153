//! `phasic-hub pin` and `phasic-hub quarantine`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use phasic_hub_api::Sha256;

use super::{CommandError, DataArgs, Outcome, print};
use crate::hub::{DataDirectory, DataError};
use crate::store::{Actor, Change};

#[derive(Debug, Subcommand)]
pub(super) enum PinCommand {
    /// Keep a blob, whoever else refers to it
    Add {
        /// Its SHA-256
        sha256: Sha256,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Take a pin out
    Remove {
        /// The SHA-256 of the blob
        sha256: Sha256,
        #[command(flatten)]
        data: DataArgs,
    },
    /// List all pins
    List {
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// List damaged files that were set aside
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Remove a damaged file for good
    Discard {
        /// The SHA-256 it had as its name
        sha256: Sha256,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub(super) async fn pin(command: PinCommand) -> Outcome {
    match command {
        PinCommand::Add { sha256, note, data } => {
            let data = open(data).await?;
            let done = data.store.pin(sha256, &note, &Actor::Operator).await?;
            end(&data, done, "there is no blob", sha256).await
        }
        PinCommand::Remove { sha256, data } => {
            let data = open(data).await?;
            let done = data.store.unpin(sha256, &Actor::Operator).await?;
            end(&data, done, "there is no pin on", sha256).await
        }
        PinCommand::List { data } => {
            let data = open(data).await?;
            let mut text = String::new();
            for pin in data.store.pins(None, i64::MAX).await? {
                // Writing to a string cannot fail. Debug formatting keeps a note on its line.
                let (name, size) = (pin.blob.sha256, pin.blob.size_bytes);
                let _ = writeln!(text, "{name}  {size} bytes  since {}  {:?}", pin.pinned_at, pin.note);
            }
            data.store.close().await;
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(super) async fn quarantine(command: QuarantineCommand) -> Outcome {
    match command {
        QuarantineCommand::List { data } => {
            let data = open(data).await?;
            let mut text = String::new();
            for file in data.blobs.quarantined().await.map_err(DataError::from)? {
                let restored = data.blobs.size_bytes(file.name).await.map_err(DataError::from)?.is_some();
                let state = if restored { "whole again" } else { "missing" };
                let _ = writeln!(text, "{}  {} bytes  {state}", file.name, file.size_bytes);
            }
            data.store.close().await;
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        QuarantineCommand::Discard { sha256, data } => {
            let data = open(data).await?;
            let done = data.blobs.discard(sha256).await.map_err(DataError::from)?;
            if done {
                let detail = serde_json::json!({});
                let told = Change { action: "blob.discard", subject: sha256.to_string(), detail };
                data.store.tell(&Actor::Operator, told).await?;
            }
            end(&data, done, "in quarantine there is nothing of the name", sha256).await
        }
    }
}

async fn open(data: DataArgs) -> Result<DataDirectory, CommandError> {
    let config = data.load()?;
    Ok(DataDirectory::existing(&config.data_dir).await?)
}

async fn end(data: &DataDirectory, done: bool, what: &str, sha256: Sha256) -> Outcome {
    data.store.close().await;
    if done {
        return Ok(ExitCode::SUCCESS);
    }
    Err(CommandError::Nothing(format!("{what} {sha256}")))
}
