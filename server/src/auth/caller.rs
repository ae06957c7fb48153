//! Who asks, and what he may do.

use phasic_hub_api::{ComputeId, IdPatterns, Scope};

use super::TokenSecret;
use crate::store::{Store, StoreError};
use crate::visibility::Viewer;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without a token.
    Anonymous,
    /// The holder of a valid token.
    Token {
        /// Its public id.
        id: String,
        /// What it allows.
        scopes: Vec<Scope>,
        /// The ids it is for; none is all.
        ids: IdPatterns,
    },
}

/// A token that opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not `Bearer` and a token in our form.
    #[error(
        "The Authorization header is not \"Bearer\" and a token of a hub: it begins with hub_, has 60 characters, and its last four are a checksum that would have caught a typing error."
    )]
    Form,
    /// In our form, and not one of this hub.
    #[error("This hub has no such token.")]
    Unknown,
    /// It was valid until some time ago.
    #[error("The token has expired. Ask an administrator of the hub for another one.")]
    Expired,
    /// Somebody has ended it.
    #[error("The token has been revoked. Ask an administrator of the hub for another one.")]
    Revoked,
    /// It was valid when the request came.
    #[error(
        "The token was revoked, or has expired, while this was being answered. Ask an administrator of the hub for another one."
    )]
    Ended,
}

impl Caller {
    /// Whether the caller may do what asks for `wanted`. `anonymous` is what everybody may do, if anything.
    pub fn may(&self, wanted: Scope, anonymous: Option<Scope>) -> bool {
        if anonymous.is_some_and(|open| open.includes(wanted)) {
            return true;
        }
        match self {
            Self::Anonymous => false,
            Self::Token { scopes, .. } => scopes.iter().any(|scope| scope.includes(wanted)),
        }
    }

    /// Whether the caller, if his scope lets him, may change what this id stands for.
    pub fn acts_on(&self, id: &ComputeId) -> bool {
        match self {
            // Without a token there are no ids to keep to; which scope is asked for decides.
            Self::Anonymous => true,
            Self::Token { ids, .. } => ids.is_empty() || ids.any_matches(id),
        }
    }

    /// What the caller sees of what is private.
    pub fn viewer(&self) -> Viewer {
        match self {
            Self::Anonymous => Viewer::Public,
            Self::Token { ids, .. } => Viewer::holder(ids),
        }
    }
}

impl Caller {
    /// Whether the token, if there is one, still opens anything: for answers that go on for long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_still_valid(&self, store: &Store) -> Result<bool, StoreError> {
        match self {
            Self::Anonymous => Ok(true),
            Self::Token { id, .. } => store.is_token_valid(id).await,
        }
    }
}

/// The caller behind the value of an `Authorization` header. The database is asked each time, so that a revoked token
/// opens nothing from the next request on, whichever process revoked it.
///
/// # Errors
/// The outer error is the database's; the inner one is the caller's.
pub async fn recognise(
    store: &Store,
    authorization: &[u8],
) -> Result<Result<Caller, TokenRefusal>, StoreError> {
    let Some(secret) = bearer(authorization) else { return Ok(Err(TokenRefusal::Form)) };
    let Some(token) = store.find_token(secret.sha256()).await? else { return Ok(Err(TokenRefusal::Unknown)) };
    if token.is_revoked {
        return Ok(Err(TokenRefusal::Revoked));
    }
    if token.is_expired {
        return Ok(Err(TokenRefusal::Expired));
    }
    if token.is_use_worth_noting
        && let Err(error) = store.note_use(&token.id).await
    {
        // A full disk keeps nobody from reading.
        tracing::warn!(id = token.id, %error, "could not note the use of a token");
    }
    Ok(Ok(Caller::Token { id: token.id, scopes: token.scopes, ids: token.ids }))
}

fn bearer(authorization: &[u8]) -> Option<TokenSecret> {
    let (scheme, token) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { TokenSecret::read(token.trim()) } else { None }
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::{IdPatterns, Scope};

    use super::{Caller, bearer};
    use crate::auth::TokenSecret;

    #[test]
    fn the_scheme_is_read_in_any_case_and_nothing_but_it() {
        let token = TokenSecret::generate().unwrap().to_string();
        for header in [format!("Bearer {token}"), format!("bearer  {token} "), format!("BEARER {token}")] {
            assert!(bearer(header.as_bytes()).is_some(), "{header}");
        }
        for header in
            [token.clone(), format!("Basic {token}"), format!("Bearer{token}"), "Bearer ".to_owned()]
        {
            assert!(bearer(header.as_bytes()).is_none(), "{header}");
        }
        assert!(bearer(b"Bearer \xff").is_none());
    }

    #[test]
    fn what_everybody_may_do_holders_of_any_token_may_too() {
        let caller = |scopes: &[Scope]| Caller::Token {
            id: "t".to_owned(),
            scopes: scopes.to_vec(),
            ids: IdPatterns::default(),
        };
        assert!(
            !Caller::Anonymous.may(Scope::Read, None)
                && Caller::Anonymous.may(Scope::Read, Some(Scope::Read))
        );
        assert!(!Caller::Anonymous.may(Scope::Compute, Some(Scope::Read)));
        assert!(caller(&[Scope::Read]).may(Scope::Compute, Some(Scope::Compute)));
        assert!(caller(&[Scope::Compute]).may(Scope::Read, None), "who submits must be able to fetch");
        assert!(!caller(&[Scope::Compute]).may(Scope::Publish, None));
        assert!(!caller(&[Scope::Read, Scope::Compute, Scope::Publish]).may(Scope::Admin, None));
        assert!(caller(&[Scope::Admin]).may(Scope::Compute, None));
    }
    #[test]
    fn a_token_for_some_ids_acts_on_those_only() {
        let caller = |ids: &str| Caller::Token {
            id: "t".to_owned(),
            scopes: vec![Scope::Publish],
            ids: ids.parse().unwrap(),
        };
        let id = "ourlab-x".parse().unwrap();
        assert!(caller("").acts_on(&id) && caller("ourlab-*").acts_on(&id));
        assert!(!caller("theirlab-*").acts_on(&id));
    }
}
