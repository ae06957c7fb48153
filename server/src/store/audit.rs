//! The audit log: one line a change, each chained to the one before it by a digest.
//!
//! A line is written in the transaction of the change it tells of, so that there is neither without the other. Whoever
//! can write to the database can make a new chain from any line on; he cannot make one that ends in a digest somebody
//! has noted elsewhere.

use phasic_hub_api::{AuditLine, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::{Store, StoreError, TokenEnded};

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The hub by itself.
    Hub,
    /// Somebody at the command line, who has the data directory in his hands.
    Operator,
    /// Somebody without a token. Where `access.anonymous` lets everybody compute, he submits graphs, asks for jobs and
    /// comparisons, and cancels what he has asked for.
    Anonymous,
    /// The holder of the token with this id.
    Token(String),
}

impl Actor {
    /// The actor as a line names him.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Hub => "hub".to_owned(),
            Self::Anonymous => "anonymous".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Token(id) => format!("token:{id}"),
        }
    }
}

/// A change that is to be told.
#[derive(Clone, Debug)]
pub struct Change {
    /// What was done, as `noun.verb`. The words are stored, and never change.
    pub action: &'static str,
    /// To which thing.
    pub subject: String,
    /// What else belongs to it: a JSON object, without secrets.
    pub detail: serde_json::Value,
}

/// Where the chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// A number is missing.
    #[error("line {expected} is missing: line {found} follows in its place")]
    Gap {
        /// The number that should have come.
        expected: i64,
        /// The one that came.
        found: i64,
    },
    /// A line does not name the digest of the one before it.
    #[error("line {number} does not follow from the line before it")]
    Unchained {
        /// Its number.
        number: i64,
    },
    /// A line is not what it was when it was written.
    #[error("line {number} has been changed: its text has another digest than it carries")]
    Changed {
        /// Its number.
        number: i64,
    },
    /// A digest that was noted earlier is not in the chain.
    #[error("no line has the digest {0}: the log was cut off or written anew")]
    HeadUnknown(Sha256),
}

/// A whole chain that was found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Lines.
    pub lines: i64,
    /// The digest of the last one; zeros when there is none.
    pub head: Sha256,
}

/// Lines that are read at a time.
const PAGE: i64 = 1000;

/// Refuses a change, within its transaction, if the actor's token has been revoked or has expired since he asked for it. For
/// those without a line; the others have it looked at by [`append`].
pub(super) async fn admit(
    change: &mut Transaction<'static, Sqlite>,
    actor: &Actor,
) -> Result<(), StoreError> {
    if let Actor::Token(id) = actor {
        let has_ended = "SELECT EXISTS (SELECT 1 FROM tokens WHERE id = ? AND (revoked_at IS NOT NULL \
             OR expires_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))";
        if sqlx::query_scalar(has_ended).bind(id).fetch_one(&mut **change).await? {
            return Err(TokenEnded { token: id.clone() }.into());
        }
    }
    Ok(())
}

/// Appends a line to the log, within the transaction of the change, which is refused if the actor's token has ended.
pub(super) async fn append(
    change: &mut Transaction<'static, Sqlite>,
    actor: &Actor,
    told: Change,
) -> Result<(), StoreError> {
    admit(change, actor).await?;
    note(change, actor, told).await
}

