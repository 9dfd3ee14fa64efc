//! State of a pool and its transitions. Pure: no lock, clock or task. Foreign code (wakers, workers) is returned in
//! [`After`], and neither woken nor dropped here.
//!
//! The rules of a pool span several fields at once: the first waiter gets the returned worker, the buffer counts
//! exactly the waiting calls, and a drain ends when no call runs *and* no call waits.

use std::task::Waker;

use tokio::time::Instant;

use crate::factory::Retired;
use crate::queue::{Queue, Ticket};
use crate::strategy::{Keep, Rules};

/// A worker that is ready for a call.
#[derive(Debug)]
pub(crate) struct Idle<W> {
    pub(crate) worker: W,
    /// Calls that it has served.
    pub(crate) uses: u32,
    pub(crate) since: Instant,
}

/// Result of a request to enter.
#[derive(Debug)]
pub(crate) enum Entry<W> {
    /// A permit, with a worker when one was ready.
    In(Option<Idle<W>>),
    /// A place in the queue.
    Wait(Ticket),
    Refused(Denial),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    Saturated { waiting: usize },
    Draining,
    WouldDeadlock { workers: usize },
}

/// Effects to apply after the lock is released. It is small, because every call moves two of them.
#[derive(Debug)]
#[must_use]
pub(crate) struct After<W> {
    /// Waker of the caller that was granted the returned permit.
    pub(crate) wake: Option<Waker>,
    /// The background task sleeps and has work.
    pub(crate) ring: bool,
    /// A drain is complete.
    pub(crate) emptied: bool,
    pub(crate) rare: Option<Box<Rare<W>>>,
}

/// Effects that seldom occur.
#[derive(Debug)]
pub(crate) struct Rare<W> {
    /// Wakers of callers that were granted new permits or turned away.
    pub(crate) wake: Vec<Waker>,
    /// Workers to drop.
    pub(crate) gone: Vec<Idle<W>>,
    /// Reason for dropping them.
    pub(crate) gone_for: Retired,
}

/// Time of the background task's next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Calls keep coming: after a short pause.
    Soon,
    /// A worker reaches its idle timeout at this time.
    At(Instant),
    /// After it is woken.
    Parked,
    /// Never: the pool is being drained.
    Over,
}

#[derive(Debug)]
pub(crate) struct State<W> {
    pub(crate) rules: Rules,
    /// Maximum of waiting calls.
    pub(crate) buffer: usize,
    /// True if a worker may serve more than one call.
    pub(crate) reused: bool,
    pub(crate) ready: Vec<Idle<W>>,
    pub(crate) queue: Queue<Option<Idle<W>>>,
    /// Permits in use, including granted ones that the waiter has not read yet.
    pub(crate) busy: usize,
    /// Permits in existence.
    pub(crate) workers: usize,
    /// Workers that the background task is making.
    pub(crate) making: usize,
    /// True while new calls are admitted. False while draining; waiting calls are still served then.
    pub(crate) open: bool,
    /// The background task sleeps until it is woken.
    pub(crate) parked: bool,
    /// Calls that were admitted and have read their grant.
    pub(crate) admitted: u64,
    /// Value of `admitted` at the background task's last look.
    pub(crate) seen: u64,
    /// Highest number of permits in use since the last measurement.
    pub(crate) peak: usize,
    /// Workers to keep ready, in an adaptive pool.
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

    /// True if a new call has to wait, unless the pool grows.
    pub(crate) fn is_full(&self) -> bool {
        self.busy >= self.workers
    }

    pub(crate) fn is_over(&self) -> bool {
        !self.open && self.busy == 0 && self.queue.len() == 0
    }

    /// Admits a call. There must be a free permit.
    pub(crate) fn admit(&mut self) -> Option<Idle<W>> {
        self.busy += 1;
        self.peak = self.peak.max(self.busy);
        self.admitted = self.admitted.wrapping_add(1);
        self.ready.pop()
    }

    /// Queues, admits or refuses a call that found the pool full.
    pub(crate) fn line_up(&mut self, held: usize, waker: Waker, after: &mut After<W>) -> Entry<W> {
        if let Some(denial) = self.denial(held, after) {
            Entry::Refused(denial)
        } else if self.is_full() {
            Entry::Wait(self.queue.push(held, waker))
        } else {
            Entry::In(self.admit())
        }
    }

    /// Reason to refuse a call that would have to wait. A pool below its maximum grows instead.
    fn denial(&mut self, held: usize, after: &mut After<W>) -> Option<Denial> {
        // All workers are held by calls that depend on a waiting call.
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

    /// Sets the number of permits; new ones go to the waiters at the front.
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

    /// Takes a permit back, with the worker if it may serve again.
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

    /// Adds a worker to the ready ones if there is room.
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

    /// While draining, retires ready workers beyond the number of waiting calls.
    pub(crate) fn trim(&mut self, after: &mut After<W>) {
        if !self.open && self.ready.len() > self.queue.len() {
            after.drop_also(self.ready.drain(self.queue.len()..), Retired::Drained);
        }
    }

    /// True if a call has to wake the background task: once after each rest.
    pub(crate) fn ring_for_call(&mut self) -> bool {
        let ring = self.parked && !matches!(self.rules.keep, Keep::Nothing);
        self.parked &= !ring;
        ring
    }

    /// Number of workers to make: those to keep, without the ready ones and those on their way.
    pub(crate) fn shortfall(&self) -> usize {
        // Busy workers return if they may serve again.
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

    /// Takes out workers that reached the idle timeout or exceed the number to keep.
    pub(crate) fn weed(&mut self, now: Instant) -> (Vec<Idle<W>>, Retired) {
        match (self.rules.keep, self.rules.idle) {
            (Keep::Nothing, Some(idle)) => {
                let old = |worker: &mut Idle<W>| now.duration_since(worker.since) >= idle;
                (self.ready.extract_if(.., old).collect(), Retired::Idle)
            }
            (Keep::Learned, _) => {
                // The front holds those that were idle longest.
                let surplus = self.ready.len().saturating_sub(self.keep);
                (self.ready.drain(..surplus).collect(), Retired::Surplus)
            }
            _ => (Vec::new(), Retired::Surplus),
        }
    }

    /// Takes out all ready workers if the strategy keeps none.
    pub(crate) fn shed(&mut self, after: &mut After<W>) -> usize {
        let shed = self.ready.len();
        if shed == 0 || !matches!(self.rules.keep, Keep::Nothing) {
            return 0;
        }
        after.drop_also(self.ready.drain(..), Retired::Surplus);
        shed
    }

    /// Time of the background task's next look.
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
