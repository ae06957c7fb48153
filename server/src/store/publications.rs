//! Publications by people: who was first, what stood there before, and taking back.

use phasic_hub_api::{ComputeId, GraphHash, RegistryEntry, Sha256};
use sqlx::{Sqlite, Transaction};

use super::audit::{admit, append, note};
use super::computes::{compute_row, put, put_blob, record};
use super::privacy::set_private;
use super::{Actor, Change, ComputeRow, Origin, Publication, Store, StoreError};
use crate::blobs::StoredBlob;
use crate::visibility::Audience;

/// What must be so for a publication to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The id stands for nothing, or for the same already.
    Free,
    /// The id has never stood for anything that is still here.
    Absent,
    /// The id stands for something, whatever it is.
    Present,
    /// The id stands for an entry with one of these tags.
    Tagged(Vec<Sha256>),
}

impl Condition {
    /// Whether what is there may be changed, where nothing is published: [`Free`](Self::Free) asks for nothing then.
    fn lets_change(&self, there: &Standing) -> bool {
        match self {
            Self::Free | Self::Present => true,
            Self::Absent => false,
            Self::Tagged(tags) => tags.contains(&there.tag),
        }
    }
}

/// What an id stands for, in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Names the entry: the SHA-256 of its text.
    pub tag: Sha256,
    /// Its graph.
    pub graph_hash: GraphHash,
    /// Its parent file as it was published.
    pub sha256: Sha256,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The id is new.
    New(Sha256),
    /// The id stands for something else now.
    Replaced(Sha256),
    /// It stood for the same already.
    Unchanged(Sha256),
    /// It stands for something else, and the condition does not let it be replaced.
    Refused(Option<Standing>),
}

/// What is to become of a compute; `None` leaves something as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Whether it is taken back.
    pub retracted: Option<bool>,
    /// Whether its id is private.
    pub private: Option<bool>,
}

/// What became of such a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retraction {
    /// It is done.
    Done,
    /// It was so already.
    Unchanged,
    /// An upstream has published it, and would again.
    Mirrored,
    /// There is none of this id.
    Unknown,
    /// The id stands for something else than the condition says.
    Refused(Standing),
}

/// The tag of an entry as it is stored.
pub fn tag(entry: &str) -> Sha256 {
    Sha256::of(entry.as_bytes())
}

