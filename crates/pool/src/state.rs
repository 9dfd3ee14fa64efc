//! What a pool is at one moment, and every way in which that may change. Pure: no lock, no clock, no task;
//! what is foreign (wakers, workers) is handed out in [`After`] and neither woken nor dropped here.
//!
//! Every rule of the pool speaks of several of these fields at once: who is next gets the worker that comes
//! back; the buffer counts exactly who waits; a drain is over when nobody runs *and* nobody waits.

use std::task::Waker;

use tokio::time::Instant;

use crate::factory::Retired;
use crate::queue::{Queue, Ticket};
use crate::strategy::{Keep, Rules};

/// A worker that waits for a call.
#[derive(Debug)]
pub(crate) struct Idle<W> {
    pub(crate) worker: W,
    /// Calls it has served.
    pub(crate) uses: u32,
    pub(crate) since: Instant,
}

/// What happened to somebody who asked to come in.
#[derive(Debug)]
pub(crate) enum Entry<W> {
    /// A permit, with a worker when one was ready.
    In(Option<Idle<W>>),
    /// A place in the line.
    Wait(Ticket),
    Refused(Denial),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    Saturated { waiting: usize },
    Draining,
    WouldDeadlock { workers: usize },
}

/// What is left to do once the lock is gone. It is small, since every call moves two of them.
#[derive(Debug)]
#[must_use]
pub(crate) struct After<W> {
    /// The caller who was granted what came free.
    pub(crate) wake: Option<Waker>,
    /// The background task sleeps and has something to do.
    pub(crate) ring: bool,
    /// A drain has come to its end.
    pub(crate) emptied: bool,
    pub(crate) rare: Option<Box<Rare<W>>>,
}

/// What is seldom left to do.
#[derive(Debug)]
pub(crate) struct Rare<W> {
    /// Callers who were granted new permits, or were turned away.
    pub(crate) wake: Vec<Waker>,
    /// Workers to drop.
    pub(crate) gone: Vec<Idle<W>>,
    /// Why they go.
    pub(crate) gone_for: Retired,
}

/// When the background task is to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Calls are coming: shortly.
    Soon,
    /// Something goes stale then.
    At(Instant),
    /// When it is rung for.
    Parked,
    /// Never: the pool is being drained.
    Over,
}

#[derive(Debug)]
pub(crate) struct State<W> {
    pub(crate) rules: Rules,
    /// Calls that may wait.
    pub(crate) buffer: usize,
    /// Whether a worker may serve more than one call.
    pub(crate) reused: bool,
    pub(crate) ready: Vec<Idle<W>>,
    pub(crate) queue: Queue<Option<Idle<W>>>,
    /// Permits out, including granted ones that nobody has seen yet.
    pub(crate) busy: usize,
    /// Permits there are.
    pub(crate) workers: usize,
    /// Workers that the background task is at.
    pub(crate) making: usize,
    /// Calls may come; otherwise it is being drained, and those who wait are still served.
    pub(crate) open: bool,
    /// The background task does not look by itself.
    pub(crate) parked: bool,
    /// Calls that were let in and know of it.
    pub(crate) admitted: u64,
    /// Admissions when the background task looked last.
    pub(crate) seen: u64,
    /// Permits out at once, at most, since they were asked for last.
    pub(crate) peak: usize,
    /// Workers to keep ready, when that is learned.
    pub(crate) keep: usize,
}

impl<W> State<W> {
    pub(crate) fn new(rules: Rules, buffer: usize, reused: bool) -> Self {
        Self {
            rules,
            buffer,
            reused,
            ready: Vec::new(),
            queue: Queue::new(),
            busy: 0,
            workers: rules.start,
            making: 0,
            open: true,
            parked: true,
            admitted: 0,
            seen: 0,
            peak: 0,
            keep: rules.start,
        }
    }

    /// Whether a newcomer has to wait, unless the pool grows.
    pub(crate) fn is_full(&self) -> bool {
        self.busy >= self.workers
    }

    pub(crate) fn is_over(&self) -> bool {
        !self.open && self.busy == 0 && self.queue.len() == 0
    }

    /// Lets somebody in; there must be room.
    pub(crate) fn admit(&mut self) -> Option<Idle<W>> {
        self.busy += 1;
        self.peak = self.peak.max(self.busy);
        self.admitted = self.admitted.wrapping_add(1);
        self.ready.pop()
    }

    /// What becomes of somebody who finds the pool full.
    pub(crate) fn line_up(&mut self, held: usize, waker: Waker, after: &mut After<W>) -> Entry<W> {
        if let Some(denial) = self.denial(held, after) {
            Entry::Refused(denial)
        } else if self.is_full() {
            Entry::Wait(self.queue.push(held, waker))
        } else {
            Entry::In(self.admit())
        }
    }

    /// Why somebody who would have to wait must not. A pool that may grow grows instead.
    fn denial(&mut self, held: usize, after: &mut After<W>) -> Option<Denial> {
        // Every worker belongs to somebody who cannot go on before one of those who wait is served.
        let blocked = self.queue.held().saturating_add(held);
        if blocked >= self.workers {
            if blocked >= self.rules.max {
                return Some(Denial::WouldDeadlock { workers: self.workers });
            }
            self.set_workers(blocked + 1, after);
        }
        if self.is_full() && self.queue.len() >= self.buffer {
            if self.workers >= self.rules.max {
                return Some(Denial::Saturated { waiting: self.queue.len() });
            }
            self.set_workers(self.workers + 1, after);
        }
        None
    }

