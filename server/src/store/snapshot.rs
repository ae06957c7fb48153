//! Everything the registry is made of, as it is at one moment, read in bulk. What is not a matter of files and computes
//! is read beside its table, by methods of [`Snapshot`] as well.
//!
//! Each row that is handed from SQLite to us costs microseconds, and a large hub has a hundred thousand files. So files
//! come in strings of bytes, one for all files of a compute, and the sizes of all blobs in a few.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use phasic_hub_api::identifier::ComputeIdError;
use phasic_hub_api::{GraphHash, Sha256};
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};

use super::computes::{ORIGIN, blob, digest, origin, role};
use super::{ArtifactRow, ArtifactVersion, ComputeRow, Role, Store, StoreError};
use crate::blobs::StoredBlob;

/// Blobs and their sizes in bytes.
pub type BlobSizes = HashMap<Sha256, u64>;

/// The files of a compute in one string: for each a letter for its role, and the bytes of two digests, those of its graph
/// and of the file that is served. Where another one was published, the letter is a capital, and the digest of that follows.
const FILES: &str = "(SELECT CAST(group_concat(iif(original_sha256 = served_sha256, \
     substr(role, 1, 1) || graph_hash || served_sha256, \
     upper(substr(role, 1, 1)) || graph_hash || served_sha256 || original_sha256), '') AS BLOB) \
     FROM compute_artifacts WHERE compute_id = ordered.id)";

/// One moment of the database.
#[derive(Debug)]
pub struct Snapshot {
    transaction: Transaction<'static, Sqlite>,
    /// Once somebody has asked for them.
    sizes: Option<Arc<BlobSizes>>,
}

/// A compute as SQLite gives it; making a row of it is a matter of the processor, and left to whoever has one.
#[derive(Debug)]
pub struct PackedCompute {
    id: String,
    origin: String,
    upstream: Option<String>,
    entry: String,
    files: Option<Vec<u8>>,
}

impl Store {
    /// The database as it is now. Keeps a connection for as long as it lives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut transaction = self.readers.begin().await?;
        // The moment is that of the first look.
        sqlx::query("SELECT state FROM registry_state").fetch_one(&mut *transaction).await?;
        Ok(Snapshot { transaction, sizes: None })
    }

    /// All computes in the order of the registry document: local ones first, then upstream by upstream, those computed on
    /// demand last. Whoever need not have them at once takes them from a [`Snapshot`], one at a time.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn computes(&self) -> Result<Vec<ComputeRow>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let sizes = snapshot.sizes().await?;
        let packed = snapshot.computes();
        packed.map(|packed| packed?.unpack(&sizes)).try_collect().await
    }
}

