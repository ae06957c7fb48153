//! Everything the registry is made of, as it is at one moment, read in bulk. What is not a matter of files and computes
//! is read beside its table, by methods of [`Snapshot`] as well.
//!
//! Each row that is handed from SQLite to us costs microseconds, and a large hub has a hundred thousand files. So files
//! come in strings of digits, one for all files of a compute, and the sizes of all blobs in a few.

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

/// Digits of a digest.
const DIGITS: usize = 64;

/// The files of a compute in one string: for each a letter for its role, and the digits of three digests.
const FILES: &str = "(SELECT group_concat(substr(role, 1, 1) || hex(graph_hash) || hex(original_sha256) \
     || hex(served_sha256), '') FROM compute_artifacts WHERE compute_id = ordered.id)";

/// One moment of the database.
#[derive(Debug)]
pub struct Snapshot {
    transaction: Transaction<'static, Sqlite>,
    sizes: Arc<BlobSizes>,
}

/// A compute as SQLite gives it; making a row of it is a matter of the processor, and left to whoever has one.
#[derive(Debug)]
pub struct PackedCompute {
    id: String,
    origin: String,
    upstream: Option<String>,
    entry: String,
    files: Option<String>,
}

impl Store {
    /// The database as it is now. Keeps a connection for as long as it lives.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut transaction = self.readers.begin().await?;
        let sizes = Arc::new(sizes(&mut transaction).await?);
        Ok(Snapshot { transaction, sizes })
    }

    /// All computes in the order of the registry document: local ones first, then upstream by upstream, those computed on
    /// demand last. Whoever need not have them at once takes them from a [`Snapshot`], one at a time.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn computes(&self) -> Result<Vec<ComputeRow>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let sizes = snapshot.sizes();
        let packed = snapshot.computes();
        packed.map(|packed| packed?.unpack(&sizes)).try_collect().await
    }
}

impl Snapshot {
    /// The connection that sees this moment.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Every blob the database knows.
    pub fn sizes(&self) -> Arc<BlobSizes> {
        Arc::clone(&self.sizes)
    }

    /// All computes, in the order of [`Store::computes`].
    pub fn computes(&mut self) -> impl Stream<Item = Result<PackedCompute, StoreError>> + Send + '_ {
        // Put in order before their entries are read: sorting those as well takes as long as reading them.
        let sql = format!(
            "WITH ordered AS MATERIALIZED (SELECT id, {ORIGIN} AS origin, upstream FROM computes \
             LEFT JOIN upstreams u ON u.name = computes.upstream \
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
        let files = files.unwrap_or_default();
        let broken = || unreadable(format!("its files are {files:?}"));
        let pieces = files.as_bytes().chunks(1 + 3 * DIGITS);
        let artifacts =
            pieces.map(|piece| unpack_file(piece, sizes).ok_or_else(broken)).collect::<Result<_, _>>()?;
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

fn unpack_file(piece: &[u8], sizes: &BlobSizes) -> Option<ArtifactRow> {
    let (letter, digits) = piece.split_first()?;
    let role = [Role::Parent, Role::Scc].into_iter().find(|role| role.as_str().as_bytes()[0] == *letter)?;
    let digest = |place: usize| from_hex(digits.get(place * DIGITS..(place + 1) * DIGITS)?);
    let blob = |place| {
        let sha256 = Sha256::from(digest(place)?);
        Some(StoredBlob { sha256, size_bytes: *sizes.get(&sha256)? })
    };
    Some(ArtifactRow {
        role,
        graph_hash: GraphHash::from_bytes(digest(0)?),
        original: blob(1)?,
        served: blob(2)?,
    })
}

async fn sizes(transaction: &mut Transaction<'static, Sqlite>) -> Result<BlobSizes, StoreError> {
    let mut sizes = BlobSizes::new();
    for first in 0..16_u8 {
        // Nothing is as long as what ends the last range.
        let end = if first < 15 { vec![(first + 1) << 4] } else { vec![u8::MAX; 33] };
        let some: Option<String> = sqlx::query_scalar(
            "SELECT group_concat(hex(sha256) || size_bytes, ' ') FROM blobs WHERE sha256 >= ? AND sha256 < ?",
        )
        .bind(vec![first << 4])
        .bind(end)
        .fetch_one(&mut **transaction)
        .await?;
        for one in some.iter().flat_map(|some| some.split(' ')) {
            let (name, size_bytes) = unpack_size(one).ok_or_else(|| StoreError::Row {
                place: "blobs".to_owned(),
                reason: format!("{one:?} is no digest with a size"),
            })?;
            sizes.insert(name, size_bytes);
        }
    }
    Ok(sizes)
}

fn unpack_size(text: &str) -> Option<(Sha256, u64)> {
    let (digits, size_bytes) = text.split_at_checked(DIGITS)?;
    Some((from_hex(digits.as_bytes())?.into(), size_bytes.parse().ok()?))
}

/// Digits as SQLite's `hex` writes them: in upper case, which is no way to write a digest anywhere else.
fn from_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{from_hex, unpack_file, unpack_size};
    use crate::store::{BlobSizes, Role};

    #[test]
    fn files_are_unpacked_with_the_sizes_of_their_blobs_or_not_at_all() {
        let digits = |byte: u8| format!("{byte:02X}").repeat(32);
        let text = format!("s{}{}{}", digits(1), digits(0xab), digits(0xcd));
        let mut sizes = BlobSizes::new();
        assert_eq!(unpack_file(text.as_bytes(), &sizes), None, "a file of no blob");
        let names = [[0xab; 32], [0xcd; 32]];
        sizes.extend([(names[0].into(), 7), (names[1].into(), 9)]);
        let file = unpack_file(text.as_bytes(), &sizes).unwrap();
        assert_eq!((file.role, file.graph_hash.as_bytes()), (Role::Scc, &[1; 32]));
        assert_eq!((file.original.sha256, file.original.size_bytes), (names[0].into(), 7));
        assert_eq!((file.served.sha256, file.served.size_bytes), (names[1].into(), 9));
        for wrong in ["", "s", &text[..text.len() - 1], &text.replacen('s', "x", 1), &text.to_lowercase()] {
            assert_eq!(unpack_file(wrong.as_bytes(), &sizes), None, "{wrong}");
        }
    }

    #[test]
    fn a_size_stands_behind_the_digits_of_its_blob() {
        let digits = "0F".repeat(32);
        assert_eq!(from_hex(digits.as_bytes()), Some([0x0f; 32]));
        assert_eq!(unpack_size(&format!("{digits}120")), Some(([0x0f; 32].into(), 120)));
        for wrong in ["", "12", digits.as_str(), &format!("{digits}-1"), &format!("{}g1", &digits[1..])] {
            assert_eq!(unpack_size(wrong), None, "{wrong}");
        }
    }
}
