//! One running hub: the data directory, what is served from it, and whether it is ready.
//!
//! The rooms meet here. Nothing here speaks HTTP or SQL.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use phasic_hub_api::Sha256;
use phasic_hub_api::health::FindingCode;
use tokio::sync::{Notify, watch};

use crate::blobs::{BlobError, BlobStore, Bounded, LocalBlobs, Suspects, Watched};
use crate::readiness::Readiness;
use crate::registry::{Catalogue, CatalogueError, Former, RenderingsFile};
use crate::store::{ChangeWatch, Store, StoreError};
use crate::whole_file;

/// How often the database is asked whether another process has changed it.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// How long to wait before the files are looked for again, where that has failed.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long after a change what was rendered is left for the next start: many changes may follow upon each other, and the
/// file is as large as the registry document.
const KEEP_AFTER: Duration = Duration::from_secs(30);

/// The data directory of a hub: database and blobs.
#[derive(Clone)]
pub struct DataDirectory {
    /// What is known.
    pub store: Store,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Those of them that somebody could not read.
    pub suspects: Arc<Suspects>,
}

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// It cannot be made.
    #[error("the data directory {} cannot be created: {source}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process serves it.
    #[error("another phasic-hub serves the data directory {}; stop it, or choose another --data", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Nobody has made a hub there.
    #[error(
        "there is no hub in {}, and none was made: name the directory of one with --data, or make one with phasic-hub serve",
        path.display()
    )]
    NoHub {
        /// The directory.
        path: PathBuf,
    },
    /// Files are there, and not the database that knows what they are.
    #[error(
        "{database} is not there, or has no tables, and {blobs} holds files of a hub that had one; nothing was changed: \
         restore a backup into another directory (phasic-hub restore FILE --data DIR) and serve that. To do without what \
         was lost and start anew, move {blobs} away first",
        database = path.join("hub.db").display(), blobs = path.join("blobs").display()
    )]
    LostDatabase {
        /// The directory.
        path: PathBuf,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The registry could not be rendered.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl DataDirectory {
    /// Opens a data directory, and makes one where there is none. Several processes may do so at a time.
    ///
    /// # Errors
    /// [`DataError::LostDatabase`], or when directory, database or blob store cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, DataError> {
        let data = Self::open_unchecked(path).await?;
        data.store.check().await?;
        Ok(data)
    }

    /// The same without a look for damage of the database; see [`Store::open_unchecked`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_unchecked(path: &Path) -> Result<Self, DataError> {
        let create = |source| DataError::Create { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(create)?;
        // Whoever made it: a loss of power may take it away again, with all that was acknowledged.
        if let Some(parent) = fs::canonicalize(path).map_err(create)?.parent() {
            whole_file::sync(parent).map_err(create)?;
        }
        // The files first: where nothing can be written, the file system says why, and SQLite does not.
        let blobs = Arc::new(LocalBlobs::open(path)?);
        let store = match Store::open_existing(path).await {
            Err(StoreError::Absent { .. }) => begin(path).await?,
            opened => opened?,
        };
        Ok(Self::of(store, blobs))
    }

    /// Opens a data directory somebody has made before: a mistyped name makes none.
    ///
    /// # Errors
    /// [`DataError::NoHub`] where there is none, after which nothing is there that was not before; else as
    /// [`open`](Self::open).
    pub async fn existing(path: &Path) -> Result<Self, DataError> {
        let is_made = path.join("hub.db").exists() || LocalBlobs::holds_any(path)?;
        if !is_made {
            return Err(DataError::NoHub { path: path.to_owned() });
        }
        Self::open(path).await
    }

    /// A data directory of these two.
    pub fn of(store: Store, blobs: Arc<dyn BlobStore>) -> Self {
        let suspects = Arc::new(Suspects::default());
        let blobs = Arc::new(Watched::new(blobs, Arc::clone(&suspects)));
        Self { store, blobs, suspects }
    }

    /// The same, whose blobs take no more than so many bytes together; 0 is as many as the disk holds.
    #[must_use]
    pub fn within(self, max_bytes: u64) -> Self {
        if max_bytes == 0 {
            return self;
        }
        Self { blobs: Arc::new(Bounded::new(self.blobs, max_bytes)), ..self }
    }
}

