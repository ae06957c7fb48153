//! `phasic-hub compute`.

use std::process::ExitCode;

use phasic_hub_api::ComputeId;

use super::{ComputeCommand, DataArgs, Outcome, print};
use crate::hub::DataDirectory;
use crate::store::Actor;

pub(super) async fn run(command: ComputeCommand) -> Outcome {
    match command {
        ComputeCommand::Hide { id, data } => set_private(&id, true, data).await,
        ComputeCommand::Show { id, data } => set_private(&id, false, data).await,
    }
}

/// A running hub follows within a second.
async fn set_private(id: &ComputeId, private: bool, data: DataArgs) -> Outcome {
    let store = DataDirectory::open(&data.load()?.data_dir).await?.store;
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
