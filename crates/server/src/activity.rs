//! State of a connection, from which it is closed after an idle or read timeout, or after it has served all
//! requests that arrived before a stop.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Timeouts;
use crate::connection_state::{ConnectionState, MAKING_ROOM, OPEN, STOPPING};
use crate::idle::IdleQueue;

/// Time that a closing connection leaves for bytes on their way: the first request of a new connection, or a
/// client's reply to HTTP/2's GOAWAY.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// State of a connection: serving requests, receiving a head, or idle.
///
/// Written by the connection's reader and by its requests, read by the task that drives it. The order between the
/// fields does not matter, except for `busy`, `sending` and `queued` of its state: a deadline that is read a moment
/// too early is read again.
pub(crate) struct Activity {
    /// Shared with the queue of idle connections.
    pub(crate) state: Arc<ConnectionState>,
    timeouts: Timeouts,
    /// False for HTTP/2, which has frames of its own between requests, so that bytes do not indicate a request.
    heads: AtomicBool,
    /// A response is being sent.
    answering: AtomicBool,
    /// True if the client may still be sending after its last response was written.
    lingers: AtomicBool,
    /// The close has begun.
    ending: AtomicBool,
    /// No request has arrived yet.
    fresh: AtomicBool,
    idle: Arc<IdleQueue>,
}

/// Marks a connection as busy with a request until it is dropped.
pub(crate) struct BusyGuard(Arc<Activity>);

/// Keeps a connection in the queue of idle connections until it is dropped.
pub(crate) struct QueueGuard(Arc<Activity>);

impl Activity {
    pub(crate) fn new(timeouts: Timeouts, idle: Arc<IdleQueue>) -> Self {
        Self {
            state: Arc::new(ConnectionState::new(idle.number())),
            timeouts,
            heads: AtomicBool::new(true),
            answering: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            fresh: AtomicBool::new(true),
            idle,
        }
    }

    /// Adds the connection to the queue of idle connections, so that it can be closed to make room.
    pub(crate) fn enter_idle_queue(self: &Arc<Self>) -> QueueGuard {
        self.idle.enter(&self.state);
        QueueGuard(Arc::clone(self))
    }

    /// Records that the client speaks HTTP/2.
    pub(crate) fn set_http2(self: &Arc<Self>) {
        self.heads.store(false, Ordering::Relaxed);
        self.state.parsed.set_ahead(false);
        self.requeue();
    }

    /// Records received bytes (HTTP/1.1); `ahead` if they belong to a request that has not begun.
    pub(crate) fn received(&self, ahead: bool) {
        if ahead && !self.state.is_ahead() && self.state.busy.load(Ordering::Relaxed) == 0 {
            self.state.mark();
        }
        self.state.parsed.set_ahead(ahead);
    }

    /// Records sent bytes. Without a request they are the response to an unreadable head, and the close lingers.
    pub(crate) fn record_sent(&self) {
        if self.heads.load(Ordering::Relaxed) && !self.answering.load(Ordering::Relaxed) {
            self.linger();
        }
    }

    /// Records that all responses so far were flushed.
    pub(crate) fn record_flushed(&self) {
        if self.state.busy.load(Ordering::Relaxed) == 0 {
            self.answering.store(false, Ordering::Relaxed);
        }
    }

    /// Records that the connection closes after this response while its client may still be sending.
    pub(crate) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Records the start of the close, which has time limits of its own.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// True if the close waits for the client's; see module `io`.
    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Records a complete request head.
    pub(crate) fn begin(self: &Arc<Self>) -> BusyGuard {
        self.answering.store(true, Ordering::Relaxed);
        self.fresh.store(false, Ordering::Relaxed);
        // The connection goes on: the rest of a body had already arrived.
        self.lingers.store(false, Ordering::Relaxed);
        self.occupy()
    }

    /// Marks the connection as busy for a request, before or after its response.
    pub(crate) fn occupy(self: &Arc<Self>) -> BusyGuard {
        self.state.busy.fetch_add(1, Ordering::SeqCst);
        BusyGuard(Arc::clone(self))
    }

    /// Records that the client does not read; the writer has a timeout of its own.
    pub(crate) fn sending(&self) {
        self.state.sending.store(true, Ordering::SeqCst);
    }

    /// Records that the client has read all bytes written so far.
    pub(crate) fn sent(self: &Arc<Self>) {
        if !self.state.is_ahead() {
            self.state.mark();
        }
        self.state.sending.store(false, Ordering::SeqCst);
        self.requeue();
    }

