//! State of a pool and its transitions. Pure: no lock, clock or task. Foreign code (wakers, workers) is returned in
//! [`Effects`], and neither woken nor dropped here.
//!
//! The rules of a pool span several fields at once: the first waiter gets the returned worker, the buffer counts
//! exactly the waiting calls, and a drain ends when no call runs *and* no call waits.

use std::task::Waker;

use tokio::time::Instant;

use crate::factory::Retired;
use crate::queue::{Queue, Ticket};
use crate::strategy::{ReadyPolicy, StrategyParams};

/// A worker that is ready for a call.
#[derive(Debug)]
pub(crate) struct IdleWorker<W> {
    pub(crate) worker: W,
    /// Calls that it has served.
    pub(crate) uses: u32,
    pub(crate) since: Instant,
}

/// Result of a request for a permit.
#[derive(Debug)]
pub(crate) enum Admission<W> {
    /// A permit, with a worker if one was ready.
    Admitted(Option<IdleWorker<W>>),
    /// A place in the queue.
    Queued(Ticket),
    Refused(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Saturated { waiting: usize },
    Draining,
    WouldDeadlock { workers: usize },
}

/// Effects to apply after the lock is released. It is small, because every call moves two of them.
#[derive(Debug)]
#[must_use]
pub(crate) struct Effects<W> {
    /// Waker of the caller that was granted the returned permit.
    pub(crate) wake: Option<Waker>,
    /// The background task sleeps and has work.
    pub(crate) wake_task: bool,
    /// A drain is complete.
    pub(crate) drained: bool,
    pub(crate) rare: Option<Box<RareEffects<W>>>,
}

/// Effects that seldom occur.
#[derive(Debug)]
pub(crate) struct RareEffects<W> {
    /// Wakers of callers that were granted new permits or refused.
    pub(crate) wake: Vec<Waker>,
    /// Workers to drop.
    pub(crate) retired: Vec<IdleWorker<W>>,
    /// Reason for dropping them.
    pub(crate) reason: Retired,
}

/// Time of the background task's next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextRun {
    /// Calls keep coming: after a short pause.
    Soon,
    /// A worker reaches its idle timeout at this time.
    At(Instant),
    /// After it is woken.
    Parked,
    /// Never: the pool is being drained.
    Never,
}

#[derive(Debug)]
pub(crate) struct State<W> {
    pub(crate) params: StrategyParams,
    /// Maximum of waiting calls.
    pub(crate) buffer: usize,
    /// True if a worker may serve more than one call.
    pub(crate) reused: bool,
    pub(crate) ready: Vec<IdleWorker<W>>,
    pub(crate) queue: Queue<Option<IdleWorker<W>>>,
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
    /// Value of `admitted` at the background task's last run.
    pub(crate) seen: u64,
    /// Highest number of permits in use since the last measurement.
    pub(crate) peak: usize,
    /// Workers to keep ready, in an adaptive pool.
    pub(crate) keep: usize,
}

impl<W> State<W> {
    pub(crate) fn new(params: StrategyParams, buffer: usize, reused: bool) -> Self {
        Self {
            params,
            buffer,
            reused,
            ready: Vec::new(),
            queue: Queue::new(),
            busy: 0,
            workers: params.start,
            making: 0,
            open: true,
            parked: true,
            admitted: 0,
            seen: 0,
            peak: 0,
            keep: params.start,
        }
    }

    /// True if a new call has to wait, unless the pool grows.
    pub(crate) fn is_full(&self) -> bool {
        self.busy >= self.workers
    }

    pub(crate) fn is_drained(&self) -> bool {
        !self.open && self.busy == 0 && self.queue.len() == 0
    }

    /// Admits a call. There must be a free permit.
    pub(crate) fn admit(&mut self) -> Option<IdleWorker<W>> {
        self.busy += 1;
        self.peak = self.peak.max(self.busy);
        self.admitted = self.admitted.wrapping_add(1);
        self.ready.pop()
    }

    /// Queues, admits or refuses a call that found the pool full.
    pub(crate) fn admit_or_queue(
        &mut self,
        held: usize,
        waker: Waker,
        effects: &mut Effects<W>,
    ) -> Admission<W> {
        if let Some(refusal) = self.refuse_or_grow(held, effects) {
            Admission::Refused(refusal)
        } else if self.is_full() {
            Admission::Queued(self.queue.push(held, waker))
        } else {
            Admission::Admitted(self.admit())
        }
    }

    /// Refuses a call that would have to wait, or grows a pool that is below its maximum.
    fn refuse_or_grow(&mut self, held: usize, effects: &mut Effects<W>) -> Option<Refusal> {
        // All workers are held by calls that depend on a waiting call.
        let blocked = self.queue.held().saturating_add(held);
        if blocked >= self.workers {
            if blocked >= self.params.max {
                return Some(Refusal::WouldDeadlock { workers: self.workers });
            }
            self.set_workers(blocked + 1, effects);
        }
        if self.is_full() && self.queue.len() >= self.buffer {
            if self.workers >= self.params.max {
                return Some(Refusal::Saturated { waiting: self.queue.len() });
            }
            self.set_workers(self.workers + 1, effects);
        }
        None
    }