/// Makes the database of a new hub. A hub stores files only after its tables are on disk, so an interrupted first start has
/// left none; where there are some, a database was lost, and for a new one they all would be garbage.
async fn begin(path: &Path) -> Result<Store, DataError> {
    if !LocalBlobs::holds_any(path)? {
        return Ok(Store::open_unchecked(path).await?);
    }
    // Unless another process has made it just now, and stored these.
    match Store::open_existing(path).await {
        Err(StoreError::Absent { .. }) => Err(DataError::LostDatabase { path: path.to_owned() }),
        opened => Ok(opened?),
    }
}

/// Keeps a second server out of a data directory for as long as it lives.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "held, never read")] File);

impl ServeLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`DataError::InUse`] when somebody has it.
    pub fn take(data_dir: &Path) -> Result<Self, DataError> {
        let create = |source| DataError::Create { path: data_dir.to_owned(), source };
        fs::create_dir_all(data_dir).map_err(create)?;
        let file = File::create(data_dir.join("serve.lock")).map_err(create)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(DataError::InUse { path: data_dir.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(create(source)),
        }
    }
}

/// A hub that answers requests.
pub struct Hub {
    /// Its data.
    pub data: DataDirectory,
    /// Whether it is ready, and why not.
    pub readiness: Readiness,
    public_base: String,
    catalogue: ArcSwap<Catalogue>,
    /// Held while rendering, so that an older state never takes the place of a newer one.
    rendering: tokio::sync::Mutex<()>,
    /// How often the catalogue has been rendered anew.
    renderings: watch::Sender<u64>,
    /// How often it was seen that the database had changed.
    database_changes: watch::Sender<u64>,
    /// Files that were asked for, and of which no note was taken yet.
    used: Mutex<HashSet<Sha256>>,
}

impl Hub {
    /// A hub on this data, whose artifacts are to be found under `public_base`. What is in `former` and has not changed
    /// since is not rendered anew.
    ///
    /// # Errors
    /// When the present state cannot be read.
    pub async fn new(data: DataDirectory, public_base: String, former: Former) -> Result<Self, DataError> {
        let catalogue = Catalogue::load(&data.store, &*data.blobs, &public_base, former).await?;
        report(&data, &catalogue);
        Ok(Self::of(data, public_base, catalogue))
    }