/// The same, of what was accepted before and is done now, whatever has become of the token since: a pass of the mirror, a
/// collection.
pub(super) async fn note(
    change: &mut Transaction<'static, Sqlite>,
    actor: &Actor,
    told: Change,
) -> Result<(), StoreError> {
    let last = sqlx::query("SELECT number, sha256 FROM audit ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut **change)
        .await?;
    let (number, previous) = match &last {
        Some(row) => (row.try_get::<i64, _>("number")? + 1, digest(row, "sha256")?),
        None => (1, Sha256::from([0; 32])),
    };
    let recorded_at =
        sqlx::query_scalar("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')").fetch_one(&mut **change).await?;
    let Change { action, subject, detail } = told;
    let action = action.to_owned();
    let line = AuditLine {
        number,
        recorded_at,
        actor: actor.text(),
        action,
        subject,
        detail,
        previous,
        sha256: previous,
    };
    let sha256 = line.digest();
    sqlx::query(
        "INSERT INTO audit (number, recorded_at, actor, action, subject, detail, previous_sha256, sha256) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(line.number)
    .bind(&line.recorded_at)
    .bind(&line.actor)
    .bind(&line.action)
    .bind(&line.subject)
    .bind(line.detail.to_string())
    .bind(&line.previous.as_bytes()[..])
    .bind(&sha256.as_bytes()[..])
    .execute(&mut **change)
    .await?;
    Ok(())
}

impl Store {
    /// Appends a line about a change that is about to be made outside of the database: what cannot be told is not done.
    ///
    /// # Errors
    /// When the database fails, or the actor's token has ended; the change is not to be made then.
    pub async fn tell_first(&self, actor: &Actor, told: Change) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        append(&mut change, actor, told).await?;
        Ok(change.commit().await?)
    }

    /// Appends a line about a change that was made outside of the database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell(&self, actor: &Actor, told: Change) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        note(&mut change, actor, told).await?;
        Ok(change.commit().await?)
    }

    /// Up to `limit` lines behind the one of number `after`, in order. Line numbers begin with 1.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn audit(&self, after: i64, limit: i64) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, recorded_at, actor, action, subject, detail, previous_sha256, sha256 FROM audit \
             WHERE number > ? ORDER BY number LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(line).collect()
    }

    /// Goes through the whole log and computes every digest anew. `noted` is a digest it once ended with, if one was
    /// noted.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes. A broken chain is no error but the inner one.
    pub async fn verify_audit(&self, noted: Option<Sha256>) -> Result<Result<Chain, ChainFault>, StoreError> {
        let mut chain = Chain { lines: 0, head: Sha256::from([0; 32]) };
        let mut is_noted_there = noted.is_none_or(|noted| noted == chain.head);
        loop {
            let lines = self.audit(chain.lines, PAGE).await?;
            if lines.is_empty() {
                break;
            }
            for line in &lines {
                if let Err(fault) = chain.follow(line) {
                    return Ok(Err(fault));
                }
                is_noted_there |= noted == Some(line.sha256);
            }
        }
        Ok(match noted {
            Some(noted) if !is_noted_there => Err(ChainFault::HeadUnknown(noted)),
            _ => Ok(chain),
        })
    }
}

impl Chain {
    fn follow(&mut self, line: &AuditLine) -> Result<(), ChainFault> {
        let number = line.number;
        if number != self.lines + 1 {
            return Err(ChainFault::Gap { expected: self.lines + 1, found: number });
        }
        if line.previous != self.head {
            return Err(ChainFault::Unchained { number });
        }
        if line.digest() != line.sha256 {
            return Err(ChainFault::Changed { number });
        }
        *self = Self { lines: number, head: line.sha256 };
        Ok(())
    }
}

