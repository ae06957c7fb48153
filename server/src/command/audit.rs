//! `phasic-hub audit`.

use std::process::ExitCode;

use super::{AuditCommand, CommandError, Outcome, print};
use crate::hub::DataDirectory;
use crate::store::Chain;

/// Lines that are read and printed at a time.
const PAGE: i64 = 1000;

pub(super) async fn run(command: AuditCommand) -> Outcome {
    match command {
        AuditCommand::Export { data } => {
            let data = DataDirectory::existing(&data.load()?.data_dir).await?;
            let mut after = 0;
            loop {
                let lines = data.store.audit(after, PAGE).await?;
                let Some(last) = lines.last() else { break };
                after = last.number;
                for line in &lines {
                    print(&format!("{}\n", serde_json::to_string(line).map_err(std::io::Error::from)?))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Verify { head, data } => {
            let data = DataDirectory::existing(&data.load()?.data_dir).await?;
            let Chain { lines, head } = data.store.verify_audit(head).await?.map_err(CommandError::Audit)?;
            print(&format!("{lines} lines, unbroken; the last has digest {head}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
