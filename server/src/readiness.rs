//! Whether the hub has everything it should have, and what is missing.
//!
//! Who has something to do before the hub is ready says so here, and says when it is done; whether database and disk can
//! be used is looked at now and then. Asking costs nothing, so that probes may ask as often as they like.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use phasic_hub_api::health::{Finding, FindingCode};

use crate::hub::Hub;

/// How often database and disk are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is said of the database until it was looked at for damage, beside whether it can be read.
const DAMAGE: &str = "damage";

/// Bytes written to see whether anything can be: more than a file system keeps beside the name of a file.
const PROBE_BYTES: usize = 8192;

/// What still has to happen before the hub is ready.
#[derive(Debug, Default)]
pub struct Readiness {
    reasons: Mutex<BTreeMap<(FindingCode, &'static str), String>>,
    without: Mutex<Vec<&'static str>>,
}

impl Readiness {
    /// Something is missing, with a sentence for people.
    pub fn wait_for(&self, what: FindingCode, reason: impl Into<String>) {
        self.lock().insert((what, ""), reason.into());
    }

    /// It is there now.
    pub fn done(&self, what: FindingCode) {
        self.lock().remove(&(what, ""));
    }

    /// The database is looked at for damage; `is_over` once that is done, and there was none.
    pub fn looks_for_damage(&self, is_over: bool) {
        let key = (FindingCode::Database, DAMAGE);
        if is_over {
            self.lock().remove(&key);
            return;
        }
        let reason = "The hub has just started and looks at its database for damage; nothing is written before that is over.";
        self.lock().insert(key, reason.to_owned());
    }

    /// A background service has broken down, and nobody does its work any more.
    pub fn has_broken_down(&self, service: &'static str) {
        let reason =
            format!("The background service {service} has broken down; the log says why. Restart the hub.");
        self.lock().insert((FindingCode::Service, service), reason);
    }

    /// Reference computes the hub does without, and is ready all the same: they are too large for its settings.
    pub fn goes_without(&self, ids: Vec<&'static str>) {
        *self.without.lock().unwrap_or_else(PoisonError::into_inner) = ids;
    }

    /// Their ids.
    pub fn without(&self) -> Vec<&'static str> {
        self.without.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that is missing; empty when the hub is ready.
    pub fn reasons(&self) -> Vec<Finding> {
        self.lock().iter().map(|((code, _), reason)| Finding::new(*code, reason.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(FindingCode, &'static str), String>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks now and then whether database and disk can be used. Never ends.
pub async fn watch(hub: Arc<Hub>, data_dir: PathBuf) {
    loop {
        look(&hub, &data_dir).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(hub: &Hub, data_dir: &Path) {
    let readiness = &hub.readiness;
    match tokio::time::timeout(PATIENCE, hub.data.store.probe()).await {
        Ok(Ok(())) => readiness.done(FindingCode::Database),
        Ok(Err(error)) => {
            tracing::error!(%error, "the database cannot be read");
            readiness.wait_for(FindingCode::Database, "The database cannot be read; the log says why.");
        }
        Err(_) => readiness.wait_for(
            FindingCode::Database,
            format!("The database has not answered for {} s.", PATIENCE.as_secs()),
        ),
    }
    let data_dir = data_dir.to_owned();
    let written = tokio::task::spawn_blocking(move || write(&data_dir)).await;
    match written.map_err(io::Error::other).flatten() {
        Ok(()) => readiness.done(FindingCode::Disk),
        Err(error) => {
            tracing::error!(%error, "the data directory cannot be written to");
            readiness.wait_for(FindingCode::Disk, unwritable(error.kind()));
        }
    }
}

/// Writes a file and takes it away again.
fn write(data_dir: &Path) -> io::Result<()> {
    let path = data_dir.join("probe");
    let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(&[0; PROBE_BYTES]));
    // Where it could not be made there is nothing to remove; where it cannot be removed, the next look says so.
    drop(std::fs::remove_file(&path));
    written
}

/// The disk in a sentence, without anything of where the data lie: anybody may read this.
fn unwritable(kind: io::ErrorKind) -> String {
    let what = match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "There is no room left on the disk",
        io::ErrorKind::ReadOnlyFilesystem => "The disk is read-only",
        _ => "The data directory cannot be written to; the log says why",
    };
    format!("{what}. What is here can be read, and nothing can be changed.")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use phasic_hub_api::health::FindingCode;

    use super::{Readiness, look};
    use crate::hub::{DataDirectory, Hub};
    use crate::registry::Former;

    async fn hub(directory: &std::path::Path) -> Arc<Hub> {
        let data = DataDirectory::open(directory).await.unwrap();
        Arc::new(Hub::new(data, "http://hub.example".to_owned(), Former::default()).await.unwrap())
    }

    fn codes(readiness: &Readiness) -> Vec<FindingCode> {
        readiness.reasons().iter().map(|reason| reason.code).collect()
    }

    #[test]
    fn what_is_missing_is_listed_until_it_is_there_and_every_service_by_itself() {
        let readiness = Readiness::default();
        readiness.wait_for(FindingCode::Disk, "Full.");
        readiness.wait_for(FindingCode::Disk, "Fuller.");
        for service in ["jobs", "mirror"] {
            readiness.has_broken_down(service);
        }
        assert_eq!(codes(&readiness), [FindingCode::Disk, FindingCode::Service, FindingCode::Service]);
        assert_eq!(readiness.reasons()[0].detail, "Fuller.");
        readiness.done(FindingCode::Disk);
        assert_eq!(codes(&readiness), [FindingCode::Service; 2]);
    }

    #[tokio::test]
    async fn a_disk_that_cannot_be_written_to_is_a_reason_until_it_can() {
        let directory = tempfile::tempdir().unwrap();
        let hub = hub(directory.path()).await;
        look(&hub, directory.path()).await;
        assert_eq!(codes(&hub.readiness), []);
        assert!(!directory.path().join("probe").exists());
        look(&hub, &directory.path().join("nowhere")).await;
        assert_eq!(codes(&hub.readiness), [FindingCode::Disk]);
        look(&hub, directory.path()).await;
        assert_eq!(codes(&hub.readiness), []);
    }

    #[tokio::test]
    async fn a_hub_that_has_not_looked_for_its_files_yet_is_not_ready() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let hub = Hub::unseen(data, "http://hub.example".to_owned(), Former::default()).await.unwrap();
        let hub = Arc::new(hub);
        assert_eq!(codes(&hub.readiness), [FindingCode::FilesUnseen]);
        Arc::clone(&hub).look_for_files().await;
        assert_eq!(codes(&hub.readiness), []);
    }

    #[tokio::test]
    async fn that_the_database_can_be_read_does_not_say_that_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let hub = hub(directory.path()).await;
        hub.readiness.looks_for_damage(false);
        look(&hub, directory.path()).await;
        assert_eq!(codes(&hub.readiness), [FindingCode::Database]);
        hub.readiness.looks_for_damage(true);
        assert_eq!(codes(&hub.readiness), []);
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_read_is_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        let hub = hub(directory.path()).await;
        hub.data.store.close().await;
        look(&hub, directory.path()).await;
        assert_eq!(codes(&hub.readiness), [FindingCode::Database]);
        assert!(hub.refresh().await.is_err());
        assert_eq!(codes(&hub.readiness), [FindingCode::Database, FindingCode::Rendering]);
    }
}