impl Store {
    /// Publishes a compute if the condition holds, and makes its id private or public if `private` says so. One
    /// transaction: of many who publish one id at a time, one is first.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn publish(
        &self,
        publication: &Publication,
        condition: &Condition,
        private: Option<bool>,
        actor: &Actor,
    ) -> Result<Published, StoreError> {
        let mut change = self.begin().await?;
        let id = &publication.id;
        let before = standing(&mut change, id).await?;
        let entry = publication.entry.to_value().to_string();
        let mine = tag(&entry);
        let present = before.as_ref().map(|(standing, _)| standing.clone());
        let holds = match (condition, &present) {
            (Condition::Free, Some(there)) => there.tag == mine,
            (Condition::Absent, there) => there.is_none(),
            (Condition::Present, there) => there.is_some(),
            (Condition::Tagged(tags), Some(there)) => tags.contains(&there.tag),
            (Condition::Tagged(_), None) => false,
            (Condition::Free, None) => true,
        };
        if !holds {
            return Ok(Published::Refused(present));
        }
        let is_same =
            before.as_ref().is_some_and(|(there, origin)| there.tag == mine && *origin == Origin::Local);
        let privacy_changes = match private {
            Some(private) => set_private(&mut change, id, private).await?,
            None => false,
        };
        if !is_same {
            let place: i64 = sqlx::query_scalar(
                "SELECT coalesce((SELECT place FROM computes WHERE id = ?1 AND origin = 'local'), \
                 (SELECT max(place) + 1 FROM computes WHERE origin = 'local'), 0)",
            )
            .bind(id.as_str())
            .fetch_one(&mut *change)
            .await?;
            put(&mut change, None, place, publication).await?;
            sign(&mut change, id, actor, None).await?;
        }
        if is_same && !privacy_changes {
            return Ok(Published::Unchanged(mine));
        }
        let RegistryEntry { graph_hash, artifacts, .. } = &publication.entry;
        let detail = serde_json::json!({
            "graph_hash": graph_hash, "sha256": artifacts.parent.sha256, "entry": mine, "private": private,
            "before": present.as_ref().map(|there| there.tag),
        });
        let told = Change { action: "compute.publish", subject: id.to_string(), detail };
        append(&mut change, actor, told).await?;
        change.commit().await?;
        Ok(match present {
            None => Published::New(mine),
            Some(_) if is_same => Published::Unchanged(mine),
            Some(_) => Published::Replaced(mine),
        })
    }

    /// Takes a local compute back, or lets it stand again.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes; nothing is changed then.
    pub async fn retract(
        &self,
        id: &ComputeId,
        retracted: bool,
        reason: Option<&str>,
        actor: &Actor,
    ) -> Result<Retraction, StoreError> {
        let wish = Wish { retracted: Some(retracted), private: None };
        self.change_compute(id, wish, &Condition::Free, reason, actor).await
    }

    /// Takes a local compute back, or lets it stand again, and makes its id private or public, if the condition holds
    /// ([`Condition::Free`] does): all of the wish in one transaction, or nothing.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes; nothing is changed then.
    pub async fn change_compute(
        &self,
        id: &ComputeId,
        wish: Wish,
        condition: &Condition,
        reason: Option<&str>,
        actor: &Actor,
    ) -> Result<Retraction, StoreError> {
        let mut change = self.begin().await?;
        let Some(row) = row(&mut change, id).await? else { return Ok(Retraction::Unknown) };
        if let Some((there, _)) = standing(&mut change, id).await?
            && !condition.lets_change(&there)
        {
            return Ok(Retraction::Refused(there));
        }
        let mut is_done = false;
        if let Some(retracted) = wish.retracted {
            if row.origin != Origin::Local {
                return Ok(Retraction::Mirrored);
            }
            is_done |= retract(&mut change, &row, retracted, reason, actor).await?;
        }
        if let Some(private) = wish.private
            && set_private(&mut change, id, private).await?
        {
            let detail = serde_json::json!({"private": private});
            let told = Change { action: "compute.privacy", subject: id.to_string(), detail };
            append(&mut change, actor, told).await?;
            is_done = true;
        }
        if !is_done {
            return Ok(Retraction::Unchanged);
        }
        change.commit().await?;
        Ok(Retraction::Done)
    }

    /// Takes note of a blob that a token has uploaded, and of who may have it before it is published.
    ///
    /// # Errors
    /// When the database fails or the token has ended; nothing is changed then.
    pub async fn put_upload(
        &self,
        blob: StoredBlob,
        token: &str,
        audience: &Audience,
    ) -> Result<(), StoreError> {
        let (mut change, actor) = (self.begin().await?, Actor::Token(token.to_owned()));
        admit(&mut change, &actor).await?;
        put_blob(&mut change, blob).await?;
        let done = sqlx::query("INSERT OR IGNORE INTO uploads (audience, token, sha256) VALUES (?, ?, ?)")
            .bind(audience.text())
            .bind(token)
            .bind(&blob.sha256.as_bytes()[..])
            .execute(&mut *change)
            .await?;
        if done.rows_affected() > 0 {
            let detail = serde_json::json!({"size_bytes": blob.size_bytes});
            let told = Change { action: "blob.upload", subject: blob.sha256.to_string(), detail };
            // Its token was looked at above.
            note(&mut change, &actor, told).await?;
        }
        Ok(change.commit().await?)
    }

    /// Whether a token has uploaded a blob, which is still here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_uploaded(&self, token: &str, name: Sha256) -> Result<bool, StoreError> {
        let known =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM uploads WHERE token = ? AND sha256 = ?)")
                .bind(token)
                .bind(&name.as_bytes()[..]);
        Ok(known.fetch_one(&self.readers).await?)
    }

    /// Bytes of the blobs a token has uploaded that are still here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploaded_bytes(&self, token: &str) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(b.size_bytes), 0) FROM uploads u JOIN blobs b ON b.sha256 = u.sha256 \
             WHERE u.token = ?",
        )
        .bind(token)
        .fetch_one(&self.readers)
        .await?;
        Ok(bytes.cast_unsigned())
    }

    /// The same without the bytes of one blob, whether it is among them or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploaded_bytes_but_for(&self, token: &str, name: Sha256) -> Result<u64, StoreError> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(b.size_bytes), 0) FROM uploads u JOIN blobs b ON b.sha256 = u.sha256 \
             WHERE u.token = ? AND u.sha256 <> ?",
        )
        .bind(token)
        .bind(&name.as_bytes()[..])
        .fetch_one(&self.readers)
        .await?;
        Ok(bytes.cast_unsigned())
    }
}

/// Says whether anything is to be changed.
async fn retract(
    change: &mut Transaction<'static, Sqlite>,
    row: &ComputeRow,
    retracted: bool,
    reason: Option<&str>,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let mut entry = row.publication()?.entry;
    if entry.retracted == retracted {
        return Ok(false);
    }
    entry.retracted = retracted;
    let text = entry.to_value().to_string();
    sqlx::query(
        "UPDATE computes SET entry = ?2, published_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?1",
    )
    .bind(row.id.as_str())
    .bind(&text)
    .execute(&mut **change)
    .await?;
    record(change, row.id.as_str(), Origin::Local, None, Some(&text)).await?;
    sign(change, &row.id, actor, reason).await?;
    let action = if retracted { "compute.retract" } else { "compute.restore" };
    let detail = serde_json::json!({"entry": tag(&text), "reason": reason});
    append(change, actor, Change { action, subject: row.id.to_string(), detail }).await?;
    Ok(true)
}

async fn row(
    change: &mut Transaction<'static, Sqlite>,
    id: &ComputeId,
) -> Result<Option<ComputeRow>, StoreError> {
    let row = sqlx::query("SELECT id, origin, upstream, entry FROM computes WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(&mut **change)
        .await?;
    row.as_ref().map(compute_row).transpose()
}

async fn standing(
    change: &mut Transaction<'static, Sqlite>,
    id: &ComputeId,
) -> Result<Option<(Standing, Origin)>, StoreError> {
    let Some(row) = row(change, id).await? else { return Ok(None) };
    let RegistryEntry { graph_hash, artifacts, .. } = row.publication()?.entry;
    let standing = Standing { tag: tag(&row.entry), graph_hash, sha256: artifacts.parent.sha256 };
    Ok(Some((standing, row.origin)))
}

/// Says in the latest revision of an id who made it, and why.
async fn sign(
    change: &mut Transaction<'static, Sqlite>,
    id: &ComputeId,
    actor: &Actor,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE revisions SET actor = ?2, reason = ?3 \
         WHERE number = (SELECT max(number) FROM revisions WHERE compute_id = ?1)",
    )
    .bind(id.as_str())
    .bind(actor.text())
    .bind(reason)
    .execute(&mut **change)
    .await?;
    Ok(())
}
