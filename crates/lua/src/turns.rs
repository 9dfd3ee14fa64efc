//! Bound on the scripts that compute at one moment.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bound on the scripts that compute at one moment: as many as there are cores.
///
/// Their threads are not those that serve others, but they run on the same cores. Without a bound a few scripts that
/// begin many calls leave little of them to anybody else. Cloning is a reference count.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// A bound for all programs that share it.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZeroUsize::get))))
    }

    /// Waits for a turn, behind those who wait already.
    pub(crate) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self::new()
    }
}
