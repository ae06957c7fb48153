//! Places in documents: where something stands, shown so that a person finds it.

use std::fmt;

/// Most characters of a source line that an excerpt shows on either side of the place.
const CONTEXT: usize = 60;

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The way through the document: `transitions[2].rate.coalescence`; lists count from 0. Empty for the whole.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The source line, or the part of it around the column (then with `…` where it was cut).
    pub excerpt: String,
    /// Characters of the excerpt before the place.
    pub caret: usize,
}

impl Place {
    /// The place of byte `offset` of a text. Linear in the offset.
    pub(super) fn new(text: &str, offset: usize, path: String) -> Self {
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let left: Vec<char> = text[line_start..offset].chars().collect();
        let mut right =
            text[offset..].chars().take_while(|&character| character != '\n' && character != '\r');

        let cut = left.len().saturating_sub(CONTEXT);
        let mut excerpt = String::new();
        if cut > 0 {
            excerpt.push('…');
        }
        excerpt.extend(&left[cut..]);
        let caret = excerpt.chars().count();
        excerpt.extend(right.by_ref().take(CONTEXT));
        if right.next().is_some() {
            excerpt.push('…');
        }
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self { path, line, column: left.len() + 1, excerpt, caret }
    }

    /// The excerpt and, below it, a caret under the place.
    pub fn marked_excerpt(&self) -> String {
        let number = self.line.to_string();
        // Tabs stay tabs, so that the caret lines up however wide they are shown.
        let indent: String =
            self.excerpt.chars().take(self.caret).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{number} | {}\n{:width$} | {indent}^", self.excerpt, "", width = number.len())
    }
}

/// `transitions[2].rate.coalescence (line 12, column 40)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, .. } = self;
        if path.is_empty() {
            write!(f, "line {line}, column {column}")
        } else {
            write!(f, "{path} (line {line}, column {column})")
        }
    }
}
