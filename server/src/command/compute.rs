//! `phasic-hub compute`: what the operator decides about single computes. A running hub follows within a second.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use phasic_hub_api::ComputeId;
use phasic_hub_api::jobs::Variant;

use super::{CommandError, DataArgs, Outcome, print};
use crate::admission::Admission;
use crate::config::Config;
use crate::hub::DataDirectory;
use crate::jobs::Jobs;
use crate::preparing::Preparing;
use crate::store::{Actor, BrowseFilter, Retraction, Store};
use crate::variants::hindrance;
use crate::visibility::Viewer;
use crate::workers::Workers;

#[derive(Debug, Subcommand)]
pub(super) enum ComputeCommand {
    /// Make an id private: what it stands for, and its history, are there only for holders of tokens for it
    Hide {
        /// The id; nothing need be published under it yet
        id: ComputeId,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show a private id to everybody
    Show {
        /// The id
        id: ComputeId,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Choose which program of its graph is served of a compute
    Variant {
        /// The id
        id: ComputeId,
        /// Which: phasic's own, ours in phasic's commands, or what the settings say
        variant: Wanted,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Retire a compute of this hub: it is served no more, its id stays taken, and its history tells why
    Retire {
        /// The id
        id: ComputeId,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Let a retired compute stand again
    Restore {
        /// The id
        id: ComputeId,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// A program phasic can read.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Wanted {
    Phasic,
    Fast,
    Settings,
}

pub(super) async fn run(command: ComputeCommand) -> Outcome {
    match command {
        ComputeCommand::Hide { id, data } => set_private(&id, true, data).await,
        ComputeCommand::Show { id, data } => set_private(&id, false, data).await,
        ComputeCommand::Variant { id, variant, data } => want(&id, variant, data).await,
        ComputeCommand::Retire { id, reason, data } => retract(&id, true, reason.as_deref(), data).await,
        ComputeCommand::Restore { id, reason, data } => retract(&id, false, reason.as_deref(), data).await,
    }
}

async fn open(data: DataArgs) -> Result<Store, CommandError> {
    Ok(DataDirectory::existing(&data.load()?.data_dir).await?.store)
}

fn unknown(id: &ComputeId) -> CommandError {
    CommandError::Nothing(format!("there is no compute {id}"))
}

async fn set_private(id: &ComputeId, private: bool, data: DataArgs) -> Outcome {
    let store = open(data).await?;
    let changed = store.set_private(id, private, &Actor::Operator).await?;
    let by_setting = !private && store.private_ids().await?.contains(id);
    let text = match (private, changed) {
        (true, true) => format!("{id} is private now.\n"),
        (true, false) => format!("{id} was private already.\n"),
        (false, _) if by_setting => {
            format!(
                "{id} stays private: a pattern of access.private_ids matches it. Change the setting, and start the hub anew.\n"
            )
        }
        (false, true) => format!("{id} is for everybody now.\n"),
        (false, false) => format!("{id} was for everybody already.\n"),
    };
    print(&text)?;
    Ok(if by_setting { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn want(id: &ComputeId, wanted: Wanted, data: DataArgs) -> Outcome {
    let config = data.load()?;
    let data = DataDirectory::existing(&config.data_dir).await?;
    let store = &data.store;
    let filter =
        BrowseFilter { viewer: Viewer::All, id: Some(id.to_string()), limit: 1, ..BrowseFilter::default() };
    let compute = store.browse(&filter).await?.pop().ok_or_else(|| unknown(id))?;
    let (variant, text) = match wanted {
        Wanted::Phasic => (Some(Variant::Phasic), "phasic's own program is served"),
        Wanted::Fast => (Some(Variant::Fast), "our program is served"),
        Wanted::Settings => (None, "the settings decide what is served"),
    };
    store.want_variant(id, variant, &Actor::Operator).await?;
    let why = match variant {
        Some(variant) => hindrance(&data, &forecasting(&data, &config)?, &compute, variant).await?,
        None => None,
    };
    print(&match why {
        Some(why) => format!("{id}: {text}, once it can be. {why}\n"),
        None => format!("{id}: {text}. A program that is not there yet is made first.\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What forecasts eliminations as a running hub does, and makes none.
fn forecasting(data: &DataDirectory, config: &Config) -> Result<Jobs, CommandError> {
    let workers = Workers::giving_way("prepare", 1)?;
    let admission = Admission::new(workers.clone(), config.compute.max_memory_bytes.get());
    let (compute, models) = (config.compute.clone(), config.models.clone());
    Ok(Jobs::new(data.clone(), admission, Preparing::new(workers), compute, models)?)
}

async fn retract(id: &ComputeId, retracted: bool, reason: Option<&str>, data: DataArgs) -> Outcome {
    let store = open(data).await?;
    let text = match store.retract(id, retracted, reason, &Actor::Operator).await? {
        Retraction::Done if retracted => format!("{id} is retired.\n"),
        Retraction::Done => format!("{id} stands again.\n"),
        Retraction::Unchanged if retracted => format!("{id} was retired already.\n"),
        Retraction::Unchanged => format!("{id} was not retired.\n"),
        Retraction::Unknown | Retraction::Refused(_) => return Err(unknown(id)),
        Retraction::Mirrored => {
            let text = format!(
                "{id} comes from an upstream, which alone can retire it; phasic-hub compute hide {id}"
            );
            return Err(CommandError::Nothing(text));
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