    /// Returns to the queue of idle connections, if it was removed while it served.
    fn requeue(self: &Arc<Self>) {
        // Either this call sees the removal, or the code that removes it sees the connection idle.
        if self.state.queued().is_none() {
            self.idle.enter(&self.state);
        }
    }

    /// Time at which the connection times out; `None` while it serves, and while it closes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.state.serves() || self.ending.load(Ordering::Relaxed) {
            return None;
        }
        let since = self.state.at(&self.state.since);
        if self.state.is_ahead() {
            return Some(since + self.timeouts.read);
        }
        Some(match self.state.closing.load(Ordering::Relaxed) {
            OPEN => since + self.timeouts.idle,
            MAKING_ROOM if self.fresh.load(Ordering::Relaxed) => {
                self.state.at(&self.state.close_requested_at)
            }
            _ => since.max(self.state.at(&self.state.close_requested_at)) + CLOSE_GRACE,
        })
    }

    /// Records that the server stops: the connection closes once it has served all requests that arrived.
    pub(crate) fn stop(&self) {
        self.state.close(STOPPING);
    }

    /// Waits until the connection is asked to make room. Only the connection's own task may poll it.
    pub(crate) async fn close_requested(&self) {
        poll_fn(|cx| {
            self.state.waker.get_or_init(|| cx.waker().clone());
            match self.state.closing.load(Ordering::SeqCst) {
                MAKING_ROOM => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// True if the connection is to close and has served everything that was read (HTTP/1.1). It is over if nothing
    /// else has arrived.
    pub(crate) fn is_done(&self) -> bool {
        let closing = self.state.closing.load(Ordering::Relaxed);
        let awaited = closing == STOPPING && self.fresh.load(Ordering::Relaxed);
        closing != OPEN
            && !awaited
            && self.heads.load(Ordering::Relaxed)
            && !self.state.serves()
            && !self.state.is_ahead()
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.state.mark();
        let was = self.0.state.busy.fetch_sub(1, Ordering::SeqCst);
        if was == 1 {
            self.0.requeue();
        }
    }
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        self.0.idle.leave(&self.0.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn activity() -> Arc<Activity> {
        let timeouts = Timeouts { read: s(2), write: s(9), idle: s(10) };
        Arc::new(Activity::new(timeouts, Arc::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_has_its_time_from_its_first_byte() {
        let (start, it) = (Instant::now(), activity());
        assert_eq!(it.deadline(), Some(start + s(10)));
        advance(s(5)).await;
        it.received(true);
        advance(s(1)).await;
        it.received(true);
        assert_eq!(it.deadline(), Some(start + s(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_timeout_starts_after_the_request() {
        let (start, it) = (Instant::now(), activity());
        it.received(true);
        let (one, two) = (it.begin(), it.begin());
        it.received(false);
        advance(s(100)).await;
        drop(one);
        assert_eq!(it.deadline(), None);
        drop(two);
        assert_eq!(it.deadline(), Some(start + s(110)));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_http2_requests_are_no_head() {
        let (start, it) = (Instant::now(), activity());
        it.received(true);
        it.set_http2();
        assert_eq!(it.deadline(), Some(start + s(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_connection_ends_once_all_read_is_served() {
        let it = activity();
        it.received(true);
        it.stop();
        assert!(!it.is_done(), "a head is coming in");
        let first = it.begin();
        drop(first);
        assert!(!it.is_done(), "a second request was read with the first");
        let second = it.begin();
        it.received(false);
        assert!(!it.is_done(), "it is served");
        drop(second);
        assert!(it.is_done());
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_without_a_request_lingers() {
        let it = activity();
        it.received(true);
        let request = it.begin();
        // The next request arrives before the response is sent.
        drop(request);
        it.record_sent();
        assert!(!it.lingers());
        it.record_flushed();
        it.record_sent();
        assert!(it.lingers());
    }

    #[tokio::test(start_paused = true)]
    async fn kept_connection_has_timeouts() {
        let (start, it) = (Instant::now(), activity());
        drop(it.begin());
        it.linger();
        assert_eq!(it.deadline(), Some(start + s(10)));
        drop(it.begin());
        assert!(!it.lingers());
        it.end();
        assert_eq!(it.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn stop_waits_for_the_first_request_unlike_shedding() {
        let (start, it) = (Instant::now(), activity());
        it.stop();
        assert!(!it.is_done());
        assert_eq!(it.deadline(), Some(start + CLOSE_GRACE));
        let it = activity();
        it.state.request_close();
        assert!(it.is_done());
        assert_eq!(it.deadline(), Some(start));
    }
}
