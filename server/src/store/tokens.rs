//! Tokens: rows without secrets.

use phasic_hub_api::{IdPatterns, Scope, ScopeError, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::audit::append;
use super::{Actor, Change, Store, StoreError};

/// A token that is to be stored.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its public id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The ids it is for; none is all.
    pub ids: IdPatterns,
    /// The hash of its secret.
    pub secret_sha256: Sha256,
    /// Seconds until it expires; `None` is never.
    pub expires_in_seconds: Option<u64>,
}

/// A token as it is listed.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its place in the order they were made in.
    pub number: i64,
    /// Its public id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The ids it is for; none is all.
    pub ids: IdPatterns,
    /// When it was made, UTC.
    pub created_at: String,
    /// When it ceases to be valid, UTC.
    pub expires_at: Option<String>,
    /// When it was last used, UTC, to the minute.
    pub last_used_at: Option<String>,
    /// When it was revoked, UTC.
    pub revoked_at: Option<String>,
}

/// A token that somebody has shown.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// Its public id.
    pub id: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The ids it is for; none is all.
    pub ids: IdPatterns,
    /// Whether its time is over.
    pub is_expired: bool,
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// Whether its last use was noted more than a minute ago.
    pub is_use_worth_noting: bool,
}

/// Whether somebody can act as an administrator. Scopes are words separated by single spaces.
const ANY_VALID_ADMIN: &str = "SELECT EXISTS (SELECT 1 FROM tokens WHERE revoked_at IS NULL \
     AND (expires_at IS NULL OR expires_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) \
     AND instr(' ' || scopes || ' ', ' admin ') > 0)";

impl Store {
    /// Stores a token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_token(&self, token: &NewToken, actor: &Actor) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        insert(&mut change, token, actor).await?;
        Ok(change.commit().await?)
    }

    /// Stores a token if no valid one has the scope `admin`. Says whether it did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_admin_token(&self, token: &NewToken) -> Result<bool, StoreError> {
        // At nearly every start there is one, and a change waits until all of the file was looked at.
        if sqlx::query_scalar(ANY_VALID_ADMIN).fetch_one(&self.readers).await? {
            return Ok(false);
        }
        let mut change = self.begin().await?;
        let any: bool = sqlx::query_scalar(ANY_VALID_ADMIN).fetch_one(&mut *change).await?;
        if any {
            return Ok(false);
        }
        insert(&mut change, token, &Actor::Hub).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Up to `limit` tokens behind the one of number `after`, revoked and expired ones too, the oldest first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn token_page(&self, after: i64, limit: i64) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT rowid AS number, id, name, scopes, ids, created_at, expires_at, last_used_at, revoked_at \
             FROM tokens WHERE rowid > ? ORDER BY rowid LIMIT ?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(token_row).collect()
    }

    /// All tokens, revoked and expired ones too, the oldest first.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.token_page(0, i64::MAX).await
    }

    /// The token whose secret has this hash. One look into an index.
    ///
    /// # Errors
    /// When the database fails or holds what no hub writes.
    pub async fn find_token(&self, secret_sha256: Sha256) -> Result<Option<KnownToken>, StoreError> {
        let row = sqlx::query(
            "SELECT id, scopes, ids, revoked_at IS NOT NULL AS is_revoked, \
             coalesce(expires_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 0) AS is_expired, \
             coalesce(last_used_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 seconds'), 1) AS is_stale \
             FROM tokens WHERE secret_sha256 = ?",
        )
        .bind(&secret_sha256.as_bytes()[..])
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let id: String = row.try_get("id")?;
        Ok(Some(KnownToken {
            scopes: scopes(&row, &id)?,
            ids: ids(&row, &id)?,
            id,
            is_expired: row.try_get("is_expired")?,
            is_revoked: row.try_get("is_revoked")?,
            is_use_worth_noting: row.try_get("is_stale")?,
        }))
    }

    /// Whether the token of an id is neither revoked nor expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_token_valid(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM tokens WHERE id = ? AND revoked_at IS NULL \
             AND coalesce(expires_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 1))";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_one(&self.readers).await?)
    }

    /// Notes that a token is being used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_use(&self, id: &str) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        sqlx::query("UPDATE tokens SET last_used_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?")
            .bind(id)
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Revokes a token. Says whether there was one of this id that was not revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(&self, id: &str, actor: &Actor) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let is_there = "SELECT EXISTS (SELECT 1 FROM tokens WHERE id = ? AND revoked_at IS NULL)";
        if !sqlx::query_scalar::<_, bool>(is_there).bind(id).fetch_one(&mut *change).await? {
            return Ok(false);
        }
        let detail = serde_json::json!({});
        // Told first: whoever revokes his own token may do so.
        append(&mut change, actor, Change { action: "token.revoke", subject: id.to_owned(), detail }).await?;
        sqlx::query("UPDATE tokens SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?")
            .bind(id)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(true)
    }
}

fn token_row(row: &SqliteRow) -> Result<TokenRow, StoreError> {
    let id: String = row.try_get("id")?;
    Ok(TokenRow {
        number: row.try_get("number")?,
        scopes: scopes(row, &id)?,
        ids: ids(row, &id)?,
        id,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

fn scopes(row: &SqliteRow, id: &str) -> Result<Vec<Scope>, StoreError> {
    let text: String = row.try_get("scopes")?;
    let unreadable = |error: ScopeError| StoreError::Row {
        place: format!("tokens, id {id:?}"),
        reason: error.to_string(),
    };
    text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(unreadable)
}

fn ids(row: &SqliteRow, id: &str) -> Result<IdPatterns, StoreError> {
    let text: String = row.try_get("ids")?;
    text.parse().map_err(|error: phasic_hub_api::identifier::IdPatternError| StoreError::Row {
        place: format!("tokens, id {id:?}"),
        reason: error.to_string(),
    })
}

async fn insert(
    change: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    token: &NewToken,
    actor: &Actor,
) -> Result<(), StoreError> {
    let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    sqlx::query(
        "INSERT INTO tokens (id, name, scopes, ids, secret_sha256, expires_at) \
         VALUES (?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+' || ? || ' seconds'))",
    )
    .bind(&token.id)
    .bind(&token.name)
    .bind(&scopes)
    .bind(token.ids.to_string())
    .bind(&token.secret_sha256.as_bytes()[..])
    .bind(token.expires_in_seconds.map(u64::cast_signed))
    .execute(&mut **change)
    .await?;
    let detail = serde_json::json!({
        "name": token.name, "scopes": token.scopes, "ids": token.ids,
        "expires_in_seconds": token.expires_in_seconds
    });
    append(change, actor, Change { action: "token.create", subject: token.id.clone(), detail }).await
}
