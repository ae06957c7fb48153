//! Standard output: plain text, aligned fields, tables and JSON, and numbers as people and programs want them.
//!
//! Everything a command has to say as its result goes through here; notes and errors do not.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use serde_json::Value;

use crate::failure::Failure;

/// Where results go, and in which form.
pub(crate) struct Output<'a> {
    pub(crate) json: bool,
    to: Box<dyn Write + 'a>,
}

impl<'a> Output<'a> {
    /// Buffered; nothing may be visible before [`finish`](Self::finish).
    pub(crate) fn new(json: bool, to: impl Write + 'a) -> Self {
        Self { json, to: Box::new(BufWriter::new(to)) }
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(failed)
    }

    /// One line of text, which the reader has before anything else happens.
    pub(crate) fn line_at_once(&mut self, text: impl Display) -> Result<(), Failure> {
        self.line(text)?;
        self.to.flush().map_err(failed)
    }

    /// A JSON value, indented, with a newline.
    pub(crate) fn json(&mut self, value: &Value) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.to, value).map_err(|error| failed(error.into()))?;
        self.line("")
    }

    /// One item of a JSON list, on a line of its own; `place` counts from 0. [`end_list`](Self::end_list) ends it.
    pub(crate) fn list_item(&mut self, place: usize, item: &Value) -> Result<(), Failure> {
        let before = if place == 0 { "[" } else { "," };
        write!(self.to, "{before}\n  {item}").map_err(failed)
    }

    /// The end of a list that has items.
    pub(crate) fn end_list(&mut self) -> Result<(), Failure> {
        self.line("\n]")
    }

    /// Name and value a line, values aligned.
    pub(crate) fn fields(&mut self, fields: &[(&str, String)]) -> Result<(), Failure> {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        fields.iter().try_for_each(|(name, value)| self.line(format_args!("{name:width$}  {value}")))
    }

    /// Rows under a heading, columns aligned, the last one as long as it is.
    pub(crate) fn table(&mut self, heading: &[&str], rows: &[impl AsRef<[String]>]) -> Result<(), Failure> {
        let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut put = |cells: &mut dyn Iterator<Item = &str>| {
            let padded = cells.zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            self.line(padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        put(&mut heading.iter().copied())?;
        rows.iter().try_for_each(|row| put(&mut row.as_ref().iter().map(String::as_str)))
    }

    /// Hands everything to the reader.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.to.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::writing("to standard output")(error)
}

/// A number as JSON: itself, or one of the texts `inf`, `-inf`, `nan`, since JSON has no such numbers.
pub(crate) fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::from(text(value)), Value::Number)
}

/// Numbers as a JSON list.
pub(crate) fn numbers(values: &[f64]) -> Value {
    values.iter().copied().map(number).collect()
}

/// A number as text: the shortest that reads back as the same number.
pub(crate) fn text(value: f64) -> String {
    if value.is_nan() {
        "nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

/// Numbers as text with commas, as a vector is written on the command line.
pub(crate) fn list(values: &[f64]) -> String {
    values.iter().copied().map(text).collect::<Vec<_>>().join(", ")
}

/// A text from elsewhere, safe for a terminal: control characters become spaces.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_become_texts() {
        assert_eq!(
            numbers(&[1.6, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]).to_string(),
            r#"[1.6,"inf","-inf","nan"]"#
        );
    }

    #[test]
    fn text_reads_back_as_the_same_number_and_stays_short() {
        for value in [1.6, 0.1 + 0.2, 1e300, -2.5e-310, 0.0] {
            assert_eq!(text(value).parse(), Ok(value));
        }
        assert_eq!(text(1e300), "1e300");
    }

    #[test]
    fn tables_align_and_leave_no_blanks_at_line_ends() {
        let mut written = Vec::new();
        let mut output = Output::new(false, &mut written);
        output
            .table(&["id", "text"], &[["a".into(), "long one".into()], ["long".into(), String::new()]])
            .unwrap();
        output.finish().unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "id    text\na     long one\nlong\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_not_an_error_worth_words() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::new(false, Gone);
        output.line("x").unwrap();
        let failure = output.finish().unwrap_err();
        assert!(matches!(failure, Failure::BrokenPipe));
        assert_eq!(failure.exit_status(), 0);
    }
}
