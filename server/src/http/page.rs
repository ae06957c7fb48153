//! Pages of a list: how the query says which, and how an answer says where the next one begins.

use std::str::FromStr;

use phasic_hub_api::ProblemCode;

use super::error::ApiError;

/// Items on a page when the query does not say.
const USUAL: usize = 100;

/// Items on a page at most.
const MOST: usize = 1000;

/// `cursor` and `limit` of a query. `after` is what `cursor` was called in some lists.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    #[serde(alias = "after")]
    cursor: Option<String>,
    limit: Option<String>,
}

/// Which page is asked for: what comes behind `after`, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<C> {
    /// Where the page before ended.
    pub(super) after: Option<C>,
    /// Items at most.
    pub(super) limit: usize,
}

impl PageQuery {
    /// A query in parts, where it asks for more than a page.
    pub(super) const fn new(cursor: Option<String>, limit: Option<String>) -> Self {
        Self { cursor, limit }
    }

    /// The page that is asked for.
    pub(super) fn read<C: FromStr>(&self) -> Result<Page<C>, ApiError> {
        let wrong = |detail: String| ApiError::new(ProblemCode::InvalidRequest, detail);
        let read = |text: &String| {
            let unknown = || wrong("The parameter cursor is the `next` of another page.".to_owned());
            text.parse().map_err(|_| unknown())
        };
        let after = self.cursor.as_ref().map(read).transpose()?;
        let limit = match &self.limit {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| wrong(format!("The parameter limit is a number from 1 to {MOST}.")))?,
        };
        Ok(Page { after, limit })
    }
}

impl<C> Page<C> {
    /// How many items to look for: one more than asked for tells whether there is another page.
    pub(super) fn wanted(&self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::MAX)
    }

    /// Cuts what was found to the page, and gives the cursor of the next one, if there is one.
    pub(super) fn cut<T>(&self, items: &mut Vec<T>, cursor: impl Fn(&T) -> C) -> Option<C> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        items.last().filter(|_| more).map(cursor)
    }
}

/// A place in a list that is numbered from 1 on.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Number(i64);

impl Number {
    /// The number itself.
    pub(super) const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Number {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if number >= 0 { Ok(Self(number)) } else { Err("cursor is the `next` of another page") }
    }
}

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().filter(|number| *number >= 0).map(Self).ok_or(())
    }
}

impl Page<Number> {
    /// The number behind which the page begins.
    pub(super) fn number(&self) -> i64 {
        self.after.unwrap_or_default().0
    }

    /// As [`cut`](Self::cut), of what has numbers.
    pub(super) fn cut_numbered<T>(&self, items: &mut Vec<T>, number: impl Fn(&T) -> i64) -> Option<i64> {
        self.cut(items, |item| Number(number(item))).map(|Number(number)| number)
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use axum::extract::rejection::QueryRejection;

    use super::{Number, Page, PageQuery};

    #[test]
    fn a_last_page_that_is_full_is_known_to_be_the_last() {
        let page = Page { after: None::<Number>, limit: 2 };
        for (found, next) in [(vec![], None), (vec![1, 2], None), (vec![1, 2, 3], Some(2))] {
            let mut items = found.clone();
            assert_eq!(page.cut_numbered(&mut items, |&number| number), next, "{found:?}");
            assert_eq!(items, found[..found.len().min(2)]);
        }
    }

    fn read(query: &str) -> Result<Query<PageQuery>, QueryRejection> {
        Query::try_from_uri(&format!("/?{query}").parse().unwrap())
    }

    #[test]
    fn the_old_name_of_the_cursor_is_understood() {
        for query in ["cursor=7", "after=7"] {
            assert_eq!(read(query).unwrap().read::<Number>().unwrap().number(), 7);
        }
        assert!(read("cursors=7").is_err());
    }
}
