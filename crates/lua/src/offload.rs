//! Drops values on threads that may block.
//!
//! Freeing a value takes time in proportion to its parts, and freeing a part of a Lua instance waits for its
//! current user. Threads that serve others must do neither.

use tokio::runtime::Handle;

/// A value that is dropped on a thread that may block, wherever it goes out of scope.
pub(crate) struct Offloaded<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Offloaded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Takes the value out. Its new owner drops it.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> Drop for Offloaded<T> {
    fn drop(&mut self) {
        // Without a runtime no serving thread can be blocked.
        if let (Some(value), Ok(handle)) = (self.0.take(), Handle::try_current()) {
            drop(handle.spawn_blocking(move || drop(value)));
        }
    }
}
