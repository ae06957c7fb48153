//! `phasic-hub scrub`, `gc`, `backup` and `restore`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::{DataArgs, Outcome, print};
use crate::admission::Admission;
use crate::config::LEAST_GRACE_SECONDS;
use crate::hub::DataDirectory;
use crate::store::Actor;
use crate::upkeep::{self, Rules, UpkeepLock};
use crate::workers::Workers;

/// Something stayed bad.
const MISSING: u8 = 4;

pub(super) async fn scrub(data: DataArgs) -> Outcome {
    let config = data.load()?;
    let data = DataDirectory::existing(&config.data_dir).await?;
    let _lock = UpkeepLock::take(&config.data_dir)?;
    // A process of its own: what a hub beside it has admitted is not known here.
    let workers = Workers::giving_way("eliminate", config.compute.threads.count())?;
    let admission = Admission::new(workers, config.compute.max_memory_bytes.get());
    let report = upkeep::scrub(&data, &config, &admission, &Actor::Operator).await?;
    data.store.close().await;
    let mut text = format!(
        "{} blobs of {} bytes are good, {} rotten, {} lost, {} unreadable, {} restored\n",
        report.good,
        report.good_bytes,
        report.rotten.len(),
        report.lost.len(),
        report.unreadable.len(),
        report.restored.len()
    );
    let missing = report.missing();
    for (word, names) in [
        ("rotten", &report.rotten),
        ("lost", &report.lost),
        ("unreadable", &report.unreadable),
        ("restored", &report.restored),
        ("missing", &missing),
    ] {
        for name in names {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {word} {name}");
        }
    }
    print(&text)?;
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(MISSING) })
}

pub(super) async fn gc(grace_seconds: u64, remove: bool, data: DataArgs) -> Outcome {
    let config = data.load()?;
    let data = DataDirectory::existing(&config.data_dir).await?;
    let _lock = UpkeepLock::take(&config.data_dir)?;
    let _alone = if remove && grace_seconds < LEAST_GRACE_SECONDS {
        Some(upkeep::Alone::take(&config.data_dir)?)
    } else {
        None
    };
    let days = config.upkeep.keep_submitted_days.get();
    let rules = Rules { grace: Duration::from_secs(grace_seconds), keep_submitted_days: days };
    let collection = upkeep::collect(&data, rules, !remove, &Actor::Operator).await?;
    data.store.close().await;
    let verb = if remove { "removed" } else { "to remove" };
    let mut text = format!("{} blobs of {} bytes {verb}\n", collection.removed.len(), collection.bytes);
    if days > 0 {
        let (graphs, eliminations) = (&collection.expired.graphs, &collection.expired.eliminations);
        let (graphs, eliminations) = (graphs.len(), eliminations.len());
        let _ = writeln!(
            text,
            "{graphs} graphs and {eliminations} results that were not used for {days} days {verb}"
        );
    }
    for name in &collection.removed {
        let _ = writeln!(text, "  {name}");
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn backup(file: &Path, data: DataArgs) -> Outcome {
    let config = data.load()?;
    let data = DataDirectory::existing(&config.data_dir).await?;
    let _lock = UpkeepLock::take(&config.data_dir)?;
    let report = upkeep::backup(&data, file, &Actor::Operator).await?;
    data.store.close().await;
    let missing = &report.manifest.missing;
    let mut text = format!(
        "{}: the database and {} blobs, {} bytes, verified\n",
        file.display(),
        report.manifest.blobs,
        report.bytes
    );
    for name in missing {
        let _ = writeln!(text, "  missing {name}");
    }
    print(&text)?;
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(MISSING) })
}

pub(super) async fn restore(file: &Path, data: DataArgs) -> Outcome {
    let config = data.load()?;
    let manifest = upkeep::restore(file, &config.data_dir).await?;
    print(&format!("{}: the database and {} blobs, verified\n", config.data_dir.display(), manifest.blobs))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads all settings as the service would, and prints those in force.
pub(super) fn check(data: DataArgs) -> Outcome {
    let config = data.load()?;
    print(&toml::to_string(&config).map_err(std::io::Error::other)?)?;
    Ok(ExitCode::SUCCESS)
}
