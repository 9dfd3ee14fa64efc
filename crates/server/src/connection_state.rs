//! The part of a connection's state that other tasks read: busy or idle, open or closing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::framing::ParserState;

/// The connection stays open.
pub(crate) const OPEN: u8 = 0;
/// The server stops: requests that arrived are served, and a new connection has a moment for its first one.
pub(crate) const STOPPING: u8 = 1;
/// The connection makes room for another: requests that arrived are served.
pub(crate) const MAKING_ROOM: u8 = 2;

/// Value of `queued` for a connection that is not in the queue of idle connections.
const NOT_QUEUED: u64 = u64::MAX;

/// State of one connection: busy or idle, open or closing, and its position among idle ones.
pub(crate) struct ConnectionState {
    pub(crate) opened: Instant,
    /// Number of requests in progress.
    pub(crate) busy: AtomicUsize,
    /// The client has not read everything that was sent.
    pub(crate) sending: AtomicBool,
    /// Start of the current state, in microseconds after `opened`.
    pub(crate) since: AtomicU64,
    /// Framing of HTTP/1.1. While no request is served, bytes read ahead belong to an incoming head.
    pub(crate) parsed: ParserState,
    pub(crate) closing: AtomicU8,
    /// Time of the request to close, in microseconds after `opened`.
    pub(crate) close_requested_at: AtomicU64,
    /// Waker of the task that drives the connection, which is the same for its whole life.
    pub(crate) waker: OnceLock<Waker>,
    number: u64,
    /// Position among idle connections, in microseconds after `opened`; written under the lock of their queue.
    queued: AtomicU64,
}

impl ConnectionState {
    /// State of a new connection; `number` is unique.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            opened: Instant::now(),
            busy: AtomicUsize::new(0),
            sending: AtomicBool::new(false),
            since: AtomicU64::new(0),
            parsed: ParserState::default(),
            closing: AtomicU8::new(OPEN),
            close_requested_at: AtomicU64::new(0),
            waker: OnceLock::new(),
            number,
            queued: AtomicU64::new(NOT_QUEUED),
        }
    }

    /// Microseconds since the connection was opened.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Converts one of these numbers into an instant.
    pub(crate) fn at(&self, micros: &AtomicU64) -> Instant {
        self.opened + Duration::from_micros(micros.load(Ordering::Relaxed))
    }

    /// Marks now as the start of the idle time.
    pub(crate) fn mark(&self) {
        self.since.store(self.elapsed(), Ordering::Relaxed);
    }

    /// True if a part of a request that has not begun may have been read.
    pub(crate) fn is_ahead(&self) -> bool {
        self.parsed.is_ahead()
    }

    /// True if a request is served, or if sent bytes were not read yet.
    pub(crate) fn serves(&self) -> bool {
        self.busy.load(Ordering::SeqCst) > 0 || self.sending.load(Ordering::SeqCst)
    }

    /// Asks the connection to close in favour of another one.
    pub(crate) fn request_close(&self) {
        self.close(MAKING_ROOM);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Sets the reason to close, unless there is one.
    pub(crate) fn close(&self, how: u8) {
        if !self.is_closing() {
            self.close_requested_at.store(self.elapsed(), Ordering::Relaxed);
            self.closing.store(how, Ordering::SeqCst);
        }
    }

    /// True if the connection is to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) != OPEN
    }

    /// Start of the idle time; `None` if the connection is busy, receives a request, or is to close.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let rests = !self.serves() && !self.is_ahead();
        (rests && !self.is_closing()).then(|| self.at(&self.since))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Position in the queue of idle connections.
    pub(crate) fn queued(&self) -> Option<Instant> {
        let micros = self.queued.load(Ordering::SeqCst);
        (micros != NOT_QUEUED).then(|| self.opened + Duration::from_micros(micros))
    }

    /// Sets the position. The caller holds the queue's lock.
    pub(crate) fn set_queued(&self, since: Option<Instant>) {
        let micros = since.map_or(NOT_QUEUED, |since| {
            let micros = since.duration_since(self.opened).as_micros();
            u64::try_from(micros).unwrap_or(NOT_QUEUED)
        });
        self.queued.store(micros, Ordering::SeqCst);
    }
}
