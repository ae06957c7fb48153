//! Byte ranges (RFC 9110, section 14). One range is answered; several, or what cannot be read, get the whole.

use std::ops::Range;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Everything, with 200.
    Whole,
    /// These bytes, with 206. Never empty.
    Part(Range<u64>),
    /// Nothing, with 416: the range lies outside.
    Unsatisfiable,
}

/// What a `Range` header selects from `size_bytes` bytes.
pub(super) fn select(header: &str, size_bytes: u64) -> Selection {
    let Some((unit, set)) = header.split_once('=') else { return Selection::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Selection::Whole };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !unit.trim().eq_ignore_ascii_case("bytes") || !digits(first) || !digits(last) {
        return Selection::Whole;
    }
    match (first, last) {
        ("", "") => Selection::Whole,
        ("", length) => suffix(number(length), size_bytes),
        (first, "") => between(number(first), u64::MAX, size_bytes),
        (first, last) => between(number(first), number(last), size_bytes),
    }
}

/// Positions beyond 2⁶⁴ are beyond every file, and need not be told apart.
fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

fn suffix(length: u64, size_bytes: u64) -> Selection {
    match (length, size_bytes) {
        (0, _) => Selection::Unsatisfiable,
        // The last bytes of nothing are nothing, and a part cannot be empty.
        (_, 0) => Selection::Whole,
        _ => Selection::Part(size_bytes.saturating_sub(length)..size_bytes),
    }
}

fn between(first: u64, last: u64, size_bytes: u64) -> Selection {
    if last < first {
        Selection::Whole
    } else if first >= size_bytes {
        Selection::Unsatisfiable
    } else {
        Selection::Part(first..last.saturating_add(1).min(size_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Selection, select};

    #[test]
    fn one_range_selects_a_part() {
        let cases = [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..100),
            ("bytes=99-", 99..100),
            ("bytes=10-19", 10..20),
            ("bytes=10-1000", 10..100),
            ("bytes=-1", 99..100),
            ("bytes=-100", 0..100),
            ("bytes=-101", 0..100),
            ("bytes=5-99999999999999999999999", 5..100),
            ("bytes=-99999999999999999999999", 0..100),
            ("BYTES=1-2", 1..3),
            ("bytes= 1-2 ", 1..3),
        ];
        for (header, range) in cases {
            assert_eq!(select(header, 100), Selection::Part(range), "{header}");
        }
    }

    #[test]
    fn what_lies_outside_cannot_be_satisfied() {
        for header in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(select(header, 100), Selection::Unsatisfiable, "{header}");
        }
        assert_eq!(select("bytes=0-", 0), Selection::Unsatisfiable);
    }

    #[test]
    fn several_ranges_and_what_cannot_be_read_get_the_whole() {
        let headers = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=2-1",
            "bytes=0-1,5-6",
            "bytes=0-1, 5-6",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0x1-2",
            "items=0-1",
            "bytes 0-1",
            "bytes=1 - 2",
        ];
        for header in headers {
            assert_eq!(select(header, 100), Selection::Whole, "{header}");
        }
        assert_eq!(select("bytes=-5", 0), Selection::Whole);
    }
}
