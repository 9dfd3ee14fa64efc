//! How calls that outlast the grace of a drain are told to stop.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use tokio::sync::Notify;

/// Tells whoever works with a pool's worker that the grace of a drain is over. Cloning is a reference
/// count; it may go to another task and outlive the pool.
///
/// A pool never runs a call, so it cannot stop one either: the caller races its work against this, with
/// [`Interruption::race`], and gives the worker back as
/// [`Retired::Interrupted`](crate::Retired::Interrupted).
#[derive(Debug, Clone, Default)]
pub struct Interruption(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    given: AtomicBool,
    bell: Notify,
}

impl Interruption {
    /// Resolves when calls are to stop; at once if that was so before.
    pub async fn requested(&self) {
        // Made before the look: what is given in between wakes it.
        let bell = self.0.bell.notified();
        if !self.is_requested() {
            bell.await;
        }
    }

    /// Whether calls are to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.given.load(SeqCst)
    }

    /// Runs `work` to its end, or drops it where it waits once calls are to stop: `None` then. Work that
    /// ends without waiting costs nothing more than by itself.
    pub async fn race<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut requested = pin!(self.requested());
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => requested.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    pub(crate) fn request(&self) {
        self.0.given.store(true, SeqCst);
        self.0.bell.notify_waiters();
    }
}
