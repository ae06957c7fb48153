//! JSON with positions: a text checked once and indexed, so that every later complaint can point at its place.
//!
//! Values are cheap handles into the index. Nothing here knows what the documents mean.

mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{DocumentError, Place, Problem};
use crate::model::Number;

/// Deepest nesting of lists and objects.
pub(crate) const MAX_DEPTH: usize = 128;

/// What the text does that JSON does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonProblem {
    /// Something else was expected here.
    #[error("expected {expected}, but found {found}")]
    Unexpected {
        /// What could have stood here.
        expected: &'static str,
        /// What stands here.
        found: String,
    },
    /// The text has more than one value.
    #[error("the document is complete before this; remove what follows")]
    TrailingText,
    /// One object has a key twice.
    #[error("the key \"{0}\" appears twice in this object")]
    DuplicateKey(String),
    /// A string with an escape that JSON does not have.
    #[error("this escape is not one of JSON's")]
    Escape,
    /// A line end or another control character inside a string.
    #[error("a string cannot contain a control character or a line end; is its closing quote missing?")]
    ControlCharacter,
    /// A malformed number.
    #[error("`{0}` is not a number in JSON (infinities and NaN are not either)")]
    Number(String),
    /// Nested deeper than 128 levels.
    #[error("lists and objects are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A text whose positions do not fit 32 bits.
    #[error("the document is longer than 4 GiB")]
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

/// One value of the text. Keys are strings followed by their values.
#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    /// First byte of the value.
    start: u32,
    /// Of a list or object: the token after all it holds. Of others: the byte after the value.
    end: u32,
}

/// An indexed JSON text. The index takes 12 bytes a value.
#[derive(Debug, Clone)]
pub(crate) struct Json<'a> {
    text: Cow<'a, str>,
    tokens: Vec<Token>,
}

/// Number of a value in its document, to find it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueId(u32);

/// A value of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'j> {
    json: &'j Json<'j>,
    index: u32,
}

impl<'a> Json<'a> {
    /// Checks and indexes a text: one pass, linear.
    pub(crate) fn parse(text: &'a str) -> Result<Self, DocumentError> {
        match scan::scan(text) {
            Ok(tokens) => Ok(Self { text: Cow::Borrowed(text), tokens }),
            Err((offset, problem)) => {
                let place = Place::new(text, offset, String::new());
                Err(DocumentError::new(place, Problem::Json(problem)))
            }
        }
    }

    /// The same document owning its text.
    pub(crate) fn into_owned(self) -> Json<'static> {
        Json { text: Cow::Owned(self.text.into_owned()), tokens: self.tokens }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn root(&self) -> Value<'_> {
        Value { json: self, index: 0 }
    }

    pub(crate) fn value(&self, id: ValueId) -> Value<'_> {
        Value { json: self, index: id.0 }
    }

    fn token(&self, index: u32) -> Token {
        self.tokens[index as usize]
    }

    /// The token after a value and all it holds.
    fn after(&self, index: u32) -> u32 {
        match self.token(index) {
            Token { kind: Kind::Array | Kind::Object, end, .. } => end,
            _ => index + 1,
        }
    }

    /// The way from the root to a value or key: `transitions[2].rate["k[1]"]`.
    fn path(&self, target: u32) -> String {
        let mut path = String::new();
        let mut at = 0;
        while at != target {
            let is_object = self.token(at).kind == Kind::Object;
            let mut child = at + 1;
            let mut position = 0_usize;
            let (found, key) = loop {
                let (key, value) = if is_object { (Some(child), child + 1) } else { (None, child) };
                let after = self.after(value);
                if target < after {
                    break (value, key);
                }
                child = after;
                position += 1;
            };
            match key {
                Some(key) => push_key(&mut path, &Value { json: self, index: key }.decoded()),
                None => _ = write!(path, "[{position}]"),
            }
            if key == Some(target) {
                break;
            }
            at = found;
        }
        path
    }
}

/// Adds a key to a path; keys that are not plain words are quoted.
fn push_key(path: &mut String, key: &str) {
    let is_word = !key.is_empty() && key.chars().all(|c| c == '_' || c == '-' || c.is_alphanumeric());
    if is_word {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        _ = write!(path, "[{key:?}]");
    }
}

impl<'j> Value<'j> {
    pub(crate) fn id(self) -> ValueId {
        ValueId(self.index)
    }

    fn token(self) -> Token {
        self.json.token(self.index)
    }

    /// Whether another value is this one or within it.
    pub(crate) fn holds(self, other: ValueId) -> bool {
        (self.index..self.json.after(self.index)).contains(&other.0)
    }

