//! Which commit a branch is at, asked once a pass, so that all of the pass reads one commit.

use std::sync::Arc;

use phasic_hub_api::Sha256;
use serde_json::Value;
use url::Url;

use super::budget::Requests;
use super::upstream::{FetchError, Fetched, UpstreamError};
use super::web::Web;
use crate::config::{self, UpstreamToken};
use crate::store::Validators;

/// An answer with more bytes names no commit.
const MAX_BYTES: u64 = 1 << 20;

/// Where forges put the id: a reference of GitHub, a commit of GitHub, one of GitLab, a branch of Gitea.
const PLACES: [&str; 4] = ["/object/sha", "/sha", "/id", "/commit/id"];

/// What a branch is at.
pub(super) enum Head {
    /// What it was at before.
    Unmodified,
    /// This commit.
    Commit(String, Validators),
}

/// Asks which commit a branch is at.
pub(super) async fn ask(
    address: &str,
    token: Option<&UpstreamToken>,
    limits: &config::Mirror,
    validators: &Validators,
    requests: &Arc<Requests>,
) -> Result<Head, HeadError> {
    let wrong = || UpstreamError::Url(address.to_owned());
    let url = Url::parse(address).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?.to_owned();
    let web = Web::open(url.clone(), limits, token, Arc::clone(requests)).await;
    let web = web.map_err(|reason| UpstreamError::Host { host, reason })?;
    match web.get_if_changed(&url, MAX_BYTES, validators).await.map_err(FetchError::from)? {
        Fetched::Unmodified => Ok(Head::Unmodified),
        Fetched::Changed(bytes, validators) => {
            let commit = commit(&bytes).ok_or_else(|| FetchError::NoCommit(Sha256::of(&bytes)))?;
            Ok(Head::Commit(commit, validators))
        }
    }
}

/// Why the commit is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

fn commit(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if is_id(text) {
        return Some(text.to_owned());
    }
    let answer: Value = serde_json::from_str(text).ok()?;
    let named = PLACES.iter().filter_map(|place| answer.pointer(place)?.as_str());
    named.into_iter().find(|id| is_id(id)).map(str::to_owned)
}

/// An id of git: a SHA-1 or a SHA-256. It goes into an address, so nothing else will do.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::commit;

    #[test]
    fn the_commit_is_found_where_forges_put_it_and_nowhere_else() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for body in [
            format!("{id}\n"),
            format!(r#"{{"ref": "refs/heads/master", "object": {{"sha": "{id}", "type": "commit"}}}}"#),
            format!(r#"{{"sha": "{id}", "commit": {{"id": 1}}}}"#),
            format!(r#"{{"id": "{id}", "short_id": "0123"}}"#),
            format!(r#"{{"name": "main", "commit": {{"id": "{id}"}}}}"#),
        ] {
            assert_eq!(commit(body.as_bytes()).as_deref(), Some(id), "{body}");
        }
        for body in ["", "master", "<html>", r#"{"sha": "../../x"}"#, r#"{"sha": 7}"#, &id.to_uppercase()] {
            assert_eq!(commit(body.as_bytes()), None, "{body}");
        }
    }
}
