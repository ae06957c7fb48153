//! What is made when it is first asked for, in storage that is used again.

use std::cell::{Cell, OnceCell};
use std::fmt;

/// A value that is made when it is first asked for; put aside, it is made again of what it was.
pub(crate) struct Kept<T> {
    value: OnceCell<T>,
    before: Cell<Option<T>>,
}

impl<T> Kept<T> {
    pub(crate) const fn new() -> Self {
        Self { value: OnceCell::new(), before: Cell::new(None) }
    }

    /// The value, made now if there is none, of the one that was put aside if there is that.
    pub(crate) fn get<E>(&self, make: impl FnOnce(Option<T>) -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = make(self.before.take())?;
        Ok(self.value.get_or_init(|| value))
    }

    /// Puts the value aside, because it holds no longer.
    pub(crate) fn put_aside(&mut self) {
        if let Some(value) = self.value.take() {
            self.before.set(Some(value));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Kept<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(out)
    }
}
