//! Tokens: rows without secrets.

use phasic_hub_api::Sha256;
use sqlx::Row as _;

use super::{Store, StoreError};

/// A token that is to be stored.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its public id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its scopes, separated by spaces.
    pub scopes: String,
    /// The hash of its secret.
    pub secret_sha256: Sha256,
    /// Days until it expires; `None` is never.
    pub expires_in_days: Option<u32>,
}

/// A token as it is listed.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its public id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its scopes, separated by spaces.
    pub scopes: String,
    /// When it was made, UTC.
    pub created_at: String,
    /// When it ceases to be valid, UTC.
    pub expires_at: Option<String>,
    /// When it was revoked, UTC.
    pub revoked_at: Option<String>,
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
    pub async fn add_token(&self, token: &NewToken) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        insert(&mut change, token).await?;
        Ok(change.commit().await?)
    }

    /// Stores a token if no valid one has the scope `admin`. Says whether it did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_admin_token(&self, token: &NewToken) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let any: bool = sqlx::query_scalar(ANY_VALID_ADMIN).fetch_one(&mut *change).await?;
        if any {
            return Ok(false);
        }
        insert(&mut change, token).await?;
        change.commit().await?;
        Ok(true)
    }

    /// All tokens, revoked and expired ones too, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, scopes, created_at, expires_at, revoked_at FROM tokens ORDER BY created_at, id",
        )
        .fetch_all(&self.readers)
        .await?;
        let token = |row: &sqlx::sqlite::SqliteRow| {
            Ok(TokenRow {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                scopes: row.try_get("scopes")?,
                created_at: row.try_get("created_at")?,
                expires_at: row.try_get("expires_at")?,
                revoked_at: row.try_get("revoked_at")?,
            })
        };
        rows.iter().map(token).collect()
    }

    /// Revokes a token. Says whether there was a valid one of this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(&self, id: &str) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        let done = sqlx::query(
            "UPDATE tokens SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
             WHERE id = ? AND revoked_at IS NULL",
        )
        .bind(id)
        .execute(&mut *change)
        .await?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }
}

async fn insert(
    change: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    token: &NewToken,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tokens (id, name, scopes, secret_sha256, expires_at) \
         VALUES (?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+' || ? || ' days'))",
    )
    .bind(&token.id)
    .bind(&token.name)
    .bind(&token.scopes)
    .bind(&token.secret_sha256.as_bytes()[..])
    .bind(token.expires_in_days)
    .execute(&mut **change)
    .await?;
    Ok(())
}
