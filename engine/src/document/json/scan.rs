//! The scanner: one pass over the bytes that checks JSON's grammar and records where each value is.
//!
//! Iterative, with its own stack of open containers; strings are decoded only when somebody asks for them.

#![allow(clippy::cast_possible_truncation, reason = "texts are refused at once unless positions fit 32 bits")]

use super::{JsonProblem, Kind, MAX_DEPTH, Token};
use std::borrow::Cow;
use std::collections::HashSet;

type Failure = (usize, JsonProblem);

/// Objects with more members than this have their keys compared through a set.
const FEW_KEYS: usize = 16;

pub(super) fn scan(text: &str) -> Result<Vec<Token>, Failure> {
    if u32::try_from(text.len()).is_err() {
        return Err((0, JsonProblem::TooLong));
    }
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, tokens: Vec::new(), open: Vec::new() };
    scanner.document()?;
    Ok(scanner.tokens)
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    /// Tokens of the lists and objects not yet closed.
    open: Vec<usize>,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Failure> {
        loop {
            // Here a value is due.
            let opened = self.value()?;
            if opened && !self.close_if_empty()? {
                continue;
            }
            if !self.after_value()? {
                break;
            }
        }
        self.skip_space();
        if self.at == self.bytes.len() { Ok(()) } else { Err((self.at, JsonProblem::TrailingText)) }
    }

    /// Goes on behind a value: closes containers until one has a further member. False at the end of the document.
    fn after_value(&mut self) -> Result<bool, Failure> {
        while let Some(&container) = self.open.last() {
            self.skip_space();
            let is_object = self.tokens[container].kind == Kind::Object;
            match (self.peek(), is_object) {
                (Some(b','), _) => {
                    self.at += 1;
                    if is_object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close(container)?,
                (_, true) => return Err(self.unexpected("`,` or `}`")),
                (_, false) => return Err(self.unexpected("`,` or `]`")),
            }
        }
        Ok(false)
    }

    /// Scans a scalar or the opening of a container; tells whether it was the latter.
    fn value(&mut self) -> Result<bool, Failure> {
        self.skip_space();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => return self.open(Kind::Object),
            Some(b'[') => return self.open(Kind::Array),
            Some(b'"') => {
                self.string()?;
                Kind::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            _ => match self.word(start) {
                "null" => Kind::Null,
                "true" => Kind::True,
                "false" => Kind::False,
                "NaN" | "Infinity" | "nan" | "inf" => {
                    return Err((start, JsonProblem::Number(self.word(start).to_owned())));
                }
                _ => return Err(self.unexpected("a value")),
            },
        };
        if matches!(kind, Kind::Null | Kind::True | Kind::False) {
            self.at += self.word(start).len();
        }
        self.push(kind, start);
        Ok(false)
    }

    fn open(&mut self, kind: Kind) -> Result<bool, Failure> {
        if self.open.len() >= MAX_DEPTH {
            return Err((self.at, JsonProblem::TooDeep));
        }
        self.open.push(self.tokens.len());
        self.at += 1;
        self.push(kind, self.at - 1);
        Ok(true)
    }

    /// After an opening: closes an empty container, or scans the first key of an object.
    fn close_if_empty(&mut self) -> Result<bool, Failure> {
        let container = self.tokens.len() - 1;
        self.skip_space();
        match (self.tokens[container].kind, self.peek()) {
            (Kind::Object, Some(b'}')) | (Kind::Array, Some(b']')) => {
                self.close(container)?;
                Ok(true)
            }
            (Kind::Object, _) => {
                self.key()?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn close(&mut self, container: usize) -> Result<(), Failure> {
        self.at += 1;
        self.open.pop();
        self.tokens[container].end = self.tokens.len() as u32;
        match self.tokens[container].kind {
            Kind::Object => self.check_keys(container),
            _ => Ok(()),
        }
    }

    fn check_keys(&self, object: usize) -> Result<(), Failure> {
        let mut few: Vec<Cow<'_, str>> = Vec::new();
        let mut many: HashSet<Cow<'_, str>> = HashSet::new();
        let mut key = object + 1;
        while key < self.tokens.len() {
            let Token { start, end, .. } = self.tokens[key];
            let name = decode(&self.text[start as usize..end as usize]);
            if few.contains(&name) || many.contains(&name) {
                return Err((start as usize, JsonProblem::DuplicateKey(name.into_owned())));
            }
            if few.len() < FEW_KEYS {
                few.push(name);
            } else {
                many.insert(name);
            }
            let value = self.tokens[key + 1];
            key = match value.kind {
                Kind::Array | Kind::Object => value.end as usize,
                _ => key + 2,
            };
        }
        Ok(())
    }

    fn key(&mut self) -> Result<(), Failure> {
        self.skip_space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        self.string()?;
        self.push(Kind::String, start);
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:` after the key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Failure> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at += self.escape_length()?,
                Some(0x20..) => self.at += 1,
                Some(_) => return Err((self.at, JsonProblem::ControlCharacter)),
                None => return Err((start, JsonProblem::ControlCharacter)),
            }
        }
    }

    /// Length of the escape here; surrogates must come in pairs.
    fn escape_length(&self) -> Result<usize, Failure> {
        let bad = (self.at, JsonProblem::Escape);
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match hex(&self.bytes[self.at..]) {
                Some(0xD800..=0xDBFF) => match hex(self.bytes.get(self.at + 6..).unwrap_or_default()) {
                    Some(0xDC00..=0xDFFF) => Ok(12),
                    _ => Err(bad),
                },
                Some(0xDC00..=0xDFFF) | None => Err(bad),
                Some(_) => Ok(6),
            },
            _ => Err(bad),
        }
    }

    fn number(&mut self) -> Result<(), Failure> {
        let start = self.at;
        let rest = &self.bytes[start..];
        let length =
            rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
        if !is_json_number(&rest[..length]) || rest.get(length).is_some_and(u8::is_ascii_alphanumeric) {
            let end = start + length + self.word(start + length).len();
            return Err((start, JsonProblem::Number(self.text[start..end].to_owned())));
        }
        self.at += length;
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.tokens.push(Token { kind, start: start as u32, end: self.at as u32 });
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The letters and digits from here on.
    fn word(&self, from: usize) -> &str {
        let rest = &self.text[from..];
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())]
    }

    fn unexpected(&self, expected: &'static str) -> Failure {
        let found = match self.text[self.at..].chars().next() {
            None => "the end of the document".to_owned(),
            Some('\'') => "a single quote; JSON has double quotes only".to_owned(),
            Some(character) => match self.word(self.at) {
                "" => format!("`{character}`"),
                word => format!("`{word}`"),
            },
        };
        (self.at, JsonProblem::Unexpected { expected, found })
    }
}

fn is_json_number(bytes: &[u8]) -> bool {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let digits = |bytes: &[u8]| bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(unsigned);
    if whole == 0 || whole > 1 && unsigned[0] == b'0' {
        return false;
    }
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let signed = matches!(exponent, [b'+' | b'-', ..]);
        let exponent = &exponent[usize::from(signed)..];
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// The code unit of a `\uXXXX` at the beginning of `bytes`.
fn hex(bytes: &[u8]) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes else { return None };
    let digits = digits.get(..4)?;
    digits.iter().try_fold(0, |unit: u16, &digit| {
        Some(unit << 4 | u16::try_from(char::from(digit).to_digit(16)?).ok()?)
    })
}

/// The content of a checked string, quotes included in `raw`.
pub(super) fn decode(raw: &str) -> Cow<'_, str> {
    let content = &raw[1..raw.len() - 1];
    if !content.contains('\\') {
        return Cow::Borrowed(content);
    }
    Cow::Owned(Pieces { rest: content }.map(|(character, _)| character).collect())
}

/// The byte of the raw string (quotes included) from which the byte `decoded` of its content comes.
pub(super) fn raw_offset(raw: &str, decoded: usize) -> usize {
    let mut seen = 0;
    let mut offset = 1;
    for (character, length) in (Pieces { rest: &raw[1..raw.len() - 1] }) {
        if seen >= decoded {
            break;
        }
        seen += character.len_utf8();
        offset += length;
    }
    offset
}

/// The characters of a checked string's content, each with the bytes it takes in the raw text.
struct Pieces<'a> {
    rest: &'a str,
}

impl Iterator for Pieces<'_> {
    type Item = (char, usize);

    fn next(&mut self) -> Option<(char, usize)> {
        let first = self.rest.chars().next()?;
        let (character, length) = if first == '\\' { self.escape() } else { (first, first.len_utf8()) };
        self.rest = &self.rest[length..];
        Some((character, length))
    }
}

impl Pieces<'_> {
    fn escape(&self) -> (char, usize) {
        let bytes = self.rest.as_bytes();
        match bytes[1] {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => {
                let units = [hex(bytes), bytes.get(6..).and_then(hex)];
                let character = char::decode_utf16(units.into_iter().flatten()).next();
                // The scanner refused lone surrogates.
                let character = character.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
                (character, if character.len_utf16() == 2 { 12 } else { 6 })
            }
            other => (char::from(other), 2),
        }
    }
}
