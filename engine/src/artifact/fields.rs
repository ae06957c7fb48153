//! Little-endian fields at given offsets, and the errors that name them.
//!
//! Offsets lie within records of a fixed size.

use super::error::{ArtifactError, Fault};

pub(super) fn count(bytes: &[u8], offset: usize, field: &str, limit: u64) -> Result<u64, ArtifactError> {
    let found = u64_at(bytes, offset);
    let limit = limit.min(u64::from(u32::MAX) - 1);
    if found <= limit { Ok(found) } else { Err(at(offset, field, Fault::AboveLimit { found, limit })) }
}

#[cold]
pub(super) fn at(offset: usize, field: impl Into<String>, fault: Fault) -> ArtifactError {
    ArtifactError { offset: offset as u64, field: field.into(), fault }
}

pub(super) fn too_short(found_bytes: u64, needed: usize) -> ArtifactError {
    let fault = Fault::TooShort { needed_bytes: needed as u64, found_bytes };
    at(0, "header", fault)
}

/// Whether `length` bytes from `within` are zero; `offset` is where `bytes` begins in the file.
pub(super) fn must_be_zero<N: FieldName>(
    bytes: &[u8],
    within: usize,
    length: usize,
    offset: usize,
    field: N,
) -> Result<(), ArtifactError> {
    if bytes[within..within + length].iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(at(offset + within, field.name(), Fault::NotZero))
}

/// A field name, made only when there is something to say about the field.
pub(super) trait FieldName {
    fn name(self) -> String;
}

impl FieldName for &str {
    fn name(self) -> String {
        self.to_owned()
    }
}

impl<F: FnOnce() -> String> FieldName for F {
    fn name(self) -> String {
        self()
    }
}

#[inline]
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(field)
}

#[inline]
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(field)
}

#[inline]
pub(super) fn i64_at(bytes: &[u8], offset: usize) -> i64 {
    u64_at(bytes, offset).cast_signed()
}
