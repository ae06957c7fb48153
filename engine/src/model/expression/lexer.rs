//! Cuts the text of an expression into words, numbers and signs.
//!
//! Knows spelling only: neither precedence nor what a name stands for.

use super::{ExpressionProblem, MAX_LENGTH_BYTES, SyntaxError};
use crate::model::number::Number;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Number(Number),
    Word(&'a str),
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme<'a> {
    pub(super) token: Token<'a>,
    pub(super) offset: usize,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// Longest first, so that `**` is not two `*`.
const SIGNS: [&str; 18] =
    ["**", "//", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "<", ">", "(", ")", "[", "]", ","];

/// Spellings of other languages, looked for before [`SIGNS`].
const FOREIGN: [(&str, &str); 8] = [
    ("&&", "`and`"),
    ("||", "`or`"),
    ("<>", "`!=`"),
    ("&", "`and`"),
    ("|", "`or`"),
    ("^", "`**` for powers"),
    ("!", "`not`, or `!=` to compare"),
    ("=", "`==` to compare"),
];

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_LENGTH_BYTES {
            return Err(SyntaxError { offset: 0, problem: ExpressionProblem::TooLong });
        }
        Ok(Self { text, at: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Lexeme<'a>, SyntaxError> {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        let offset = self.text.len() - rest.len();
        self.at = offset;
        let Some(first) = rest.chars().next() else {
            return Ok(Lexeme { token: Token::End, offset });
        };
        let second_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if first.is_ascii_digit() || first == '.' && second_is_digit {
            return self.number(rest, offset);
        }
        if starts_name(first) {
            let word = &rest[..name_length(rest)];
            self.at += word.len();
            return Ok(Lexeme { token: Token::Word(word), offset });
        }
        if let Some(&sign) = SIGNS.iter().find(|&&sign| rest.starts_with(sign)) {
            if let Some(error) = foreign(rest, sign.len(), offset) {
                return Err(error);
            }
            self.at += sign.len();
            return Ok(Lexeme { token: Token::Sign(sign), offset });
        }
        Err(foreign(rest, 0, offset).unwrap_or_else(|| SyntaxError {
            offset,
            problem: ExpressionProblem::Unexpected {
                expected: "a number, a name or an operator",
                found: format!("`{first}`"),
            },
        }))
    }

    fn number(&mut self, rest: &'a str, offset: usize) -> Result<Lexeme<'a>, SyntaxError> {
        let (mut length, is_float) = number_length(rest.as_bytes());
        // A name may not touch a number: `2n` and `0x10` are slips, not products or hexadecimals.
        let touching = name_length(&rest[length..]);
        length += touching;
        self.at += length;
        let digits = &rest[..length];
        let leading_zero = !is_float && digits.starts_with('0') && digits.bytes().any(|byte| byte != b'0');
        let number = if touching > 0 || leading_zero {
            None
        } else if is_float {
            digits.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::Float)
        } else {
            digits.parse().ok().map(Number::Integer)
        };
        match number {
            Some(number) => Ok(Lexeme { token: Token::Number(number), offset }),
            None => Err(SyntaxError { offset, problem: ExpressionProblem::Number(digits.to_owned()) }),
        }
    }
}

/// Length of the number at the beginning, and whether it is spelled as a float.
fn number_length(bytes: &[u8]) -> (usize, bool) {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    let mut is_float = false;
    if bytes.get(length) == Some(&b'.') {
        is_float = true;
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits((length + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            is_float = true;
            length += 1 + sign + exponent;
        }
    }
    (length, is_float)
}

fn foreign(rest: &str, sign_length: usize, offset: usize) -> Option<SyntaxError> {
    let &(found, instead) = FOREIGN.iter().find(|(found, _)| rest.starts_with(found))?;
    (found.len() > sign_length)
        .then_some(SyntaxError { offset, problem: ExpressionProblem::Foreign { found, instead } })
}

pub(super) fn starts_name(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

/// Bytes of the longest beginning that only has characters of names.
fn name_length(text: &str) -> usize {
    text.find(|character: char| character != '_' && !character.is_alphanumeric()).unwrap_or(text.len())
}

/// Whether a text is one name: a letter or underscore, then letters, digits and underscores.
pub(in crate::model) fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(starts_name) && name_length(text) == text.len()
}
