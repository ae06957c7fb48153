//! Tokens: how they are made and recognised, and what their holders may do.
//!
//! A token is 32 random bytes with a prefix secret scanners can look for and a checksum that catches typing errors.
//! Only its hash is ever stored: 256 random bits need no slow password hash. Which route asks
//! for what is said in `http::access`.

mod caller;
#[cfg(test)]
mod tests;

use std::fmt;

use phasic_hub_api::{IdPatterns, Sha256};

pub use self::caller::{Caller, TokenRefusal, recognise};
use crate::store::NewToken;
/// What a token allows, as the wire has it.
pub use phasic_hub_api::Scope;

/// What every token begins with.
const PREFIX: &str = "hub_";

/// Letters and digits of base 32, without those that look like others (`i l o u`).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The secret of a token. It is shown to its owner once, by `Display`; `Debug` keeps it to itself.
pub struct TokenSecret(String);

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes, so no token was made: {0}")]
pub struct NoRandomness(getrandom::Error);

impl TokenSecret {
    /// A new secret.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(NoRandomness)?;
        Ok(Self::from_random(random))
    }

    fn from_random(random: [u8; 32]) -> Self {
        let body = base32(&random);
        let check = checksum(&body);
        Self(format!("{PREFIX}{body}{check}"))
    }

    /// Reads a token as it was shown. `None` when its form or its checksum is wrong, which tells a mistyped token
    /// from an unknown one without asking the database.
    pub fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (body, check) = rest.split_at_checked(52)?;
        let known = rest.bytes().all(|byte| ALPHABET.contains(&byte));
        (known && checksum(body) == check).then(|| Self(text.to_owned()))
    }

    /// What is stored, and looked up, in its place.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(self.0.as_bytes())
    }

    /// The row for a token of this secret.
    pub fn row(
        &self,
        name: &str,
        scopes: &[Scope],
        ids: IdPatterns,
        expires_in_seconds: Option<u64>,
    ) -> NewToken {
        let secret_sha256 = self.sha256();
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        NewToken {
            // Taken from the hash, so that it says nothing about the secret.
            id: secret_sha256.to_string()[..12].to_owned(),
            name: name.to_owned(),
            scopes,
            ids,
            secret_sha256,
            expires_in_seconds,
        }
    }
}

impl fmt::Display for TokenSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenSecret(…)")
    }
}

/// The first four characters of the base-32 SHA-256 of the body: one typing error in a million passes.
fn checksum(body: &str) -> String {
    base32(&Sha256::of(body.as_bytes()).as_bytes()[..3]).split_off(1)
}

/// Five bits a character, the first bits first, zeros after the last.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in bytes {
        bits = bits << 8 | u32::from(byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - count) & 31) as usize]));
    }
    text
}
