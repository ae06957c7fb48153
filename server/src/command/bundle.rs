//! `phasic-hub bundle`: a registry in one file, written here and read elsewhere.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use phasic_hub_api::ComputeId;

use super::mirror::{ad_hoc, sync, trust};
use super::{DataArgs, Outcome, print};
use crate::bundle::export;
use crate::config::{Trust, UpstreamName};
use crate::hub::DataDirectory;
use crate::mirror::Permissions;
use crate::store::{Actor, Change};

#[derive(Debug, Subcommand)]
pub(super) enum BundleCommand {
    /// Write computes with all their files to one file; the same computes give the same bytes
    Export {
        /// The file; it must not be there yet
        file: PathBuf,
        /// Only the compute of this id; may be repeated, and is the only way for private ones
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<ComputeId>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Take over the computes of a bundle, with every check of a mirror pass
    ///
    /// What is there already stays, unless it is of the same id: computes are added or replaced by id, all
    /// in one transaction. What this hub publishes itself, and what upstreams of the settings offer, goes first.
    Import {
        /// The file
        file: PathBuf,
        /// What to call where it came from, as an upstream of the mirror
        #[arg(long = "as", value_name = "NAME", default_value = "bundle")]
        name: UpstreamName,
        /// How far to trust it: checked or verified-only
        #[arg(long, value_name = "TRUST", value_parser = trust, default_value = "checked")]
        trust: Trust,
        /// Make this bundle all there is of that name: remove what is not in it
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub(super) async fn run(command: BundleCommand) -> Outcome {
    match command {
        BundleCommand::Export { file, ids, data } => {
            let data = DataDirectory::existing(&data.load()?.data_dir).await?;
            let report = export(&data, &file, &ids).await?;
            let detail = serde_json::json!({"sha256": report.sha256, "computes": report.computes});
            let told = Change { action: "bundle.export", subject: file.display().to_string(), detail };
            data.store.tell(&Actor::Operator, told).await?;
            data.store.close().await;
            print(&format!(
                "{}: {} computes, {} files, {} bytes, SHA-256 {}\n",
                file.display(),
                report.computes,
                report.blobs,
                report.bytes,
                report.sha256
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        BundleCommand::Import { file, name, trust, replace, data } => {
            let config = data.load()?;
            let permissions = Permissions { replace, keep_others: !replace, ..Permissions::default() };
            let errand = ad_hoc(&config, &file.display().to_string(), &name, trust, permissions)?;
            // A directory would do, and is not what was meant.
            crate::bundle::Bundle::open(&file)?;
            sync(&config, &[errand]).await
        }
    }
}