    /// The same without a look whether the files are there, of which there may be a hundred thousand: whoever answers
    /// already has it done by [`look_for_files`](Self::look_for_files).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn unseen(data: DataDirectory, public_base: String, former: Former) -> Result<Self, DataError> {
        let catalogue = Catalogue::load_unseen(&data.store, &public_base, former).await?;
        let hub = Self::of(data, public_base, catalogue);
        hub.readiness.wait_for(
            FindingCode::FilesUnseen,
            "The hub has just started and looks whether all its files are there; what lacks some is listed until then.",
        );
        Ok(hub)
    }

    fn of(data: DataDirectory, public_base: String, catalogue: Catalogue) -> Self {
        Self {
            data,
            readiness: Readiness::default(),
            public_base,
            catalogue: ArcSwap::from_pointee(catalogue),
            rendering: tokio::sync::Mutex::default(),
            renderings: watch::Sender::new(0),
            database_changes: watch::Sender::new(0),
            used: Mutex::default(),
        }
    }

    /// Looks whether all files are there, and withdraws what lacks some. Until that is done the hub is not ready.
    pub async fn look_for_files(self: Arc<Self>) {
        let DataDirectory { store, blobs, .. } = &self.data;
        loop {
            let looked = match Catalogue::lacks_files(store, &**blobs).await {
                Ok(false) => Ok(()),
                Ok(true) => self.refresh().await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(()) => return self.readiness.done(FindingCode::FilesUnseen),
                Err(error) => tracing::error!(%error, "cannot look for the stored files; it is tried again"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What absolute URLs of this hub begin with, without a final slash.
    pub fn public_base(&self) -> &str {
        &self.public_base
    }

    /// What is served at this moment.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// Renders the registry anew after a change.
    ///
    /// # Errors
    /// When the present state cannot be read; what was served before is still served then.
    pub async fn refresh(&self) -> Result<(), CatalogueError> {
        self.refresh_if(|_| true).await
    }

    /// Withdraws a blob that could not be read, and has it healed: renders the registry anew if that promises it. However
    /// many requests stumble over it, each is done once.
    ///
    /// # Errors
    /// When the present state cannot be read; what was served before is still served then.
    pub async fn withdraw(&self, blob: Sha256) -> Result<(), CatalogueError> {
        self.data.suspects.report([blob]);
        self.refresh_if(|catalogue| catalogue.promises(blob)).await
    }

    /// Takes note that a file was asked for: no more than a look into memory.
    pub fn note_use(&self, blob: Sha256) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(blob);
    }

    /// Files that were asked for since the last call.
    pub fn take_used(&self) -> Vec<Sha256> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    async fn refresh_if(&self, is_needed: impl FnOnce(&Catalogue) -> bool) -> Result<(), CatalogueError> {
        let _rendering = self.rendering.lock().await;
        if !is_needed(&self.catalogue()) {
            return Ok(());
        }
        let former = self.catalogue().renderings();
        let rendered = Catalogue::load(&self.data.store, &*self.data.blobs, &self.public_base, former).await;
        match &rendered {
            Ok(_) => self.readiness.done(FindingCode::Rendering),
            Err(_) => self.readiness.wait_for(
                FindingCode::Rendering,
                "A change could not be rendered, and what was served before is still served; the log says why.",
            ),
        }
        let catalogue = rendered?;
        report(&self.data, &catalogue);
        self.catalogue.store(Arc::new(catalogue));
        self.renderings.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Counts how often the registry has been rendered anew, for those who wait for it.
    pub fn renderings(&self) -> watch::Receiver<u64> {
        self.renderings.subscribe()
    }

    /// Counts how often it was seen, by [`follow_changes`](Self::follow_changes), that anybody had changed anything in the
    /// database, for those who would have to ask it now and then.
    pub fn database_changes(&self) -> watch::Receiver<u64> {
        self.database_changes.subscribe()
    }

    /// Leaves what was rendered for the next start, a while after it was. Never ends.
    pub async fn keep_renderings(self: Arc<Self>, file: Arc<RenderingsFile>) {
        let mut renderings = self.renderings();
        loop {
            tokio::time::sleep(KEEP_AFTER).await;
            let (file, former) = (Arc::clone(&file), self.catalogue().renderings());
            let written = tokio::task::spawn_blocking(move || file.write(&former)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "cannot leave what was rendered for the next start");
            }
            if renderings.changed().await.is_err() {
                return;
            }
        }
    }

    /// Says so whenever anybody has changed the database, this process or another, and renders the registry anew where that has
    /// changed: the one does not wait for the other. Never ends.
    ///
    /// `watch` must be older than the hub, so that nothing falls between the two.
    pub async fn follow_changes(&self, watch: ChangeWatch) {
        let due = Notify::new();
        tokio::join!(self.look_for_changes(watch, &due), self.render_when(&due));
    }

    async fn look_for_changes(&self, mut watch: ChangeWatch, due: &Notify) {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            match watch.look().await {
                Ok(seen) => {
                    if seen.anything {
                        self.database_changes.send_modify(|count| *count += 1);
                    }
                    if seen.registry {
                        due.notify_one();
                    }
                }
                Err(error) => tracing::error!(%error, "cannot look for changes; it is tried again"),
            }
        }
    }

    async fn render_when(&self, due: &Notify) {
        loop {
            due.notified().await;
            if let Err(error) = self.refresh().await {
                tracing::error!(%error, "could not render a change; what was served before is still served");
                due.notify_one();
            }
            // What changes all the time is not rendered all the time.
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}

/// Says what is stored and not served, and has looked for what it lacks: nobody will ask for what is not listed.
fn report(data: &DataDirectory, catalogue: &Catalogue) {
    data.suspects.report(catalogue.lost());
    for withheld in catalogue.withheld() {
        tracing::warn!(id = %withheld.id, reason = %withheld.reason, "withheld a compute");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{DataDirectory, Hub};
    use crate::registry::Former;
    use crate::store::Actor;

    #[tokio::test]
    async fn changes_are_told_of_while_the_registry_is_rendered() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let watch = data.store.watch().await.unwrap();
        let hub = Arc::new(Hub::new(data, "http://hub".to_owned(), Former::default()).await.unwrap());
        let mut changes = hub.database_changes();
        let _rendering = hub.rendering.lock().await;
        let follower = Arc::clone(&hub);
        let following = tokio::spawn(async move { follower.follow_changes(watch).await });
        for id in ["one", "another"] {
            // Which changes what the registry shows, too.
            hub.data.store.set_private(&id.parse().unwrap(), true, &Actor::Operator).await.unwrap();
            let told = tokio::time::timeout(Duration::from_secs(30), changes.changed()).await;
            told.expect("it is told of in time").unwrap();
        }
        following.abort();
    }
}
