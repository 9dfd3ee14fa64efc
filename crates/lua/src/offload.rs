//! Drops on threads that may be kept busy.
//!
//! Freeing a value takes as long as it has parts, and freeing a part of a Lua waits for whoever uses that Lua. Threads
//! that serve others do neither.

use tokio::runtime::Handle;

/// A value that is freed on a thread that may be kept busy, wherever it is left.
pub(crate) struct Offloaded<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Offloaded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Takes the value out, once: it is freed where its new owner is.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> Drop for Offloaded<T> {
    fn drop(&mut self) {
        // Without a runtime there is nobody to be kept waiting.
        if let (Some(value), Ok(handle)) = (self.0.take(), Handle::try_current()) {
            drop(handle.spawn_blocking(move || drop(value)));
        }
    }
}
