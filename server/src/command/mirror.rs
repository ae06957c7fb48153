//! `phasic-hub mirror`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{DataArgs, MirrorCommand, Outcome, print};
use crate::hub::DataDirectory;
use crate::mirror::{self, MirrorError, PassReport, Permissions, Upstream};
use crate::store::{FaultRow, PassRow};

pub(super) async fn run(command: MirrorCommand) -> Outcome {
    match command {
        MirrorCommand::Sync { from, replace, remove_many, data } => {
            sync(&from, Permissions { replace, remove_many }, data).await
        }
        MirrorCommand::Status { data } => status(data).await,
    }
}

/// One pass. A running hub on the same data directory shows its outcome within a second.
async fn sync(from: &str, permissions: Permissions, data: DataArgs) -> Outcome {
    let config = data.load()?;
    if config.offline && from.contains("://") && !from.starts_with("file:") {
        return Err(MirrorError::Offline { upstream: from.to_owned() }.into());
    }
    let upstream = Upstream::open(from, &config.mirror).await.map_err(MirrorError::from)?;
    let data = DataDirectory::open(&config.data_dir).await?;
    let report = mirror::sync(&data, &upstream, &config.mirror, permissions).await?;
    data.store.close().await;
    print(&describe(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(report: &PassReport) -> String {
    let PassReport { upstream, entries, mirrored, removed, faults } = report;
    let mut text = format!(
        "{upstream}: {entries} entries, {mirrored} mirrored, {} notes, {} removed\n",
        faults.len(),
        removed.len()
    );
    list(&mut text, faults);
    for id in removed {
        let _ = writeln!(text, "  removed {id}");
    }
    text
}

/// What the last pass was and left out; status 1, a plain no, when there was none.
async fn status(data: DataArgs) -> Outcome {
    let data = DataDirectory::open(&data.load()?.data_dir).await?;
    let Some(PassRow { upstream, entries, mirrored, finished_at }) = data.store.last_pass().await? else {
        print("Nothing has been mirrored yet.\n")?;
        return Ok(ExitCode::from(1));
    };
    let faults = data.store.mirror_faults().await?;
    data.store.close().await;
    let mut text = format!(
        "{upstream}: {entries} entries, {mirrored} mirrored, {} notes, at {finished_at}\n",
        faults.len()
    );
    list(&mut text, &faults);
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn list(text: &mut String, faults: &[FaultRow]) {
    for fault in faults {
        // Names come from upstream: escaped, they cannot steer a terminal. Writing to a string cannot fail.
        let _ = write!(text, "  {} {}", fault.code, fault.entry.escape_debug());
        if let Some(artifact) = &fault.artifact {
            let _ = write!(text, " {artifact}");
        }
        let _ = writeln!(text, ": {}", fault.reason.escape_debug());
    }
}
