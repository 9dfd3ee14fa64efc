//! Permits, the line before them and the ready workers, as one state under one lock.
//!
//! One lock and not a semaphore beside a list of workers: every rule of the pool speaks of several of these
//! at once (who is next gets the worker that comes back; the buffer counts exactly who waits; a drain is
//! over when nobody runs *and* nobody waits), and a permit travels to the next in line together with its
//! worker, in one critical section of some tens of nanoseconds. Nothing foreign runs inside but the clone of
//! a waker: workers are dropped, and tasks woken, after the lock is gone. So whoever drives this by hand in
//! random order sees every interleaving there is, but for those of the lock itself; `tests/shuttle.rs`
//! explores those.
//!
//! It knows nothing of factories, tasks or clocks.

use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::factory::Retired;
use crate::queue::{Queue, Ticket};
use crate::stats::Tally;
use crate::strategy::{Keep, Rules};
use crate::sync::{Mutex, MutexGuard, PoisonError};

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

/// See [`Gate::demand`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    pub(crate) admitted: usize,
    pub(crate) busy: usize,
    pub(crate) peak: usize,
    pub(crate) queued: usize,
    pub(crate) workers: usize,
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
pub(crate) struct Gate<W> {
    state: Mutex<State<W>>,
    rules: Rules,
    buffer: usize,
    reuse: u32,
    pub(crate) tally: Tally,
}

#[derive(Debug)]
struct State<W> {
    ready: Vec<Idle<W>>,
    queue: Queue<Option<Idle<W>>>,
    /// Permits out, including granted ones that nobody has seen yet.
    busy: usize,
    /// Permits there are.
    workers: usize,
    /// Workers that the background task is at.
    making: usize,
    phase: Phase,
    /// The background task does not look by itself.
    parked: bool,
    /// Admissions when the background task looked last.
    seen: u64,
    /// Permits out at once, at most, since they were asked for last.
    peak: usize,
    /// Workers to keep ready, when that is learned.
    keep: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nobody comes in any more; those who wait are still served.
    Draining,
    /// Those who waited have been turned away.
    Closed,
}

impl<W> Gate<W> {
    pub(crate) fn new(rules: Rules, buffer: usize, reuse: u32) -> Self {
        let tally = Tally::default();
        tally.workers.set(rules.start);
        let state = State {
            ready: Vec::new(),
            queue: Queue::new(),
            busy: 0,
            workers: rules.start,
            making: 0,
            phase: Phase::Open,
            parked: true,
            seen: 0,
            peak: 0,
            keep: rules.start,
        };
        Self { state: Mutex::new(state), rules, buffer, reuse, tally }
    }

    /// Asks for a permit; `held` workers of this gate are blocked until the asker is served. Who has to
    /// wait is woken when there is an answer.
    pub(crate) fn enter(&self, held: usize, cx: &Context<'_>) -> (Entry<W>, After<W>) {
        let mut s = self.lock();
        let mut after = After::nothing();
        if s.phase != Phase::Open {
            return (Entry::Refused(Denial::Draining), after);
        }
        after.ring = self.ring_for_call(&mut s);
        let entry = if let Some(denial) = self.denial(&mut s, held, &mut after) {
            Entry::Refused(denial)
        } else if s.busy < s.workers {
            Entry::In(self.admit(&mut s))
        } else {
            Entry::Wait(s.queue.push(held, cx.waker().clone()))
        };
        self.publish(&s);
        (entry, after)
    }

    /// The answer to somebody who waits: a permit, or `None` when turned away. It uses the ticket up.
    pub(crate) fn poll(&self, ticket: &Ticket, cx: &Context<'_>) -> Poll<Option<Option<Idle<W>>>> {
        let mut s = self.lock();
        let answer = s.queue.poll(ticket, cx);
        if let Poll::Ready(Some(_)) = answer {
            self.tally.admitted.bump();
        }
        answer
    }

