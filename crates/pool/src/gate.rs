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
use crate::state::{Admission, Effects, IdleWorker, NextRun, Refusal, State};
use crate::stats::Counters;
use crate::strategy::StrategyParams;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Work of one run of the background task.
#[derive(Debug)]
pub(crate) struct MaintenancePlan<W> {
    /// Workers to drop.
    pub(crate) retired: Vec<IdleWorker<W>>,
    /// Reason for dropping them.
    pub(crate) reason: Retired,
    /// Number of workers to make; each ends in [`Gate::add_made`] or in [`Gate::cancel_reserved`].
    pub(crate) make: usize,
    pub(crate) next: NextRun,
}

#[derive(Debug)]
pub(crate) struct Gate<W> {
    state: Mutex<State<W>>,
    /// True if workers are retired for being idle.
    pub(crate) has_idle_timeout: bool,
    /// Maxima of running and of waiting calls, compared with without the lock.
    bounds: (u64, u64),
    pub(crate) counters: Counters,
}

impl<W> Gate<W> {
    pub(crate) fn new(params: StrategyParams, buffer: usize, reuse: u32) -> Self {
        let counters = Counters::default();
        counters.workers.set(params.start);
        let state = Mutex::new(State::new(params, buffer, reuse > 1));
        let bounds = (params.max as u64, buffer as u64);
        Self { state, has_idle_timeout: params.idle.is_some(), bounds, counters }
    }

    /// Requests a permit; `held` workers of this gate are blocked until the call is served. A call that has to wait
    /// is woken through `cx`.
    pub(crate) fn enter(&self, held: usize, cx: &Context<'_>) -> (Admission<W>, Effects<W>) {
        let mut s = self.lock();
        let mut effects = Effects::none();
        if !s.open {
            return (Admission::Refused(Refusal::Draining), effects);
        }
        // Before any change: a waker whose clone panics leaves the gate untouched.
        let waker = s.is_full().then(|| cx.waker().clone());
        effects.wake_task = s.wakes_task();
        let admission = match waker {
            None => Admission::Admitted(s.admit()),
            Some(waker) => s.admit_or_queue(held, waker, &mut effects),
        };
        if matches!(admission, Admission::Refused(Refusal::Saturated { .. })) {
            self.counters.saturated();
        }
        self.publish(&s);
        (admission, effects)
    }

    /// Returns whether a new call would run or could wait, by the published numbers. The error is the number of
    /// waiting calls.
    pub(crate) fn admits(&self) -> Result<(), usize> {
        let (most, buffer) = self.bounds;
        let queued = self.counters.queued.value();
        if self.counters.busy.value() < most || queued < buffer {
            return Ok(());
        }
        self.counters.saturated();
        Err(usize::try_from(queued).unwrap_or(usize::MAX))
    }

    /// Takes all ready workers out of a pool that keeps none at rest, and returns their number.
    pub(crate) fn release_idle(&self) -> (usize, Effects<W>) {
        let mut s = self.lock();
        let mut effects = Effects::none();
        let released = s.release_idle(&mut effects);
        self.publish(&s);
        (released, effects)
    }

    /// Polls a waiting call's ticket after `waited`: a permit, or `None` if the call was refused. A ready
    /// answer consumes the ticket.
    pub(crate) fn poll(
        &self,
        ticket: &Ticket,
        waited: Duration,
        cx: &Context<'_>,
    ) -> Poll<Option<Option<IdleWorker<W>>>> {
        let mut old = None;
        let mut s = self.lock();
        let answer = s.queue.poll(ticket, cx, &mut old);
        if let Poll::Ready(Some(_)) = answer {
            s.admitted = s.admitted.wrapping_add(1);
            self.counters.admitted.store(s.admitted);
            self.counters.waited(waited);
        }
        drop(s);
        // Outside the lock: the last waker of a task may own a lease of this pool.
        drop(old);
        answer
    }

