//! Limit on the number of scripts that compute at the same time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limit on the number of scripts that compute at the same time: the number of cores.
///
/// These scripts run on threads of their own, but on the same cores as everything else. Without a limit, a
/// few scripts with many calls would leave little of the cores to others. Cloning is a reference count.
#[derive(Debug, Clone)]
pub struct TurnLimit(Arc<Semaphore>);

impl TurnLimit {
    /// Creates a limit for all programs that share it.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZeroUsize::get))))
    }

    /// Waits for a turn, in order of arrival.
    pub(crate) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        // `None` is impossible: the semaphore is never closed.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Default for TurnLimit {
    fn default() -> Self {
        Self::new()
    }
}
