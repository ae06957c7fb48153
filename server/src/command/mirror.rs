//! `phasic-hub mirror`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{DataArgs, Outcome, print};
use crate::hub::DataDirectory;
use crate::mirror::{self, MirrorError, PassReport, Upstream};

/// One pass. A running hub on the same data directory shows its outcome within a second.
pub(super) async fn sync(from: &str, data: DataArgs) -> Outcome {
    let config = data.load()?;
    if config.offline && from.contains("://") && !from.starts_with("file:") {
        return Err(MirrorError::Offline { upstream: from.to_owned() }.into());
    }
    let upstream = Upstream::open(from, &config.mirror).await.map_err(MirrorError::from)?;
    let data = DataDirectory::open(&config.data_dir).await?;
    let report = mirror::sync(&data, &upstream, &config.mirror).await?;
    data.store.close().await;
    print(&describe(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(report: &PassReport) -> String {
    let PassReport { upstream, entries, mirrored, faults } = report;
    let mut text = format!("{upstream}: {entries} entries, {mirrored} mirrored, {} notes\n", faults.len());
    for fault in faults {
        // Names come from upstream: escaped, they cannot steer a terminal. Writing to a string cannot fail.
        let _ = write!(text, "  {} {}", fault.code, fault.entry.escape_debug());
        if let Some(artifact) = &fault.artifact {
            let _ = write!(text, " {artifact}");
        }
        let _ = writeln!(text, ": {}", fault.reason.escape_debug());
    }
    text
}