    /// Leaves the queue; a permit that was granted already passes to the next caller. The caller drops the waker.
    pub(crate) fn cancel(&self, ticket: &Ticket) -> (Effects<W>, Option<Waker>) {
        let mut s = self.lock();
        let mut effects = Effects::none();
        let (granted, waker) = s.queue.remove(ticket);
        if let Some(back) = granted {
            s.release(back, &mut effects);
        }
        self.publish(&s);
        (effects, waker)
    }

    /// Returns a permit, with the worker if it may serve again.
    pub(crate) fn leave(&self, back: Option<IdleWorker<W>>) -> Effects<W> {
        let mut s = self.lock();
        let mut effects = Effects::none();
        self.counters.finished.bump();
        s.release(back, &mut effects);
        self.publish(&s);
        effects
    }

    /// Takes another ready worker, for a call that rejected the one that came with its permit.
    pub(crate) fn pop_ready(&self) -> Option<IdleWorker<W>> {
        let mut s = self.lock();
        let idle = s.ready.pop();
        self.publish(&s);
        idle
    }

    /// Plans a run of the background task at `now`, which makes workers only if `may_make`.
    pub(crate) fn plan_maintenance(&self, now: Instant, may_make: bool) -> MaintenancePlan<W> {
        let mut s = self.lock();
        if !s.open {
            let retired = Vec::new();
            return MaintenancePlan {
                retired,
                reason: Retired::Drained,
                make: 0,
                next: NextRun::Never,
            };
        }
        let (retired, reason) = s.evict(now);
        let make = if may_make { s.shortfall() } else { 0 };
        s.making += make;
        let next = s.next_run();
        s.parked = next == NextRun::Parked;
        self.publish(&s);
        MaintenancePlan { retired, reason, make, next }
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
    pub(crate) fn set_ready_target(&self, keep: usize) {
        let mut s = self.lock();
        s.keep = keep.min(s.params.max);
    }

    /// Sets the number of calls that may run at once, always above the number of workers blocked by waiting calls.
    pub(crate) fn resize(&self, workers: usize) -> Effects<W> {
        let mut s = self.lock();
        let mut effects = Effects::none();
        let least = s.queue.held().saturating_add(1);
        let workers = workers.max(least).min(s.params.max).max(1);
        s.set_workers(workers, &mut effects);
        self.publish(&s);
        effects
    }

    /// Adds a worker that was made in the background. The worker is returned in `Effects` if it comes too late.
    pub(crate) fn add_made(&self, idle: IdleWorker<W>) -> Effects<W> {
        let mut s = self.lock();
        let mut effects = Effects::none();
        s.making = s.making.saturating_sub(1);
        s.store(idle, &mut effects);
        self.publish(&s);
        effects
    }

    /// Reserves all missing workers as being made, and returns their number.
    pub(crate) fn reserve(&self) -> usize {
        let mut s = self.lock();
        let missing = if s.open { s.shortfall() } else { 0 };
        s.making += missing;
        missing
    }

    /// Cancels the reservation of `count` workers.
    pub(crate) fn cancel_reserved(&self, count: usize) {
        let mut s = self.lock();
        s.making = s.making.saturating_sub(count);
    }

    /// Marks the background task as gone, so that the next call starts a new one.
    pub(crate) fn park(&self) {
        self.lock().parked = true;
    }

    /// Closes the gate to new calls, and with `for_all` to waiting calls too.
    pub(crate) fn close(&self, for_all: bool) -> Effects<W> {
        let mut s = self.lock();
        let mut effects = Effects::none();
        s.open = false;
        if for_all {
            effects.also_wake(s.queue.refuse_all());
        }
        s.trim(&mut effects);
        self.publish(&s);
        effects
    }

    /// True until the gate is closed.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Numbers of running and of waiting calls.
    pub(crate) fn occupancy(&self) -> (usize, usize) {
        let s = self.lock();
        (s.busy, s.queue.len())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<W>> {
        // No code under the lock panics in the middle of a change, so a poisoned state is still valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, s: &State<W>) {
        self.counters.workers.set(s.workers);
        self.counters.busy.set(s.busy);
        self.counters.ready.set(s.ready.len());
        self.counters.queued.set(s.queue.len());
        self.counters.admitted.store(s.admitted);
    }
}
