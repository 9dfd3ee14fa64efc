//! Whether a connection is busy or idle, and whether it is to close: what others than its own task look at.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::framing::Parsed;

/// The connection goes on.
pub(crate) const OPEN: u8 = 0;
/// The server stops: what has arrived is served, and a new connection has a moment for its request.
pub(crate) const STOPPING: u8 = 1;
/// The connection makes room: what has arrived is served.
pub(crate) const SHED: u8 = 2;

/// Stands for no place in the queue of idle connections.
const NOT_QUEUED: u64 = u64::MAX;

/// State of one connection: busy or idle, open or closing, and its place among idle ones.
pub(crate) struct Occupation {
    pub(crate) opened: Instant,
    /// Requests that something is done for.
    pub(crate) busy: AtomicUsize,
    /// The client has not taken yet what was sent.
    pub(crate) sending: AtomicBool,
    /// When the present state began, in microseconds after `opened`.
    pub(crate) since: AtomicU64,
    /// Of HTTP/1.1. While no request is served, one that was read ahead is a head that is coming in.
    pub(crate) parsed: Parsed,
    pub(crate) closing: AtomicU8,
    /// When it was told to close, in microseconds after `opened`.
    pub(crate) told: AtomicU64,
    /// Of the task that drives the connection, which is one for all of its life.
    pub(crate) waker: OnceLock<Waker>,
    number: u64,
    /// The place among idle connections, in microseconds after `opened`; written under the lock of their queue.
    queued: AtomicU64,
}

impl Occupation {
    /// State of a new connection; `number` tells it apart.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            opened: Instant::now(),
            busy: AtomicUsize::new(0),
            sending: AtomicBool::new(false),
            since: AtomicU64::new(0),
            parsed: Parsed::default(),
            closing: AtomicU8::new(OPEN),
            told: AtomicU64::new(0),
            waker: OnceLock::new(),
            number,
            queued: AtomicU64::new(NOT_QUEUED),
        }
    }

    /// Microseconds since the connection was opened.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Moment of one of the numbers here.
    pub(crate) fn at(&self, micros: &AtomicU64) -> Instant {
        self.opened + Duration::from_micros(micros.load(Ordering::Relaxed))
    }

    /// The connection is idle from now on.
    pub(crate) fn mark(&self) {
        self.since.store(self.elapsed(), Ordering::Relaxed);
    }

    /// Whether a part of a request that has not begun may have been read.
    pub(crate) fn is_ahead(&self) -> bool {
        self.parsed.is_ahead()
    }

    /// Whether a request is served, or what was sent is not taken yet.
    pub(crate) fn serves(&self) -> bool {
        self.busy.load(Ordering::SeqCst) > 0 || self.sending.load(Ordering::SeqCst)
    }

    /// Asks the connection to close, in favour of another one.
    pub(crate) fn shed(&self) {
        self.close(SHED);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Tells the connection to close, unless it was told.
    pub(crate) fn close(&self, how: u8) {
        if !self.is_closing() {
            self.told.store(self.elapsed(), Ordering::Relaxed);
            self.closing.store(how, Ordering::SeqCst);
        }
    }

    /// Whether it was told to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) != OPEN
    }

    /// Since when it is idle: between two requests, or before the first; and to stay.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let rests = !self.serves() && !self.is_ahead();
        (rests && !self.is_closing()).then(|| self.at(&self.since))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The place in the queue of idle connections.
    pub(crate) fn queued(&self) -> Option<Instant> {
        let micros = self.queued.load(Ordering::SeqCst);
        (micros != NOT_QUEUED).then(|| self.opened + Duration::from_micros(micros))
    }

    /// Sets that place. To be called under the queue's lock.
    pub(crate) fn set_queued(&self, since: Option<Instant>) {
        let micros = since.map_or(NOT_QUEUED, |since| {
            let micros = since.duration_since(self.opened).as_micros();
            u64::try_from(micros).unwrap_or(NOT_QUEUED)
        });
        self.queued.store(micros, Ordering::SeqCst);
    }
}