impl Snapshot {
    /// The connection that sees this moment.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Every blob the database knows. Read once: a tenth of a second for a hundred thousand of them.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn sizes(&mut self) -> Result<Arc<BlobSizes>, StoreError> {
        if let Some(sizes) = &self.sizes {
            return Ok(Arc::clone(sizes));
        }
        let sizes = Arc::new(sizes(&mut self.transaction).await?);
        Ok(Arc::clone(self.sizes.insert(sizes)))
    }

    /// Names the state of all [`computes`](Self::computes), their files and [former versions](Self::former_versions), and of
    /// the order of upstreams: where it is the same, they are the same, whatever has happened in between.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn state_of_computes(&mut self) -> Result<Sha256, StoreError> {
        let tables: Vec<u8> =
            sqlx::query_scalar("SELECT state FROM registry_state").fetch_one(&mut *self.transaction).await?;
        let places: Vec<(String, i64)> = sqlx::query_as("SELECT name, place FROM upstreams ORDER BY name")
            .fetch_all(&mut *self.transaction)
            .await?;
        Ok(Sha256::of(format!("{tables:?} {places:?}").as_bytes()))
    }

    /// All computes, in the order of [`Store::computes`].
    pub fn computes(&mut self) -> impl Stream<Item = Result<PackedCompute, StoreError>> + Send + '_ {
        // Put in order before their entries are read, and without a look at them: sorting those as well, or going past
        // them, takes as long as reading them.
        let sql = format!(
            "WITH ordered AS MATERIALIZED (SELECT id, {ORIGIN} AS origin, upstream FROM computes \
             INDEXED BY computes_in_order LEFT JOIN upstreams u ON u.name = computes.upstream \
             ORDER BY CASE {ORIGIN} WHEN 'local' THEN 0 WHEN 'mirror' THEN 1 ELSE 2 END, u.place, computes.upstream, \
             computes.place, id) \
             SELECT id, origin, upstream, (SELECT entry FROM computes WHERE computes.id = ordered.id) AS entry, \
             {FILES} AS files FROM ordered"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch(&mut *self.transaction);
        rows.map(|row| packed(&row?))
    }

    /// Every content an artifact name has stood for and stands for in no compute now, the oldest first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn former_versions(&mut self) -> Result<Vec<ArtifactVersion>, StoreError> {
        let mut rows = sqlx::query(
            "SELECT v.role, v.graph_hash, v.sha256, b.size_bytes FROM artifact_versions v \
             JOIN blobs b ON b.sha256 = v.sha256 WHERE NOT EXISTS (SELECT 1 FROM compute_artifacts a WHERE \
             a.graph_hash = v.graph_hash AND a.role = v.role AND a.served_sha256 = v.sha256) \
             ORDER BY v.first_served_at, v.sha256",
        )
        .fetch(&mut *self.transaction);
        let mut versions = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let place = "artifact_versions";
            let graph_hash = GraphHash::from_bytes(digest(&row, "graph_hash", place)?);
            let blob = blob(&row, "sha256", "size_bytes", place)?;
            versions.push(ArtifactVersion { role: role(&row, place)?, graph_hash, blob });
        }
        Ok(versions)
    }
}

impl PackedCompute {
    /// The compute, with the sizes of its files.
    ///
    /// # Errors
    /// When it is nothing a hub writes.
    pub fn unpack(self, sizes: &BlobSizes) -> Result<ComputeRow, StoreError> {
        let Self { id, origin: word, upstream, entry, files } = self;
        let unreadable = |reason: String| StoreError::Row { place: format!("computes, id {id:?}"), reason };
        let origin = origin(&word).map_err(unreadable)?;
        let mut rest = files.as_deref().unwrap_or_default();
        let mut artifacts = Vec::new();
        while !rest.is_empty() {
            let broken = || unreadable(format!("{} bytes of its files cannot be read", rest.len()));
            let (file, others) = unpack_file(rest, sizes).ok_or_else(broken)?;
            artifacts.push(file);
            rest = others;
        }
        let id = id.parse().map_err(|error: ComputeIdError| unreadable(error.to_string()))?;
        Ok(ComputeRow { id, origin, upstream, entry, artifacts })
    }
}

fn packed(row: &SqliteRow) -> Result<PackedCompute, StoreError> {
    Ok(PackedCompute {
        id: row.try_get("id")?,
        origin: row.try_get("origin")?,
        upstream: row.try_get("upstream")?,
        entry: row.try_get("entry")?,
        files: row.try_get("files")?,
    })
}

/// The first file of a string of files, and the rest of it.
fn unpack_file<'a>(packed: &'a [u8], sizes: &BlobSizes) -> Option<(ArtifactRow, &'a [u8])> {
    let (letter, rest) = packed.split_first()?;
    let role = match letter.to_ascii_lowercase() {
        b'p' => Role::Parent,
        b's' => Role::Scc,
        _ => return None,
    };
    let blob = |digest: [u8; 32]| {
        let sha256 = Sha256::from(digest);
        Some(StoredBlob { sha256, size_bytes: *sizes.get(&sha256)? })
    };
    let (&graph_hash, rest) = rest.split_first_chunk()?;
    let (&served, mut rest) = rest.split_first_chunk()?;
    let served = blob(served)?;
    let mut original = served;
    if letter.is_ascii_uppercase() {
        let (&digest, others) = rest.split_first_chunk()?;
        (original, rest) = (blob(digest)?, others);
    }
    Some((ArtifactRow { role, graph_hash: GraphHash::from_bytes(graph_hash), original, served }, rest))
}