    fn raw(self) -> &'j str {
        let Token { start, end, .. } = self.token();
        &self.json.text[start as usize..end as usize]
    }

    /// Where this value stands.
    pub(crate) fn place(self) -> Place {
        Place::new(&self.json.text, self.token().start as usize, self.json.path(self.index))
    }

    /// Where a byte of this string's content stands. For other values: the value itself.
    pub(crate) fn place_within(self, offset: usize) -> Place {
        let start = self.token().start as usize;
        let offset = match self.token().kind {
            Kind::String => start + scan::raw_offset(self.raw(), offset),
            _ => start,
        };
        Place::new(&self.json.text, offset, self.json.path(self.index))
    }

    pub(crate) fn error(self, problem: impl Into<Problem>) -> DocumentError {
        DocumentError::new(self.place(), problem.into())
    }

    fn wrong_type(self, expected: &'static str) -> DocumentError {
        self.error(Problem::Type { expected, found: self.describe() })
    }

    /// The kind of value, for people.
    pub(crate) fn describe(self) -> &'static str {
        match self.token().kind {
            Kind::Null => "null",
            Kind::True => "true",
            Kind::False => "false",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "a list",
            Kind::Object => "an object",
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.token().kind == Kind::Null
    }

    pub(crate) fn is_object(self) -> bool {
        self.token().kind == Kind::Object
    }

    /// The elements, when this is a list.
    pub(crate) fn as_list(self) -> Option<Items<'j>> {
        let token = self.token();
        (token.kind == Kind::Array).then_some(Items { json: self.json, next: self.index + 1, end: token.end })
    }

    /// The elements of a list.
    pub(crate) fn list(self) -> Result<Items<'j>, DocumentError> {
        self.as_list().ok_or_else(|| self.wrong_type("a list"))
    }

    /// Nothing, for objects.
    pub(crate) fn object(self) -> Result<(), DocumentError> {
        if self.is_object() { Ok(()) } else { Err(self.wrong_type("an object")) }
    }

    /// Keys and values of an object, in document order.
    pub(crate) fn members(
        self,
    ) -> Result<impl Iterator<Item = (Value<'j>, Value<'j>)> + use<'j>, DocumentError> {
        self.object()?;
        let mut items = Items { json: self.json, next: self.index + 1, end: self.token().end };
        Ok(std::iter::from_fn(move || Some((items.next()?, items.next()?))))
    }

    /// The value under a key, when this is an object that has it.
    pub(crate) fn get(self, key: &str) -> Option<Value<'j>> {
        self.members().ok()?.find(|(name, _)| name.decoded() == key).map(|(_, value)| value)
    }

    /// The value under a key of an object.
    pub(crate) fn require(self, key: &'static str) -> Result<Value<'j>, DocumentError> {
        self.object()?;
        self.get(key).ok_or_else(|| self.error(Problem::MissingKey(key)))
    }

    /// The content, when this is a string.
    pub(crate) fn as_string(self) -> Option<Cow<'j, str>> {
        (self.token().kind == Kind::String).then(|| self.decoded())
    }

    /// The content of a string.
    pub(crate) fn string(self) -> Result<Cow<'j, str>, DocumentError> {
        self.as_string().ok_or_else(|| self.wrong_type("a string"))
    }

    fn decoded(self) -> Cow<'j, str> {
        scan::decode(self.raw())
    }

    pub(crate) fn boolean(self) -> Result<bool, DocumentError> {
        match self.token().kind {
            Kind::True => Ok(true),
            Kind::False => Ok(false),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// The number, when this is one: an integer when spelled as one.
    ///
    /// `Some(Err(_))` for integers beyond 64 bits and floats beyond the largest.
    pub(crate) fn as_number(self) -> Option<Result<Number, DocumentError>> {
        (self.token().kind == Kind::Number).then(|| {
            self.raw().parse().map_err(|_| self.error(Problem::NumberTooLarge(self.raw().to_owned())))
        })
    }

    /// A number as a float, correctly rounded.
    pub(crate) fn float(self) -> Result<f64, DocumentError> {
        if self.token().kind != Kind::Number {
            return Err(self.wrong_type("a number"));
        }
        match self.raw().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.error(Problem::NumberTooLarge(self.raw().to_owned()))),
        }
    }

    /// A whole number within a range. `2.0` counts, as writers that know only floats produce it.
    pub(crate) fn whole<T: TryFrom<i64>>(self, expected: &'static str) -> Result<T, DocumentError> {
        let number = self.as_number().ok_or_else(|| self.wrong_type(expected))??;
        let whole = number.to_whole().ok().and_then(|whole| T::try_from(whole).ok());
        whole.ok_or_else(|| self.error(Problem::Whole { expected, found: number }))
    }
}

/// The elements of a list.
#[derive(Debug, Clone)]
pub(crate) struct Items<'j> {
    json: &'j Json<'j>,
    next: u32,
    end: u32,
}

impl Items<'_> {
    /// No elements.
    pub(crate) fn none() -> Self {
        static NOTHING: Json<'static> = Json { text: Cow::Borrowed(""), tokens: Vec::new() };
        Items { json: &NOTHING, next: 0, end: 0 }
    }
}

impl<'j> Iterator for Items<'j> {
    type Item = Value<'j>;

    fn next(&mut self) -> Option<Value<'j>> {
        if self.next >= self.end {
            return None;
        }
        let value = Value { json: self.json, index: self.next };
        self.next = self.json.after(self.next);
        Some(value)
    }
}
