//! Tokens, scopes and the audit log on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{IdPatterns, Sha256};

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading what the hub has.
    Read,
    /// Having something computed; reading, too.
    Compute,
    /// Publishing computes; reading, too.
    Publish,
    /// Everything.
    Admin,
}

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope {0:?}; scopes are read, compute, publish and admin")]
pub struct ScopeError(String);

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Read, Self::Compute, Self::Publish, Self::Admin];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compute => "compute",
            Self::Publish => "publish",
            Self::Admin => "admin",
        }
    }

    /// Whether a token of this scope may do what asks for `wanted`.
    ///
    /// ```
    /// use phasic_hub_api::Scope;
    /// assert!(Scope::Compute.includes(Scope::Read) && Scope::Admin.includes(Scope::Publish));
    /// assert!(!Scope::Read.includes(Scope::Compute) && !Scope::Compute.includes(Scope::Publish));
    /// ```
    pub fn includes(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin || wanted == Self::Read
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| ScopeError(text.to_owned()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenInfo {
    /// Its public id.
    #[cfg_attr(feature = "schema", schema(example = "3b0c44298fc1"))]
    pub id: String,
    /// What people call it.
    #[cfg_attr(feature = "schema", schema(example = "continuous integration"))]
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// The ids it may act on, and whose private computes it sees; all where there are none.
    #[serde(default, skip_serializing_if = "IdPatterns::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>, example = json!(["ourlab-*"])))]
    pub ids: IdPatterns,
    /// When it was made, UTC.
    pub created_at: String,
    /// When it ceases to be valid, UTC; `null` is never.
    pub expires_at: Option<String>,
    /// When it was last used, UTC, to the minute.
    pub last_used_at: Option<String>,
    /// When it was revoked, UTC.
    pub revoked_at: Option<String>,
}

/// Some of the tokens, in the order they were made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenPage {
    /// The tokens, revoked and expired ones too.
    pub tokens: Vec<TokenInfo>,
    /// What to give as `cursor` for the next page; `null` when this is the last.
    pub next: Option<i64>,
}

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What to call it: 1 to 100 characters.
    #[cfg_attr(
        feature = "schema",
        schema(example = "continuous integration", min_length = 1, max_length = 100)
    )]
    pub name: String,
    /// What it allows: at least one scope.
    #[cfg_attr(feature = "schema", schema(min_items = 1))]
    pub scopes: Vec<Scope>,
    /// Patterns of the ids it may act on, and whose private computes it sees: `*` stands for any run of characters,
    /// everything else for itself. All ids where there are none; not with the scope `admin`.
    #[serde(default, skip_serializing_if = "IdPatterns::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<String>, example = json!(["ourlab-*"])))]
    pub ids: IdPatterns,
    /// Seconds until it expires, up to 100 years; without, it never does.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 3_153_600_000_u64, example = 7_776_000))]
    pub expires_in_seconds: Option<u64>,
}

/// A token that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// Its public id.
    pub id: String,
    /// The token itself. It is shown only now.
    pub token: String,
}

/// One change, and its place in the chain of all changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// Its place, from 1 on without gaps.
    pub number: i64,
    /// When, UTC.
    pub recorded_at: String,
    /// Who: `hub`, `operator` (the command line) or `token:<id>`.
    pub actor: String,
    /// What was done, as `noun.verb`.
    #[cfg_attr(feature = "schema", schema(example = "token.revoke"))]
    pub action: String,
    /// To which thing.
    pub subject: String,
    /// What else belongs to it.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub detail: Value,
    /// The `sha256` of the line before; zeros in the first.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub previous: Sha256,
    /// SHA-256 of this line as compact JSON, its members in this order, without this one.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub sha256: Sha256,
}

impl AuditLine {
    /// The digest this line must carry.
    ///
    /// ```
    /// use phasic_hub_api::{AuditLine, Sha256};
    /// let text = r#"{"number":1,"recorded_at":"2026-11-21T12:00:00.000Z","actor":"hub","action":"token.create",
    ///     "subject":"ab","detail":{},"previous":"0000000000000000000000000000000000000000000000000000000000000000",
    ///     "sha256":"0000000000000000000000000000000000000000000000000000000000000000"}"#;
    /// let line: AuditLine = serde_json::from_str(text).unwrap();
    /// let hashed = text.split_once(",\n    \"sha256\"").unwrap().0.replace("\n    ", "") + "}";
    /// assert_eq!(line.digest(), Sha256::of(hashed.as_bytes()));
    /// ```
    #[expect(clippy::missing_panics_doc, reason = "texts and numbers always serialise")]
    pub fn digest(&self) -> Sha256 {
        let whole = serde_json::to_string(self).expect("texts and numbers are JSON");
        let digest = format!(",\"sha256\":\"{}\"}}", self.sha256);
        let text = whole.strip_suffix(&digest).expect("the digest is the last member");
        Sha256::of(format!("{text}}}").as_bytes())
    }
}

/// Some lines of the audit log, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// What to give as `cursor` for the next page; `null` when this is the last.
    pub next: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scopes_are_read_by_their_words_only() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_string(&scope).unwrap(), format!("{:?}", scope.as_str()));
        }
        assert!(
            "Admin".parse::<Scope>().unwrap_err().to_string().contains("read, compute, publish and admin")
        );
    }
}
