//! The pool's [`State`] under one lock, and its numbers published beside it.
//!
//! One lock, rather than a semaphore beside a list of workers: a permit passes to the next caller together with its
//! worker, in one critical section of some tens of nanoseconds. The only foreign code under the lock is the clone
//! of a waker, before any change; workers are dropped, and wakers dropped or woken, after the lock is released. A
//! test that drives the gate by hand in random order therefore sees every interleaving except those of the lock
//! itself, which `tests/shuttle.rs` explores.
//!
//! The gate knows nothing of factories, tasks or clocks.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::demand::Demand;
use crate::factory::Retired;
use crate::queue::Ticket;
use crate::state::{After, Denial, Entry, Idle, Next, State};
use crate::stats::Tally;
use crate::strategy::Rules;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Work for the background task.
#[derive(Debug)]
pub(crate) struct Chores<W> {
    /// Workers to drop.
    pub(crate) gone: Vec<Idle<W>>,
    /// Reason for dropping them.
    pub(crate) gone_for: Retired,
    /// Number of workers to make; each ends in [`Gate::stock`] or in [`Gate::not_made`].
    pub(crate) make: usize,
    pub(crate) next: Next,
}

#[derive(Debug)]
pub(crate) struct Gate<W> {
    state: Mutex<State<W>>,
    /// True if workers are retired for being idle.
    pub(crate) minds_idleness: bool,
    /// Maxima of running and of waiting calls, compared with without the lock.
    bounds: (u64, u64),
    pub(crate) tally: Tally,
}

impl<W> Gate<W> {
    pub(crate) fn new(rules: Rules, buffer: usize, reuse: u32) -> Self {
        let tally = Tally::default();
        tally.workers.set(rules.start);
        let state = Mutex::new(State::new(rules, buffer, reuse > 1));
        let bounds = (rules.max as u64, buffer as u64);
        Self { state, minds_idleness: rules.idle.is_some(), bounds, tally }
    }

    /// Requests a permit; `held` workers of this gate are blocked until the call is served. A call that has to wait
    /// is woken through `cx`.
    pub(crate) fn enter(&self, held: usize, cx: &Context<'_>) -> (Entry<W>, After<W>) {
        let mut s = self.lock();
        let mut after = After::nothing();
        if !s.open {
            return (Entry::Refused(Denial::Draining), after);
        }
        // Before any change: a waker whose clone panics leaves the gate untouched.
        let waker = s.is_full().then(|| cx.waker().clone());
        after.ring = s.ring_for_call();
        let entry = match waker {
            None => Entry::In(s.admit()),
            Some(waker) => s.line_up(held, waker, &mut after),
        };
        if matches!(entry, Entry::Refused(Denial::Saturated { .. })) {
            self.tally.saturated();
        }
        self.publish(&s);
        (entry, after)
    }

    /// Returns whether a new call would run or could wait, by the published numbers. The error is the number of
    /// waiting calls.
    pub(crate) fn admits(&self) -> Result<(), usize> {
        let (most, buffer) = self.bounds;
        let queued = self.tally.queued.value();
        if self.tally.busy.value() < most || queued < buffer {
            return Ok(());
        }
        self.tally.saturated();
        Err(usize::try_from(queued).unwrap_or(usize::MAX))
    }

    /// Takes all ready workers out of a pool that keeps none at rest, and returns their number.
    pub(crate) fn shed(&self) -> (usize, After<W>) {
        let mut s = self.lock();
        let mut after = After::nothing();
        let shed = s.shed(&mut after);
        self.publish(&s);
        (shed, after)
    }

    /// Polls a waiting call's ticket after `waited`: a permit, or `None` if the call was turned away. A ready
    /// answer consumes the ticket.
    pub(crate) fn poll(
        &self,
        ticket: &Ticket,
        waited: Duration,
        cx: &Context<'_>,
    ) -> Poll<Option<Option<Idle<W>>>> {
        let mut old = None;
        let mut s = self.lock();
        let answer = s.queue.poll(ticket, cx, &mut old);
        if let Poll::Ready(Some(_)) = answer {
            s.admitted = s.admitted.wrapping_add(1);
            self.tally.admitted.store(s.admitted);
            self.tally.waited(waited);
        }
        drop(s);
        // Outside the lock: the last waker of a task may own a lease of this pool.
        drop(old);
        answer
    }

