//! Fixed-size records from a slice or a stream, with their offsets.
//!
//! A slice is its own buffer, so its records are not copied. What the records mean is not this room's business.

use std::io::{self, BufRead};

use super::error::StreamError;

/// The unread rest of a file.
pub(super) struct Source<R> {
    inner: R,
    offset: usize,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, offset: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The next bytes, in an array.
    pub(super) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.offset += N;
        Ok(bytes)
    }

    /// Hands `count` records to `run`, each with its offset, in place where the buffer holds a whole one.
    pub(super) fn each<const N: usize>(
        &mut self,
        count: usize,
        mut run: impl FnMut(&[u8; N], usize) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        let mut left = count;
        while left > 0 {
            let (records, _) = self.inner.fill_buf()?.as_chunks::<N>();
            let records = &records[..records.len().min(left)];
            for record in records {
                run(record, self.offset)?;
                self.offset += N;
            }
            let held = records.len();
            self.inner.consume(held * N);
            left -= held;
            if held == 0 {
                // The rest of the buffer holds no whole record.
                let offset = self.offset;
                run(&self.take::<N>()?, offset)?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// Passes over bytes that nobody looks at.
    pub(super) fn skip(&mut self, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let held = self.inner.fill_buf()?.len().min(left);
            if held == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.inner.consume(held);
            left -= held;
        }
        self.offset += bytes;
        Ok(())
    }

    /// Whether nothing follows.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        self.inner.fill_buf().map(<[u8]>::is_empty)
    }
}
