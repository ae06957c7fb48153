//! Pages of a list: how the query says which, and how an answer says where the next one begins.

use phasic_hub_api::ProblemCode;

use super::error::ApiError;

/// Items on a page when the query does not say.
const USUAL: i64 = 100;

/// Items on a page at most.
const MOST: i64 = 1000;

/// `after` and `limit` of a query.
#[derive(Debug, serde::Deserialize)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<String>,
}

impl PageQuery {
    /// The number behind which the page begins, and how many items it has at most.
    pub(super) fn read(&self) -> Result<(i64, i64), ApiError> {
        let wrong = |detail: String| ApiError::new(ProblemCode::InvalidRequest, detail);
        let after = match &self.after {
            None => 0,
            Some(text) => text
                .parse()
                .ok()
                .filter(|after| *after >= 0)
                .ok_or_else(|| wrong("The parameter after is the `next` of another page.".to_owned()))?,
        };
        let limit = match &self.limit {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| wrong(format!("The parameter limit is a number from 1 to {MOST}.")))?,
        };
        Ok((after, limit))
    }
}

/// Where the page behind this one begins. A full page may be the last one; then the next is empty.
pub(super) fn next<T>(items: &[T], limit: i64, number: impl Fn(&T) -> i64) -> Option<i64> {
    let is_full = usize::try_from(limit).is_ok_and(|limit| items.len() >= limit);
    items.last().filter(|_| is_full).map(number)
}