    /// Sets the number of permits; new ones go to the waiters at the front.
    pub(crate) fn set_workers(&mut self, workers: usize, effects: &mut Effects<W>) {
        self.workers = workers;
        while self.busy < self.workers && self.queue.len() > 0 {
            self.busy += 1;
            self.peak = self.peak.max(self.busy);
            let ready = self.ready.pop();
            if let Ok(waker) = self.queue.grant(ready) {
                effects.also_wake(waker);
            }
        }
    }

    /// Takes a permit back, with the worker if it may serve again.
    pub(crate) fn release(&mut self, back: Option<IdleWorker<W>>, effects: &mut Effects<W>) {
        if self.busy <= self.workers && self.queue.len() > 0 {
            let back = back.or_else(|| self.ready.pop());
            if let Ok(waker) = self.queue.grant(back) {
                effects.wake = waker;
            }
        } else {
            self.busy -= 1;
            if let Some(idle) = back {
                self.store(idle, effects);
            }
        }
        self.trim(effects);
        effects.drained = self.is_drained();
    }

    /// Adds a worker to the ready ones if there is room.
    pub(crate) fn store(&mut self, idle: IdleWorker<W>, effects: &mut Effects<W>) {
        let keeps_none = matches!(self.params.keep, ReadyPolicy::None);
        let room = if keeps_none { self.params.max } else { self.ready_target() };
        if self.open && self.ready.len() >= room {
            effects.also_drop([idle], Retired::Surplus);
            return;
        }
        self.ready.push(idle);
        self.trim(effects);
        if self.parked && keeps_none && !self.ready.is_empty() {
            self.parked = false;
            effects.wake_task = true;
        }
    }

    /// While draining, retires ready workers beyond the number of waiting calls.
    pub(crate) fn trim(&mut self, effects: &mut Effects<W>) {
        if !self.open && self.ready.len() > self.queue.len() {
            effects.also_drop(self.ready.drain(self.queue.len()..), Retired::Drained);
        }
    }

    /// True if a call has to wake the background task: once after each rest.
    pub(crate) fn wakes_task(&mut self) -> bool {
        let wake_task = self.parked && !matches!(self.params.keep, ReadyPolicy::None);
        self.parked &= !wake_task;
        wake_task
    }

    /// Number of workers to make: those to keep, without the ready ones and those on their way.
    pub(crate) fn shortfall(&self) -> usize {
        // Busy workers return if they may serve again.
        let coming = self.making + if self.reused { self.busy } else { 0 };
        self.ready_target().saturating_sub(self.ready.len() + coming)
    }

    fn ready_target(&self) -> usize {
        match self.params.keep {
            ReadyPolicy::None => 0,
            ReadyPolicy::Fixed(size) => size,
            ReadyPolicy::Measured => self.keep,
        }
    }

    /// Takes out workers that reached the idle timeout or exceed the number to keep.
    pub(crate) fn evict(&mut self, now: Instant) -> (Vec<IdleWorker<W>>, Retired) {
        match (self.params.keep, self.params.idle) {
            (ReadyPolicy::None, Some(idle)) => {
                let old = |worker: &mut IdleWorker<W>| now.duration_since(worker.since) >= idle;
                (self.ready.extract_if(.., old).collect(), Retired::Idle)
            }
            (ReadyPolicy::Measured, _) => {
                // The front holds those that were idle longest.
                let surplus = self.ready.len().saturating_sub(self.keep);
                (self.ready.drain(..surplus).collect(), Retired::Surplus)
            }
            _ => (Vec::new(), Retired::Surplus),
        }
    }

    /// Takes out all ready workers if the strategy keeps none.
    pub(crate) fn release_idle(&mut self, effects: &mut Effects<W>) -> usize {
        let released = self.ready.len();
        if released == 0 || !matches!(self.params.keep, ReadyPolicy::None) {
            return 0;
        }
        effects.also_drop(self.ready.drain(..), Retired::Surplus);
        released
    }

    /// Time of the background task's next run.
    pub(crate) fn next_run(&mut self) -> NextRun {
        let quiet = self.seen == self.admitted;
        self.seen = self.admitted;
        match (self.params.keep, self.params.idle) {
            (ReadyPolicy::None, Some(idle)) => {
                let first = self.ready.iter().map(|worker| worker.since).min();
                first.and_then(|since| since.checked_add(idle)).map_or(NextRun::Parked, NextRun::At)
            }
            _ if quiet && self.queue.len() == 0 => NextRun::Parked,
            _ => NextRun::Soon,
        }
    }
}

impl<W> Effects<W> {
    pub(crate) fn none() -> Self {
        Self { wake: None, wake_task: false, drained: false, rare: None }
    }

    pub(crate) fn also_wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.rare().wake.extend(wakers);
    }

    fn also_drop(&mut self, workers: impl IntoIterator<Item = IdleWorker<W>>, reason: Retired) {
        let rare = self.rare();
        rare.retired.extend(workers);
        rare.reason = reason;
    }

    fn rare(&mut self) -> &mut RareEffects<W> {
        self.rare.get_or_insert_with(|| {
            Box::new(RareEffects {
                wake: Vec::new(),
                retired: Vec::new(),
                reason: Retired::Surplus,
            })
        })
    }
}