    /// Leaves the queue; a permit that was granted already passes to the next caller. The caller drops the waker.
    pub(crate) fn give_up(&self, ticket: &Ticket) -> (After<W>, Option<Waker>) {
        let mut s = self.lock();
        let mut after = After::nothing();
        let (granted, waker) = s.queue.remove(ticket);
        if let Some(back) = granted {
            s.release(back, &mut after);
        }
        self.publish(&s);
        (after, waker)
    }

    /// Returns a permit, with the worker if it may serve again.
    pub(crate) fn leave(&self, back: Option<Idle<W>>) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        self.tally.finished.bump();
        s.release(back, &mut after);
        self.publish(&s);
        after
    }

    /// Another ready worker, for a call that rejected the one that came with its permit.
    pub(crate) fn another(&self) -> Option<Idle<W>> {
        let mut s = self.lock();
        let idle = s.ready.pop();
        self.publish(&s);
        idle
    }

    /// Returns the work for the background task at `now`; no worker is to be made unless `may_make`.
    pub(crate) fn chores(&self, now: Instant, may_make: bool) -> Chores<W> {
        let mut s = self.lock();
        if !s.open {
            let gone = Vec::new();
            return Chores { gone, gone_for: Retired::Drained, make: 0, next: Next::Over };
        }
        let (gone, gone_for) = s.weed(now);
        let make = if may_make { s.shortfall() } else { 0 };
        s.making += make;
        let next = s.next_look();
        s.parked = next == Next::Parked;
        self.publish(&s);
        Chores { gone, gone_for, make, next }
    }

    /// Measures the demand, for an adaptive pool, and restarts the peak.
    pub(crate) fn demand(&self) -> Demand {
        let mut s = self.lock();
        let admitted = s.admitted.wrapping_sub(s.seen);
        let peak = s.peak;
        s.peak = s.busy;
        Demand {
            admitted: usize::try_from(admitted).unwrap_or(usize::MAX),
            busy: s.busy,
            peak,
            queued: s.queue.len(),
            workers: s.workers,
        }
    }

    /// Sets the number of workers to keep ready, for an adaptive pool.
    pub(crate) fn keep(&self, keep: usize) {
        let mut s = self.lock();
        s.keep = keep.min(s.rules.max);
    }

    /// Sets the number of calls that may run at once, always above the number of workers blocked by waiting calls.
    pub(crate) fn resize(&self, workers: usize) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        let least = s.queue.held().saturating_add(1);
        let workers = workers.max(least).min(s.rules.max).max(1);
        s.set_workers(workers, &mut after);
        self.publish(&s);
        after
    }

    /// Adds a worker that was made in the background. The worker is returned in `After` if it comes too late.
    pub(crate) fn stock(&self, idle: Idle<W>) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        s.making = s.making.saturating_sub(1);
        s.store(idle, &mut after);
        self.publish(&s);
        after
    }

    /// Reserves all missing workers as being made, and returns their number.
    pub(crate) fn reserve(&self) -> usize {
        let mut s = self.lock();
        let missing = if s.open { s.shortfall() } else { 0 };
        s.making += missing;
        missing
    }

    /// Cancels the reservation of `count` workers.
    pub(crate) fn not_made(&self, count: usize) {
        let mut s = self.lock();
        s.making = s.making.saturating_sub(count);
    }

    /// Marks the background task as gone, so that the next call starts a new one.
    pub(crate) fn park(&self) {
        self.lock().parked = true;
    }

    /// Closes the gate to new calls, and with `for_all` to waiting calls too.
    pub(crate) fn close(&self, for_all: bool) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        s.open = false;
        if for_all {
            after.wake_also(s.queue.turn_away());
        }
        s.trim(&mut after);
        self.publish(&s);
        after
    }

    /// True until the gate is closed.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Numbers of running and of waiting calls.
    pub(crate) fn inside(&self) -> (usize, usize) {
        let s = self.lock();
        (s.busy, s.queue.len())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<W>> {
        // No code under the lock panics in the middle of a change, so a poisoned state is still valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, s: &State<W>) {
        self.tally.workers.set(s.workers);
        self.tally.busy.set(s.busy);
        self.tally.ready.set(s.ready.len());
        self.tally.queued.set(s.queue.len());
        self.tally.admitted.store(s.admitted);
    }
}
