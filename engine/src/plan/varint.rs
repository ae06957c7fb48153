//! The numbers of a plan file: integers in as few bytes as they need, and floats that are mostly small whole numbers.
#![allow(clippy::cast_sign_loss, reason = "only numbers from 0 on are converted")]

use super::PlanFileError;

/// Appends an integer, seven bits a byte, lowest first.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer: small magnitudes take few bytes.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Appends a finite float: whole and half numbers from 0 on as integers, others as 0 and eight bytes.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    if is_short(value) {
        put(out, (value * 2.0) as u64 + 1);
    } else {
        put(out, 0);
        out.extend(value.to_le_bytes());
    }
}

/// Twice the lowest number that is always written in full.
const LONG: u64 = 9_000_000_000_000_000;

/// Whether a float is written as an integer.
fn is_short(value: f64) -> bool {
    let doubled = value * 2.0;
    (0.0..LONG as f64).contains(&doubled)
        && doubled.fract() == 0.0
        && !(value == 0.0 && value.is_sign_negative())
}

/// Reads what the functions above wrote, from bytes that may be anything.
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn offset(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline(always)]
    pub(super) fn take(&mut self) -> Result<u64, PlanFileError> {
        // Nearly all are a byte.
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.take_long(),
        }
    }

    fn take_long(&mut self) -> Result<u64, PlanFileError> {
        let begin = self.offset();
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(PlanFileError::Truncated { offset: begin });
            };
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(PlanFileError::Number { offset: begin });
            }
            value |= bits << shift;
            if byte == 0 && shift > 0 {
                // Without its last byte it is the same number.
                break;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(PlanFileError::Number { offset: begin })
    }

    #[inline(always)]
    pub(super) fn take_signed(&mut self) -> Result<i64, PlanFileError> {
        let value = self.take()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// An integer below `limit`.
    #[inline(always)]
    pub(super) fn take_below(&mut self, limit: u64, what: &'static str) -> Result<u32, PlanFileError> {
        let offset = self.offset();
        let value = self.take()?;
        if value < limit.min(u64::from(u32::MAX)) {
            return Ok(value as u32);
        }
        Err(PlanFileError::OutOfRange { offset, what })
    }

    /// A number of items, each of which takes at least a byte of what follows.
    pub(super) fn take_count(&mut self, what: &'static str) -> Result<usize, PlanFileError> {
        let offset = self.offset();
        let count = self.take()?;
        if count <= self.remaining() as u64 {
            return Ok(count as usize);
        }
        Err(PlanFileError::OutOfRange { offset, what })
    }

    pub(super) fn take_float(&mut self) -> Result<f64, PlanFileError> {
        let offset = self.offset();
        match self.take()? {
            0 => {
                let Some(field) = self.bytes.get(self.at..self.at + 8) else {
                    return Err(PlanFileError::Truncated { offset });
                };
                self.at += 8;
                let mut bytes = [0; 8];
                bytes.copy_from_slice(field);
                let value = f64::from_le_bytes(bytes);
                if is_short(value) {
                    Err(PlanFileError::Number { offset })
                } else if value.is_finite() {
                    Ok(value)
                } else {
                    Err(PlanFileError::OutOfRange { offset, what: "coefficient" })
                }
            }
            long if long > LONG => Err(PlanFileError::Number { offset }),
            doubled => Ok((doubled - 1) as f64 / 2.0),
        }
    }
}
