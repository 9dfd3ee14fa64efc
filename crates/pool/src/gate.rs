//! The pool's [`State`] under one lock, and its numbers published beside it.
//!
//! One lock and not a semaphore beside a list of workers: a permit travels to the next in line together with
//! its worker, in one critical section of some tens of nanoseconds. Nothing foreign runs inside but the
//! clone of a waker, and that before anything has been changed: workers and wakers are dropped, and tasks
//! woken, after the lock is gone. So whoever drives this by hand in random order sees every interleaving
//! there is, but for those of the lock itself; `tests/shuttle.rs` explores those.
//!
//! It knows nothing of factories, tasks or clocks.

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

/// What the background task is to do.
#[derive(Debug)]
pub(crate) struct Chores<W> {
    /// Workers to drop.
    pub(crate) gone: Vec<Idle<W>>,
    /// Why they go.
    pub(crate) gone_for: Retired,
    /// Workers to make; each is to be handed in by [`Gate::stock`] or taken off by [`Gate::not_made`].
    pub(crate) make: usize,
    pub(crate) next: Next,
}

#[derive(Debug)]
pub(crate) struct Gate<W> {
    state: Mutex<State<W>>,
    /// Whether a worker is let go for lying unused.
    pub(crate) minds_idleness: bool,
    /// Calls that may run at once, and that may wait: what a look without the lock compares with.
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

    /// Asks for a permit; `held` workers of this gate are blocked until the asker is served. Who has to
    /// wait is woken when there is an answer.
    pub(crate) fn enter(&self, held: usize, cx: &Context<'_>) -> (Entry<W>, After<W>) {
        let mut s = self.lock();
        let mut after = After::nothing();
        if !s.open {
            return (Entry::Refused(Denial::Draining), after);
        }
        // Before any change: whose waker panics here has not come at all.
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

    /// Whether somebody who came now would be let in or could wait, by the published numbers.
    pub(crate) fn admits(&self) -> Result<(), usize> {
        let (most, buffer) = self.bounds;
        let queued = self.tally.queued.value();
        if self.tally.busy.value() < most || queued < buffer {
            return Ok(());
        }
        self.tally.saturated();
        Err(usize::try_from(queued).unwrap_or(usize::MAX))
    }

    /// Takes out all ready workers of a pool that keeps none at rest.
    pub(crate) fn shed(&self) -> (usize, After<W>) {
        let mut s = self.lock();
        let mut after = After::nothing();
        let shed = s.shed(&mut after);
        self.publish(&s);
        (shed, after)
    }

    /// The answer to somebody who has `waited` so long: a permit, or `None` when turned away. It uses the
    /// ticket up.
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
        // The last waker of a task may own a lease of this very pool.
        drop(old);
        answer
    }

    /// Leaves the line; a permit that had been granted goes on to the next. The waker is for dropping.
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

    /// Gives a permit back, with the worker when it may serve again.
    pub(crate) fn leave(&self, back: Option<Idle<W>>) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        self.tally.finished.bump();
        s.release(back, &mut after);
        self.publish(&s);
        after
    }

    /// A ready worker for somebody who has a permit and did not like the one that came with it.
    pub(crate) fn another(&self) -> Option<Idle<W>> {
        let mut s = self.lock();
        let idle = s.ready.pop();
        self.publish(&s);
        idle
    }

    /// What the background task is to do at `now`; nothing is to be made unless `may_make`.
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

    /// Measures the demand, for an adaptive pool.
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

    /// Sets how many workers are to be kept ready, when that is learned.
    pub(crate) fn keep(&self, keep: usize) {
        let mut s = self.lock();
        s.keep = keep.min(s.rules.max);
    }

    /// Sets how many may run at once. There are always more than are blocked by those who wait.
    pub(crate) fn resize(&self, workers: usize) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        let least = s.queue.held().saturating_add(1);
        let workers = workers.max(least).min(s.rules.max).max(1);
        s.set_workers(workers, &mut after);
        self.publish(&s);
        after
    }

    /// Hands in a worker that was made in the background; it comes back when it is too late for it.
    pub(crate) fn stock(&self, idle: Idle<W>) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        s.making = s.making.saturating_sub(1);
        s.store(idle, &mut after);
        self.publish(&s);
        after
    }

    /// Counts the workers that are missing as being made, and tells how many they are.
    pub(crate) fn reserve(&self) -> usize {
        let mut s = self.lock();
        let missing = if s.open { s.shortfall() } else { 0 };
        s.making += missing;
        missing
    }

    /// `count` workers will not be made after all.
    pub(crate) fn not_made(&self, count: usize) {
        let mut s = self.lock();
        s.making = s.making.saturating_sub(count);
    }

    /// The background task is gone: the next call is to ring for a new one.
    pub(crate) fn park(&self) {
        self.lock().parked = true;
    }

    /// Lets nobody in any more, and with `for_all` nobody who waits either.
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

    /// Whether workers are still made ahead.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Calls that run, and calls that wait.
    pub(crate) fn inside(&self) -> (usize, usize) {
        let s = self.lock();
        (s.busy, s.queue.len())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<W>> {
        // Nothing inside panics half-way through a change: a poisoned state is a sound one.
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
