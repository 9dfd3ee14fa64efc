//! Signal that asks calls which outlast a drain's grace to stop.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use tokio::sync::Notify;

/// Signal that a drain's grace is over. Clones share one signal, cost a reference count, and may outlive the pool.
///
/// A pool does not run calls and cannot stop them. The caller races its work against this signal with
/// [`Interruption::race`], and gives an interrupted worker back as
/// [`Retired::Interrupted`](crate::Retired::Interrupted).
#[derive(Debug, Clone, Default)]
pub struct Interruption(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    given: AtomicBool,
    wake: Notify,
}

impl Interruption {
    /// Resolves once calls are asked to stop; at once if they already were.
    pub async fn requested(&self) {
        // Registered before the check, so that a request in between is not missed.
        let wake = self.0.wake.notified();
        if !self.is_requested() {
            wake.await;
        }
    }

    /// True once calls are asked to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.given.load(SeqCst)
    }

    /// Runs `work` to its end, or drops it at an await point once calls are asked to stop and returns `None`. Work
    /// that never waits has no extra cost.
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
        self.0.wake.notify_waiters();
    }
}