    /// Leaves the line; a permit that had been granted goes on to the next.
    pub(crate) fn give_up(&self, ticket: &Ticket) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        if let Some(back) = s.queue.remove(ticket) {
            self.release(&mut s, back, &mut after);
        }
        after.emptied = s.is_over();
        self.publish(&s);
        after
    }

    /// Gives a permit back, with the worker when it may serve again.
    pub(crate) fn leave(&self, back: Option<Idle<W>>) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        self.tally.finished.bump();
        self.release(&mut s, back, &mut after);
        after.emptied = s.is_over();
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
        let mut gone = Vec::new();
        if s.phase != Phase::Open {
            return Chores { gone, gone_for: Retired::Drained, make: 0, next: Next::Over };
        }
        if let (Keep::Nothing, Some(idle)) = (self.rules.keep, self.rules.idle) {
            gone.extend(s.ready.extract_if(.., |worker| now.duration_since(worker.since) >= idle));
        }
        let mut gone_for = Retired::Idle;
        if matches!(self.rules.keep, Keep::Learned) && s.ready.len() > s.keep {
            gone_for = Retired::Surplus;
            // Those at the front have been lying there for longest.
            let surplus = s.ready.len() - s.keep;
            gone.extend(s.ready.drain(..surplus));
        }
        let make = if may_make { self.shortfall(&s) } else { 0 };
        s.making += make;
        let next = self.next_look(&mut s, make);
        s.parked = next == Next::Parked;
        self.publish(&s);
        Chores { gone, gone_for, make, next }
    }

    /// What an adaptive pool decides by: calls let in since its background task looked last, calls at once
    /// since this was asked last, calls that wait.
    pub(crate) fn demand(&self) -> Demand {
        let mut s = self.lock();
        let admitted = self.tally.admitted.value().wrapping_sub(s.seen);
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
        self.lock().keep = keep.min(self.rules.max);
    }

    /// Sets how many may run at once. There are always more than are blocked by those who wait.
    pub(crate) fn resize(&self, workers: usize) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        let workers = workers.max(s.queue.held() + 1).clamp(1, self.rules.max);
        self.set_workers(&mut s, workers, &mut after);
        self.publish(&s);
        after
    }

    /// Hands in a worker that was made in the background; it comes back when it is too late for it.
    pub(crate) fn stock(&self, idle: Idle<W>) -> After<W> {
        let mut s = self.lock();
        let mut after = After::nothing();
        s.making = s.making.saturating_sub(1);
        self.store(&mut s, idle, &mut after);
        self.publish(&s);
        after
    }

    /// Counts the workers that are missing as being made, and tells how many they are.
    pub(crate) fn reserve(&self) -> usize {
        let mut s = self.lock();
        let missing = if s.phase == Phase::Open { self.shortfall(&s) } else { 0 };
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
        if for_all {
            s.phase = Phase::Closed;
            after.wake_also(s.queue.turn_away());
        } else if s.phase == Phase::Open {
            s.phase = Phase::Draining;
        }
        s.trim(&mut after);
        after.emptied = s.is_over();
        self.publish(&s);
        after
    }

    /// Whether a worker is let go for lying unused.
    pub(crate) fn minds_idleness(&self) -> bool {
        self.rules.idle.is_some()
    }

    /// Calls that run, and calls that wait.
    pub(crate) fn inside(&self) -> (usize, usize) {
        let s = self.lock();
        (s.busy, s.queue.len())
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // Nothing inside panics half-way through a change: a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why somebody who would have to wait must not. A pool that may grow grows instead.
    fn denial(&self, s: &mut State<W>, held: usize, after: &mut After<W>) -> Option<Denial> {
        if s.busy < s.workers {
            return None;
        }
        // Every worker belongs to somebody who cannot go on before one of those who wait is served.
        let stuck = held > 0 && s.queue.held() + held >= s.workers;
        if stuck && !self.grow(s, after) {
            return Some(Denial::WouldDeadlock { workers: s.workers });
        }
        let full = s.busy >= s.workers && s.queue.len() >= self.buffer;
        if full && !self.grow(s, after) {
            self.tally.saturated();
            return Some(Denial::Saturated { waiting: s.queue.len() });
        }
        None
    }

    fn admit(&self, s: &mut State<W>) -> Option<Idle<W>> {
        s.busy += 1;
        s.peak = s.peak.max(s.busy);
        self.tally.admitted.bump();
        s.ready.pop()
    }

    /// One permit more, if there may be; it goes to the first in line.
    fn grow(&self, s: &mut State<W>, after: &mut After<W>) -> bool {
        if s.workers >= self.rules.max {
            return false;
        }
        self.set_workers(s, s.workers + 1, after);
        true
    }

    fn set_workers(&self, s: &mut State<W>, workers: usize, after: &mut After<W>) {
        s.workers = workers;
        while s.busy < s.workers && s.queue.len() > 0 {
            s.busy += 1;
            s.peak = s.peak.max(s.busy);
            let ready = s.ready.pop();
            if let Ok(waker) = s.queue.grant(ready) {
                after.wake_also(waker);
            }
        }
    }

    fn release(&self, s: &mut State<W>, back: Option<Idle<W>>, after: &mut After<W>) {
        if s.busy <= s.workers && s.queue.len() > 0 {
            let back = back.or_else(|| s.ready.pop());
            if let Ok(waker) = s.queue.grant(back) {
                after.wake = waker;
            }
        } else {
            s.busy -= 1;
            if let Some(idle) = back {
                self.store(s, idle, after);
            }
        }
        s.trim(after);
    }

    fn store(&self, s: &mut State<W>, idle: Idle<W>, after: &mut After<W>) {
        let room = match self.rules.keep {
            Keep::Nothing => self.rules.max,
            Keep::Exactly(size) => size,
            Keep::Learned => s.keep,
        };
        if s.phase == Phase::Open && s.ready.len() >= room {
            after.drop_also([idle], Retired::Surplus);
            return;
        }
        s.ready.push(idle);
        s.trim(after);
        if s.parked && matches!(self.rules.keep, Keep::Nothing) && !s.ready.is_empty() {
            s.parked = false;
            after.ring = true;
        }
    }

    /// Whether a call is to ring for the background task: once, after it went to rest.
    fn ring_for_call(&self, s: &mut State<W>) -> bool {
        let ring = s.parked && !matches!(self.rules.keep, Keep::Nothing);
        s.parked &= !ring;
        ring
    }

    fn shortfall(&self, s: &State<W>) -> usize {
        let keep = match self.rules.keep {
            Keep::Nothing => 0,
            Keep::Exactly(size) => size,
            Keep::Learned => s.keep,
        };
        // Busy workers come back when they may serve again.
        let coming = s.making + if self.reuse > 1 { s.busy } else { 0 };
        keep.saturating_sub(s.ready.len() + coming)
    }

    fn next_look(&self, s: &mut State<W>, make: usize) -> Next {
        let admitted = self.tally.admitted.value();
        let quiet = s.seen == admitted;
        s.seen = admitted;
        match (self.rules.keep, self.rules.idle) {
            (Keep::Nothing, Some(idle)) => {
                let first = s.ready.iter().map(|worker| worker.since).min();
                first.and_then(|since| since.checked_add(idle)).map_or(Next::Parked, Next::At)
            }
            _ if quiet && make == 0 && s.queue.len() == 0 => Next::Parked,
            _ => Next::Soon,
        }
    }

    fn publish(&self, s: &State<W>) {
        self.tally.workers.set(s.workers);
        self.tally.busy.set(s.busy);
        self.tally.ready.set(s.ready.len());
        self.tally.queued.set(s.queue.len());
    }
}

impl<W> State<W> {
    /// While draining, no more workers are ready than calls wait.
    fn trim(&mut self, after: &mut After<W>) {
        if self.phase != Phase::Open && self.ready.len() > self.queue.len() {
            after.drop_also(self.ready.drain(self.queue.len()..), Retired::Drained);
        }
    }

    fn is_over(&self) -> bool {
        self.phase != Phase::Open && self.busy == 0 && self.queue.len() == 0
    }
}

impl<W> After<W> {
    fn nothing() -> Self {
        Self { wake: None, ring: false, emptied: false, rare: None }
    }

    fn wake_also(&mut self, wakers: impl IntoIterator<Item = Waker>) {
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
