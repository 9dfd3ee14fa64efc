//! What one connection is doing, so that it can be closed when it does nothing for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Timeouts;
use crate::targets::Framing;

/// What one connection is doing: serving requests, receiving a head, or nothing.
///
/// Written by the connection's reader and by its requests, read by the task that drives it. The order
/// between the fields does not matter: a deadline that is read a moment too early is read again.
pub(crate) struct Activity {
    opened: Instant,
    timeouts: Timeouts,
    /// HTTP/2 has frames of its own between requests; there, bytes are no sign of a request.
    heads: bool,
    busy: AtomicUsize,
    head: AtomicBool,
    /// Whether the client may be sending still when its last answer has been written.
    lingers: AtomicBool,
    /// When the present state began, in microseconds after `opened`.
    since: AtomicU64,
    pub(crate) framing: Framing,
}

/// A request on its way; its connection is busy until this is dropped.
pub(crate) struct Busy(Arc<Activity>);

impl Activity {
    pub(crate) fn new(timeouts: Timeouts, heads: bool) -> Self {
        Self {
            opened: Instant::now(),
            timeouts,
            heads,
            busy: AtomicUsize::new(0),
            head: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
            since: AtomicU64::new(0),
            framing: Framing::default(),
        }
    }

    fn mark(&self) {
        let micros = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since.store(micros, Ordering::Relaxed);
    }

    /// Bytes have come in.
    pub(crate) fn received(&self) {
        let idle = self.heads && self.busy.load(Ordering::Relaxed) == 0;
        if idle && !self.head.swap(true, Ordering::Relaxed) {
            self.mark();
        }
    }

    /// Bytes go out. Before a request's head is complete that is the answer to a head that cannot be read.
    pub(crate) fn answered(&self) {
        if self.head.load(Ordering::Relaxed) {
            self.linger();
        }
    }

    /// The connection closes after this answer, and its client may be sending still.
    pub(crate) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Whether a close waits for the client's; see [`crate::io`].
    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// A request's head is complete.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.head.store(false, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// When the connection has been doing nothing for too long; `None` while it serves, and while it lingers,
    /// which has bounds of its own.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.busy.load(Ordering::Relaxed) > 0 || self.lingers() {
            return None;
        }
        let since = self.opened + Duration::from_micros(self.since.load(Ordering::Relaxed));
        let head = self.head.load(Ordering::Relaxed);
        Some(since + if head { self.timeouts.read } else { self.timeouts.idle })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.mark();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn activity(heads: bool) -> Arc<Activity> {
        Arc::new(Activity::new(Timeouts { read: s(2), write: s(9), idle: s(10) }, heads))
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_has_its_time_from_its_first_byte() {
        let (start, it) = (Instant::now(), activity(true));
        assert_eq!(it.deadline(), Some(start + s(10)));
        advance(s(5)).await;
        it.received();
        advance(s(1)).await;
        it.received();
        assert_eq!(it.deadline(), Some(start + s(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_all_the_time_and_idleness_begins_after_it() {
        let (start, it) = (Instant::now(), activity(true));
        it.received();
        let (one, two) = (it.begin(), it.begin());
        it.received();
        advance(s(100)).await;
        drop(one);
        assert_eq!(it.deadline(), None);
        drop(two);
        assert_eq!(it.deadline(), Some(start + s(110)));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_http2_requests_are_no_head() {
        let (start, it) = (Instant::now(), activity(false));
        it.received();
        assert_eq!(it.deadline(), Some(start + s(10)));
    }
}