async fn sizes(transaction: &mut Transaction<'static, Sqlite>) -> Result<BlobSizes, StoreError> {
    let mut sizes = BlobSizes::new();
    for first in 0..16_u8 {
        // Nothing is as long as what ends the last range.
        let end = if first < 15 { vec![(first + 1) << 4] } else { vec![u8::MAX; 33] };
        let some: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT CAST(group_concat(sha256 || size_bytes, ' ') AS BLOB) FROM blobs WHERE sha256 >= ? AND sha256 < ?",
        )
        .bind(vec![first << 4])
        .bind(end)
        .fetch_one(&mut **transaction)
        .await?;
        let mut rest = some.as_deref().unwrap_or_default();
        if first == 0 {
            // Digests are spread evenly.
            sizes.reserve(16 * rest.len() / SIZE_BYTES);
        }
        while !rest.is_empty() {
            let broken = || StoreError::Row {
                place: "blobs".to_owned(),
                reason: format!("{} bytes of digests and sizes cannot be read", rest.len()),
            };
            let ((name, size_bytes), others) = unpack_size(rest).ok_or_else(broken)?;
            sizes.insert(name, size_bytes);
            rest = others;
        }
    }
    Ok(sizes)
}

/// About as many bytes a digest takes with its size.
const SIZE_BYTES: usize = 36;

/// The first digest of a string of digests with their sizes in decimal digits and blanks between them, and the rest of it.
fn unpack_size(packed: &[u8]) -> Option<((Sha256, u64), &[u8])> {
    let (&digest, rest) = packed.split_first_chunk::<32>()?;
    let end = rest.iter().position(|&byte| byte == b' ');
    let (digits, rest) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 1..]));
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let size_bytes = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    Some(((digest.into(), size_bytes), rest))
}

#[cfg(test)]
mod tests {
    use super::{unpack_file, unpack_size};
    use crate::store::{BlobSizes, Role};

    #[test]
    fn files_are_unpacked_with_the_sizes_of_their_blobs_or_not_at_all() {
        let mut packed = vec![b'S'];
        packed.extend([[1; 32], [0xcd; 32], [b' '; 32]].concat());
        packed.push(b'p');
        packed.extend([[0; 32], [b' '; 32]].concat());
        let mut sizes = BlobSizes::new();
        assert_eq!(unpack_file(&packed, &sizes), None, "a file of no blob");
        sizes.extend([([b' '; 32].into(), 7), ([0xcd; 32].into(), 9)]);
        let (file, rest) = unpack_file(&packed, &sizes).unwrap();
        assert_eq!((file.role, file.graph_hash.as_bytes()), (Role::Scc, &[1; 32]));
        assert_eq!((file.original.sha256, file.original.size_bytes), ([b' '; 32].into(), 7));
        assert_eq!((file.served.sha256, file.served.size_bytes), ([0xcd; 32].into(), 9));
        let (file, nothing) = unpack_file(rest, &sizes).unwrap();
        assert_eq!((file.role, file.original), (Role::Parent, file.served));
        assert!(nothing.is_empty());
        for length in 0..rest.len() {
            assert_eq!(unpack_file(&rest[..length], &sizes), None, "{length} bytes");
            assert_eq!(unpack_file(&packed[..length], &sizes), None, "{length} bytes");
        }
        packed[0] = b'x';
        assert_eq!(unpack_file(&packed, &sizes), None);
    }

    #[test]
    fn a_size_stands_behind_the_bytes_of_its_blob() {
        let packed = |digest: [u8; 32], rest: &str| [&digest[..], rest.as_bytes()].concat();
        let two = packed([b' '; 32], "120 another");
        assert_eq!(unpack_size(&two), Some((([b' '; 32].into(), 120), &b"another"[..])));
        assert_eq!(unpack_size(&packed([9; 32], "0")), Some((([9; 32].into(), 0), &[][..])));
        for wrong in ["", "-1", "+1", "1g", " 1", "99999999999999999999"] {
            assert_eq!(unpack_size(&packed([9; 32], wrong)), None, "{wrong:?}");
        }
        assert_eq!(unpack_size(&[b'1'; 31]), None);
    }
}