fn line(row: &SqliteRow) -> Result<AuditLine, StoreError> {
    let number: i64 = row.try_get("number")?;
    let detail: String = row.try_get("detail")?;
    let detail = serde_json::from_str(&detail).map_err(|error| StoreError::Row {
        place: format!("audit, line {number}"),
        reason: error.to_string(),
    })?;
    Ok(AuditLine {
        number,
        recorded_at: row.try_get("recorded_at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail,
        previous: digest(row, "previous_sha256")?,
        sha256: digest(row, "sha256")?,
    })
}

fn digest(row: &SqliteRow, column: &str) -> Result<Sha256, StoreError> {
    Ok(super::computes::digest(row, column, "audit")?.into())
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::{ComputeId, IdPatterns, Sha256};
    use serde_json::json;

    use super::{Actor, Chain, ChainFault, Change};
    use crate::auth::TokenSecret;
    use crate::store::tests::blob;
    use crate::store::{Store, StoreError};
    use crate::visibility::Audience;

    async fn three_lines() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        for subject in ["a", "b", "c"] {
            let change =
                Change { action: "test.change", subject: subject.to_owned(), detail: json!({"of": subject}) };
            store.tell(&Actor::Operator, change).await.unwrap();
        }
        (directory, store)
    }

    async fn sql(store: &Store, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&store.writer).await.map(drop)
    }

    /// What an attacker with the database in his hands does first.
    async fn disarm(store: &Store) {
        sql(store, "DROP TRIGGER audit_never_changes").await.unwrap();
        sql(store, "DROP TRIGGER audit_never_shrinks").await.unwrap();
    }

    #[tokio::test]
    async fn a_chain_is_whole_and_ends_where_it_was_noted_to_end() {
        let (_directory, store) = three_lines().await;
        let chain = store.verify_audit(None).await.unwrap().unwrap();
        let lines = store.audit(0, 10).await.unwrap();
        assert_eq!(chain, Chain { lines: 3, head: lines[2].sha256 });
        assert_eq!(store.verify_audit(Some(lines[1].sha256)).await.unwrap(), Ok(chain));
        assert_eq!(store.audit(1, 1).await.unwrap(), lines[1..2]);
        let empty = Store::open(tempfile::tempdir().unwrap().path()).await.unwrap();
        assert_eq!(empty.verify_audit(None).await.unwrap().unwrap().lines, 0);
    }

    #[tokio::test]
    async fn lines_can_neither_be_changed_nor_removed_by_mistake() {
        let (_directory, store) = three_lines().await;
        for statement in ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit WHERE number = 3"] {
            let refused = sql(&store, statement).await.unwrap_err().to_string();
            assert!(refused.contains("only ever appended to"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_change_a_gap_and_a_cut_are_found() {
        let (_directory, store) = three_lines().await;
        let head = store.verify_audit(None).await.unwrap().unwrap().head;
        disarm(&store).await;
        sql(&store, "UPDATE audit SET actor = 'nobody' WHERE number = 2").await.unwrap();
        assert_eq!(store.verify_audit(None).await.unwrap(), Err(ChainFault::Changed { number: 2 }));
        sql(&store, "DELETE FROM audit WHERE number = 2").await.unwrap();
        assert_eq!(store.verify_audit(None).await.unwrap(), Err(ChainFault::Gap { expected: 2, found: 3 }));
        sql(&store, "UPDATE audit SET number = 2 WHERE number = 3").await.unwrap();
        assert_eq!(store.verify_audit(None).await.unwrap(), Err(ChainFault::Unchained { number: 2 }));
        sql(&store, "DELETE FROM audit WHERE number = 2").await.unwrap();
        assert_eq!(store.verify_audit(None).await.unwrap().unwrap().lines, 1, "what is left is whole");
        assert_eq!(store.verify_audit(Some(head)).await.unwrap(), Err(ChainFault::HeadUnknown(head)));
        assert_ne!(head, Sha256::from([0; 32]));
    }

    #[tokio::test]
    async fn a_change_is_not_written_after_its_token_was_revoked_and_what_was_done_is_told() {
        let (_directory, store) = three_lines().await;
        let token = TokenSecret::generate().unwrap().row("t", &[], IdPatterns::default(), None);
        store.add_token(&token, &Actor::Hub).await.unwrap();
        let actor = Actor::Token(token.id.clone());
        let id: ComputeId = "some".parse().unwrap();
        assert!(store.set_private(&id, true, &actor).await.unwrap());
        assert!(store.revoke_token(&token.id, &actor).await.unwrap(), "one's own");
        let lines = store.audit(0, 100).await.unwrap().len();
        let refused = store.set_private(&id, false, &actor).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
        assert!(store.private_ids().await.unwrap().contains(&id), "nothing was changed");
        let done = Change { action: "blob.collect", subject: "blobs".to_owned(), detail: json!({}) };
        store.tell(&actor, done).await.unwrap();
        assert_eq!(store.audit(0, 100).await.unwrap().len(), lines + 1);
        let ahead = Change { action: "blob.discard", subject: "blob".to_owned(), detail: json!({}) };
        assert!(matches!(store.tell_first(&actor, ahead).await, Err(StoreError::Refused(_))));
        assert_eq!(store.audit(0, 100).await.unwrap().len(), lines + 1, "what is still to be done is not");
    }

    #[tokio::test]
    async fn a_file_sent_again_after_its_token_was_revoked_is_not_taken() {
        let (_directory, store) = three_lines().await;
        let token = TokenSecret::generate().unwrap().row("t", &[], IdPatterns::default(), None);
        store.add_token(&token, &Actor::Hub).await.unwrap();
        let (sent, audience) = (blob("sent"), Audience::Everybody);
        store.put_upload(sent, &token.id, &audience).await.unwrap();
        store.put_upload(sent, &token.id, &audience).await.unwrap();
        assert!(store.revoke_token(&token.id, &Actor::Operator).await.unwrap());
        let refused = store.put_upload(sent, &token.id, &audience).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
}
