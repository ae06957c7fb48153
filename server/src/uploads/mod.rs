//! Bytes on their way from clients: whole uploads, and ones that go on where they broke off.
//!
//! A whole upload goes straight into the blob store, hashed while it arrives. One that comes in parts is collected in a
//! file below `partial/` first, which a new process finds again, and goes into the blob store when it is complete. What
//! a token may store is counted here, what the hub may store in the blob store itself. Who may upload is decided
//! elsewhere.

mod partial;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use phasic_hub_api::Sha256;

use self::partial::{CompleteFile, Partials};
use crate::blobs::{BlobError, ByteStream, StoredBlob, Terms};
use crate::config;
use crate::hub::DataDirectory;
use crate::store::StoreError;
use crate::visibility::Audience;

pub use partial::{Appended, Part, UploadState};

/// How often it is looked for unfinished uploads whose time is over, unless their time is shorter.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Who uploads.
#[derive(Clone, Debug)]
pub struct Uploader {
    /// The id of the token.
    pub token: String,
    /// Who may have the bytes before they are published.
    pub audience: Audience,
}

/// Takes uploads into a data directory.
pub struct Uploads {
    data: DataDirectory,
    settings: config::Uploads,
    partials: Partials,
    /// Bytes each token may be storing at this moment.
    reserved: Arc<Mutex<HashMap<String, OnTheirWay>>>,
    /// Held while shares are counted.
    counting: tokio::sync::Mutex<()>,
}

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The file is larger than any may be.
    #[error("the file has {size_bytes} bytes, and this hub takes {limit_bytes} (uploads.max_blob_bytes)")]
    TooLarge {
        /// Its size, or what has arrived of it.
        size_bytes: u64,
        /// What is allowed.
        limit_bytes: u64,
    },
    /// The token has stored as much as it may.
    #[error(
        "uploads with this token take {used_bytes} bytes, {size_bytes} more would come, and they may take {limit_bytes} \
         (uploads.max_token_bytes); what nothing refers to is removed by phasic-hub gc"
    )]
    TokenFull {
        /// Bytes taken or on their way.
        used_bytes: u64,
        /// Bytes that would come.
        size_bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// There are too many unfinished uploads.
    #[error(
        "{limit} uploads are unfinished already (uploads.max_partial); finish or delete one, or wait until one is \
         forgotten"
    )]
    TooManyPartial {
        /// How many there may be.
        limit: u64,
    },
    /// The part is not the one that comes next.
    #[error("the upload goes on at byte {expected}, and the part begins at {found}")]
    Offset {
        /// What has arrived.
        expected: u64,
        /// Where the part begins.
        found: u64,
    },
    /// Another request is sending the same file.
    #[error("another request is uploading this file at this moment")]
    Busy,
    /// The part is not as long as its `Content-Range` says.
    #[error("the part has not the {expected} bytes its Content-Range says")]
    PartLength {
        /// What it says.
        expected: u64,
    },
    /// The blob store refused it, or failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Uploads {
    /// Uploads into a data directory. Unfinished ones that are too old are removed.
    ///
    /// # Errors
    /// When the directory of unfinished uploads cannot be made or read.
    pub fn open(
        data: DataDirectory,
        data_dir: &Path,
        settings: config::Uploads,
    ) -> Result<Self, UploadError> {
        let partials = Partials::open(data_dir, &settings)?;
        Ok(Self {
            data,
            settings,
            partials,
            reserved: Arc::default(),
            counting: tokio::sync::Mutex::default(),
        })
    }

    /// Takes a whole file. `announced` is its size, if that is known beforehand. Says whether the uploader could not have
    /// had these bytes before; whether somebody else has them makes no difference.
    ///
    /// # Errors
    /// [`UploadError`]; nothing is kept then.
    pub async fn whole(
        &self,
        who: &Uploader,
        name: Sha256,
        announced: Option<u64>,
        body: ByteStream,
    ) -> Result<StoredBlob, UploadError> {
        let share = self.reserve(who, Kind::Whole(name), announced).await?;
        let limit_bytes = self.settings.max_blob_bytes.get();
        let terms = Terms { max_bytes: share.bytes, sha256: Some(name) };
        let blob = self.data.blobs.put(body, terms).await.map_err(|error| match error {
            BlobError::TooLarge { .. } if share.bytes < limit_bytes => UploadError::TokenFull {
                used_bytes: share.used_bytes,
                size_bytes: share.bytes + 1,
                limit_bytes: self.settings.max_token_bytes.get(),
            },
            BlobError::TooLarge { .. } => UploadError::TooLarge { size_bytes: limit_bytes + 1, limit_bytes },
            error => error.into(),
        })?;
        self.data.store.put_upload(blob, &who.token, &who.audience).await?;
        Ok(blob)
    }

    /// Takes a part of a file. The last one makes it a blob.
    ///
    /// # Errors
    /// [`UploadError`]. What has arrived stays, unless the whole has another digest than its name.
    pub async fn part(
        &self,
        who: &Uploader,
        name: Sha256,
        part: Part,
        body: ByteStream,
    ) -> Result<Appended, UploadError> {
        let _share = self.reserve(who, Kind::Part(name), Some(part.total_bytes)).await?;
        let appended = self.partials.append(&who.token, name, part, body).await?;
        let Appended::Complete(file) = appended else { return Ok(appended) };
        Ok(Appended::Stored(self.store(who, name, part.total_bytes, &file).await?))
    }

    /// Makes a blob of a file all parts of which have arrived: the last one came, and was not answered, because there
    /// was no room, the connection broke or the process died.
    ///
    /// # Errors
    /// [`UploadError`]; [`UploadError::Offset`] says what is missing.
    pub async fn finish(
        &self,
        who: &Uploader,
        name: Sha256,
        total_bytes: u64,
    ) -> Result<StoredBlob, UploadError> {
        let _share = self.reserve(who, Kind::Part(name), Some(total_bytes)).await?;
        let file = self.partials.complete(&who.token, name, total_bytes)?;
        self.store(who, name, total_bytes, &file).await
    }

    /// The file of the parts goes only when nothing can be lost any more.
    async fn store(
        &self,
        who: &Uploader,
        name: Sha256,
        total_bytes: u64,
        file: &CompleteFile,
    ) -> Result<StoredBlob, UploadError> {
        let terms = Terms { max_bytes: total_bytes, sha256: Some(name) };
        let blob = match self.data.blobs.put(file.read().await?, terms).await {
            Err(error @ BlobError::WrongHash { .. }) => {
                file.remove()?;
                return Err(error.into());
            }
            stored => stored?,
        };
        self.data.store.put_upload(blob, &who.token, &who.audience).await?;
        file.remove()?;
        Ok(blob)
    }

    /// Takes a file without its bytes, which are here and which the uploader can see: as if they had been sent again.
    /// `None` when they are not here whole.
    ///
    /// # Errors
    /// [`UploadError`]; nothing is changed then.
    pub async fn known(&self, who: &Uploader, blob: StoredBlob) -> Result<Option<StoredBlob>, UploadError> {
        let is_counted = self.data.store.has_uploaded(&who.token, blob.sha256).await?;
        let whole = Kind::Whole(blob.sha256);
        let _share =
            if is_counted { None } else { Some(self.reserve(who, whole, Some(blob.size_bytes)).await?) };
        // Young first, so that the row that is written then is not taken away by a collection under way.
        match self.data.blobs.renew(blob.sha256).await {
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => return Ok(None),
            renewed => renewed?,
        };
        self.data.store.put_upload(blob, &who.token, &who.audience).await?;
        Ok(Some(blob))
    }

    /// How far an upload in parts has come, if there is an unfinished one.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn state(&self, who: &Uploader, name: Sha256) -> Result<Option<UploadState>, UploadError> {
        Ok(self.partials.state(&who.token, name)?)
    }

    /// Forgets an unfinished upload. Says whether there was one.
    ///
    /// # Errors
    /// [`UploadError::Busy`], or when the file system fails.
    pub fn discard(&self, who: &Uploader, name: Sha256) -> Result<bool, UploadError> {
        self.partials.discard(&who.token, name)
    }

    /// Removes unfinished uploads that nobody has gone on with for too long.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn sweep(&self) -> Result<(), UploadError> {
        Ok(self.partials.sweep()?)
    }

    /// Removes them now and then. Never ends.
    pub async fn keep_swept(self: Arc<Self>) {
        let pause = self.partials.age().clamp(SWEEP_AT_MOST_EVERY, SWEEP_EVERY);
        loop {
            tokio::time::sleep(pause).await;
            let uploads = Arc::clone(&self);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || uploads.sweep()).await {
                tracing::warn!(%error, "could not remove unfinished uploads whose time is over");
            }
        }
    }

    /// How long a body may send nothing.
    pub fn idle(&self) -> Duration {
        self.settings.idle_timeout_ms.duration()
    }

    /// A share of what the token may store: what is announced, or as much as there is. What it has begun in parts counts
    /// as a whole, but for the part that is being gone on with; and what it has stored already counts once, however often it
    /// is sent.
    async fn reserve(
        &self,
        who: &Uploader,
        kind: Kind,
        announced: Option<u64>,
    ) -> Result<Share, UploadError> {
        let (name, goes_on) = match kind {
            Kind::Whole(name) => (name, None),
            Kind::Part(name) => (name, Some(name)),
        };
        let limit_bytes = self.settings.max_blob_bytes.get();
        if let Some(size_bytes) = announced.filter(|&size_bytes| size_bytes > limit_bytes) {
            return Err(UploadError::TooLarge { size_bytes, limit_bytes });
        }
        // One after the other, and what is on its way before what is stored: what is stored in between counts twice then,
        // and never not at all.
        let _counting = self.counting.lock().await;
        let on_their_way = self.lock().get(&who.token).cloned().unwrap_or_default();
        let parts: Vec<_> = on_their_way.parts.iter().copied().chain(goes_on).collect();
        let unfinished = self.partials.announced_bytes(&who.token, &parts)?;
        let stored = self.data.store.uploaded_bytes_but_for(&who.token, name).await?;
        let used_bytes = stored.saturating_add(on_their_way.bytes).saturating_add(unfinished);
        let most = self.settings.max_token_bytes.get();
        let left = most.saturating_sub(used_bytes);
        let bytes = announced.unwrap_or_else(|| left.min(limit_bytes));
        if bytes > left || left == 0 {
            let size_bytes = bytes.max(1);
            return Err(UploadError::TokenFull { used_bytes, size_bytes, limit_bytes: most });
        }
        let mut reserved = self.lock();
        let mine = reserved.entry(who.token.clone()).or_default();
        mine.bytes += bytes;
        mine.parts.extend(goes_on);
        let reserved = Arc::clone(&self.reserved);
        Ok(Share { reserved, token: who.token.clone(), bytes, part: goes_on, used_bytes })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, OnTheirWay>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is being sent.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A whole file.
    Whole(Sha256),
    /// A part of one.
    Part(Sha256),
}

/// What requests of one token are sending at this moment.
#[derive(Clone, Debug, Default)]
struct OnTheirWay {
    /// Bytes of the whole files.
    bytes: u64,
    /// Those of them that come in parts, whose unfinished files are not to be counted as well.
    parts: Vec<Sha256>,
}

/// Bytes a token may be storing, until the value is dropped.
struct Share {
    reserved: Arc<Mutex<HashMap<String, OnTheirWay>>>,
    token: String,
    bytes: u64,
    /// The file, where this is a part of it.
    part: Option<Sha256>,
    /// What the token had taken before.
    used_bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = reserved.get_mut(&self.token) {
            mine.bytes -= self.bytes;
            if let Some(place) = mine.parts.iter().position(|&name| Some(name) == self.part) {
                mine.parts.swap_remove(place);
            }
            if mine.bytes == 0 && mine.parts.is_empty() {
                reserved.remove(&self.token);
            }
        }
    }
}
