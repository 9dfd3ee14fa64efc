//! What one connection is doing, so that it can be closed when it does nothing for too long, or when it
//! has done what had arrived.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Timeouts;
use crate::idle::Idle;
use crate::occupation::{OPEN, Occupation, SHED, STOPPING};

/// Time that a connection which is to close has for what may be on its way: the first request of a new
/// connection, a client's answer to HTTP/2's farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// What one connection is doing: serving requests, receiving a head, or nothing.
///
/// Written by the connection's reader and by its requests, read by the task that drives it. The order
/// between the fields does not matter, but for `busy`, `sending` and `queued` of its state: a deadline that is read a
/// moment too early is read again.
pub(crate) struct Activity {
    /// Shared with the queue of idle connections.
    pub(crate) state: Arc<Occupation>,
    timeouts: Timeouts,
    /// HTTP/2 has frames of its own between requests; there, bytes are no sign of a request.
    heads: AtomicBool,
    /// The answer to a request is on its way.
    answering: AtomicBool,
    /// Whether the client may be sending still when its last answer has been written.
    lingers: AtomicBool,
    /// The close has begun.
    ending: AtomicBool,
    /// No request has come yet.
    fresh: AtomicBool,
    idle: Arc<Idle>,
}

/// A request on its way; its connection is busy until this is dropped.
pub(crate) struct Busy(Arc<Activity>);

/// A connection that can be asked to make room; until this is dropped.
pub(crate) struct Sheddable(Arc<Activity>);

impl Activity {
    pub(crate) fn new(timeouts: Timeouts, idle: Arc<Idle>) -> Self {
        Self {
            state: Arc::new(Occupation::new(idle.number())),
            timeouts,
            heads: AtomicBool::new(true),
            answering: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            fresh: AtomicBool::new(true),
            idle,
        }
    }

    /// Lets the connection be asked to make room.
    pub(crate) fn sheddable(self: &Arc<Self>) -> Sheddable {
        self.idle.enter(&self.state);
        Sheddable(Arc::clone(self))
    }

    /// The client speaks HTTP/2.
    pub(crate) fn speaks_http2(self: &Arc<Self>) {
        self.heads.store(false, Ordering::Relaxed);
        self.state.parsed.set_ahead(false);
        self.requeue();
    }

    /// Bytes have come in (HTTP/1.1); with `ahead`, of a request that has not begun.
    pub(crate) fn received(&self, ahead: bool) {
        if ahead && !self.state.is_ahead() && self.state.busy.load(Ordering::Relaxed) == 0 {
            self.state.mark();
        }
        self.state.parsed.set_ahead(ahead);
    }

    /// Bytes go out. Without a request they are the answer to a head that cannot be read.
    pub(crate) fn answers(&self) {
        if self.heads.load(Ordering::Relaxed) && !self.answering.load(Ordering::Relaxed) {
            self.linger();
        }
    }

    /// All bytes of answers so far are out.
    pub(crate) fn answered(&self) {
        if self.state.busy.load(Ordering::Relaxed) == 0 {
            self.answering.store(false, Ordering::Relaxed);
        }
    }

    /// The connection closes after this answer, and its client may be sending still.
    pub(crate) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// The close begins, which has bounds of its own.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether a close waits for the client's; see [`crate::io`].
    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// A request's head is complete.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.answering.store(true, Ordering::Relaxed);
        self.fresh.store(false, Ordering::Relaxed);
        // Whatever was to end the connection has not: the rest of a body was there already.
        self.lingers.store(false, Ordering::Relaxed);
        self.occupy()
    }

    /// Something is to be done for a request, whether or not its answer is out.
    pub(crate) fn occupy(self: &Arc<Self>) -> Busy {
        self.state.busy.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(self))
    }

    /// The client does not take what is sent; who sends it knows for how long.
    pub(crate) fn sending(&self) {
        self.state.sending.store(true, Ordering::SeqCst);
    }

    /// The client has taken what was sent.
    pub(crate) fn sent(self: &Arc<Self>) {
        if !self.state.is_ahead() {
            self.state.mark();
        }
        self.state.sending.store(false, Ordering::SeqCst);
        self.requeue();
    }

    /// Comes back to the queue of idle connections, if it was taken out while it served.
    fn requeue(self: &Arc<Self>) {
        // Either this sees that it was taken out, or whoever takes it out sees it idle.
        if self.state.queued().is_none() {
            self.idle.enter(&self.state);
        }
    }

    /// When the connection has been doing nothing for too long; `None` while it serves, and while it closes.
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
            SHED if self.fresh.load(Ordering::Relaxed) => self.state.at(&self.state.told),
            _ => since.max(self.state.at(&self.state.told)) + FAREWELL,
        })
    }

    /// The server stops: the connection is to close when it has served what has arrived.
    pub(crate) fn stop(&self) {
        self.state.close(STOPPING);
    }

    /// Waits until the connection is asked to make room. To be polled by the connection's own task alone.
    pub(crate) async fn asked(&self) {
        poll_fn(|cx| {
            self.state.waker.get_or_init(|| cx.waker().clone());
            match self.state.closing.load(Ordering::SeqCst) {
                SHED => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    /// Whether it was told to close and has served all that has been read (HTTP/1.1): if nothing else has
    /// arrived, it is over.
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

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.state.mark();
        let was = self.0.state.busy.fetch_sub(1, Ordering::SeqCst);
        if was == 1 {
            self.0.requeue();
        }
    }
}

impl Drop for Sheddable {
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
    async fn a_request_has_all_the_time_and_idleness_begins_after_it() {
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
        it.speaks_http2();
        assert_eq!(it.deadline(), Some(start + s(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_told_to_close_is_done_when_all_that_was_read_is_served() {
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
        // The next request comes in before the answer goes out.
        drop(request);
        it.answers();
        assert!(!it.lingers());
        it.answered();
        it.answers();
        assert!(it.lingers());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_to_end_and_goes_on_has_its_timeouts() {
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
    async fn a_stop_waits_a_moment_for_the_first_request_and_a_new_connection_does_not() {
        let (start, it) = (Instant::now(), activity());
        it.stop();
        assert!(!it.is_done());
        assert_eq!(it.deadline(), Some(start + FAREWELL));
        let it = activity();
        it.state.shed();
        assert!(it.is_done());
        assert_eq!(it.deadline(), Some(start));
    }
}