    /// Sets how many permits there are; new ones go to the first in line.
    pub(crate) fn set_workers(&mut self, workers: usize, after: &mut After<W>) {
        self.workers = workers;
        while self.busy < self.workers && self.queue.len() > 0 {
            self.busy += 1;
            self.peak = self.peak.max(self.busy);
            let ready = self.ready.pop();
            if let Ok(waker) = self.queue.grant(ready) {
                after.wake_also(waker);
            }
        }
    }

    /// Takes a permit back, and the worker if it may serve again.
    pub(crate) fn release(&mut self, back: Option<Idle<W>>, after: &mut After<W>) {
        if self.busy <= self.workers && self.queue.len() > 0 {
            let back = back.or_else(|| self.ready.pop());
            if let Ok(waker) = self.queue.grant(back) {
                after.wake = waker;
            }
        } else {
            self.busy -= 1;
            if let Some(idle) = back {
                self.store(idle, after);
            }
        }
        self.trim(after);
        after.emptied = self.is_over();
    }

    /// Puts a worker by, if there is room for it.
    pub(crate) fn store(&mut self, idle: Idle<W>, after: &mut After<W>) {
        let keeps_none = matches!(self.rules.keep, Keep::Nothing);
        let room = if keeps_none { self.rules.max } else { self.kept() };
        if self.open && self.ready.len() >= room {
            after.drop_also([idle], Retired::Surplus);
            return;
        }
        self.ready.push(idle);
        self.trim(after);
        if self.parked && keeps_none && !self.ready.is_empty() {
            self.parked = false;
            after.ring = true;
        }
    }

    /// While draining, no more workers are ready than calls wait.
    pub(crate) fn trim(&mut self, after: &mut After<W>) {
        if !self.open && self.ready.len() > self.queue.len() {
            after.drop_also(self.ready.drain(self.queue.len()..), Retired::Drained);
        }
    }

    /// Whether a call is to ring for the background task: once, after it went to rest.
    pub(crate) fn ring_for_call(&mut self) -> bool {
        let ring = self.parked && !matches!(self.rules.keep, Keep::Nothing);
        self.parked &= !ring;
        ring
    }

    /// Workers that are to be ready and are not, nor on their way.
    pub(crate) fn shortfall(&self) -> usize {
        // Busy workers come back when they may serve again.
        let coming = self.making + if self.reused { self.busy } else { 0 };
        self.kept().saturating_sub(self.ready.len() + coming)
    }

    fn kept(&self) -> usize {
        match self.rules.keep {
            Keep::Nothing => 0,
            Keep::Exactly(size) => size,
            Keep::Learned => self.keep,
        }
    }

    /// Takes out what has been lying for too long, or is more than is kept.
    pub(crate) fn weed(&mut self, now: Instant) -> (Vec<Idle<W>>, Retired) {
        match (self.rules.keep, self.rules.idle) {
            (Keep::Nothing, Some(idle)) => {
                let old = |worker: &mut Idle<W>| now.duration_since(worker.since) >= idle;
                (self.ready.extract_if(.., old).collect(), Retired::Idle)
            }
            (Keep::Learned, _) => {
                // Those at the front have been lying there for longest.
                let surplus = self.ready.len().saturating_sub(self.keep);
                (self.ready.drain(..surplus).collect(), Retired::Surplus)
            }
            _ => (Vec::new(), Retired::Surplus),
        }
    }

    /// Takes out all ready workers where none are to be kept.
    pub(crate) fn shed(&mut self, after: &mut After<W>) -> usize {
        let shed = self.ready.len();
        if shed == 0 || !matches!(self.rules.keep, Keep::Nothing) {
            return 0;
        }
        after.drop_also(self.ready.drain(..), Retired::Surplus);
        shed
    }

    /// When the background task is to look again.
    pub(crate) fn next_look(&mut self) -> Next {
        let quiet = self.seen == self.admitted;
        self.seen = self.admitted;
        match (self.rules.keep, self.rules.idle) {
            (Keep::Nothing, Some(idle)) => {
                let first = self.ready.iter().map(|worker| worker.since).min();
                first.and_then(|since| since.checked_add(idle)).map_or(Next::Parked, Next::At)
            }
            _ if quiet && self.queue.len() == 0 => Next::Parked,
            _ => Next::Soon,
        }
    }
}

impl<W> After<W> {
    pub(crate) fn nothing() -> Self {
        Self { wake: None, ring: false, emptied: false, rare: None }
    }

    pub(crate) fn wake_also(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.rare().wake.extend(wakers);
    }

    fn drop_also(&mut self, workers: impl IntoIterator<Item = Idle<W>>, reason: Retired) {
        let rare = self.rare();
        rare.gone.extend(workers);
        rare.gone_for = reason;
    }

    fn rare(&mut self) -> &mut Rare<W> {
        self.rare.get_or_insert_with(|| {
            Box::new(Rare { wake: Vec::new(), gone: Vec::new(), gone_for: Retired::Surplus })
        })
    }
}
