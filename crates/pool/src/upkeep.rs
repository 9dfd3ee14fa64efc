//! The background task of a pool: keeps ready workers ready and lets idle ones go. Also what the gate leaves to be
//! done outside its lock, since that wakes the task.
//!
//! Woken by the first call after a rest, it refills at once and then looks every [`TICK`] while calls keep
//! coming. So a call pays for waking it at most once per rest, and a load that uses ready workers up faster
//! than one refill per tick has its callers make their own, in their own tasks: ready workers are there for
//! latency, and under full load nothing is cheaper than making one where it is used.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::factory::Factory;
use crate::gate::Gate;
use crate::make::{Unmade, make};
use crate::pool::Pool;
use crate::state::{After, Idle, Next, Rare};

/// How often the task looks while calls keep coming.
const TICK: Duration = Duration::from_millis(1);

/// How often it looks up from a worker that takes its time to be made.
const GLANCE: Duration = Duration::from_millis(20);

/// The first and the longest pause after a worker could not be made.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// Serves the pool until it is drained or gone.
async fn tend<F: Factory>(pool: Weak<Pool<F>>, bell: Arc<Notify>) {
    let _on_duty = OnDuty(Weak::clone(&pool));
    let mut backoff = Backoff::default();
    loop {
        // Between two looks the pool belongs to its users alone.
        let Some(strong) = pool.upgrade() else { return };
        let next = strong.look(&mut backoff).await;
        drop(strong);
        let rest = async {
            match next {
                Next::Soon => tokio::time::sleep(TICK).await,
                Next::At(at) => drop(tokio::time::timeout_at(at, bell.notified()).await),
                Next::Parked | Next::Over => bell.notified().await,
            }
        };
        match (next, backoff.until) {
            (Next::Over, _) => return,
            // A look before that scales and weeds, and makes nothing: calls do not hurry a broken factory.
            (_, Some(until)) => drop(tokio::time::timeout_at(until, rest).await),
            (_, None) => rest.await,
        }
    }
}

/// While it lives, the pool knows that it has a background task. The task may end early, with its runtime.
struct OnDuty<F: Factory>(Weak<Pool<F>>);

impl<F: Factory> Drop for OnDuty<F> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.tended.store(false, Ordering::Release);
            pool.gate.park();
        }
    }
}

#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    /// Nothing is made before.
    until: Option<Instant>,
}

impl Backoff {
    fn after_failure(&mut self, now: Instant) {
        let (first, longest) = BACKOFF;
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.until = now.checked_add(pause);
    }
}

impl<F: Factory> Pool<F> {
    /// Drops the ready workers of a pool that keeps none at rest, such as those that
    /// [`Lazy`](crate::strategy::Lazy) leaves for the next calls. Returns their number.
    pub fn shed(&self) -> usize {
        let (shed, after) = self.gate.shed();
        self.settle(after);
        shed
    }

    pub(crate) fn leave(&self, back: Option<Idle<F::Worker>>) {
        self.settle(self.gate.leave(back));
    }

    /// Does what the gate left to be done outside its lock.
    pub(crate) fn settle(&self, after: After<F::Worker>) {
        let After { wake, ring, emptied, rare } = after;
        if ring {
            self.ring();
        }
        // Before what is foreign: a worker or a waker may panic, and a drain still ends.
        if emptied {
            self.emptied.notify_waiters();
        }
        if let Some(rare) = rare {
            self.settle_rare(*rare);
        }
        if let Some(waker) = wake {
            waker.wake();
        }
    }

    #[cold]
    fn settle_rare(&self, rare: Rare<F::Worker>) {
        let Rare { wake, gone, gone_for } = rare;
        self.tally().retired(gone_for, gone.len());
        // One that panics must not keep the others asleep, nor a worker's drop the callers.
        let mut panic = None;
        for waker in wake {
            if let Err(one) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                panic = panic.or(Some(one));
            }
        }
        drop(gone);
        if let Some(panic) = panic.filter(|_| !std::thread::panicking()) {
            resume_unwind(panic);
        }
    }

    /// Wakes the background task, and starts it if there is none.
    #[cold]
    fn ring(&self) {
        self.bell.notify_one();
        if self.tended.swap(true, Ordering::AcqRel) {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let task = tend(self.me.clone(), Arc::clone(&self.bell));
                drop(runtime.spawn(task));
            }
            // Outside a runtime the pool works without: callers make their own workers.
            Err(_) => {
                self.tended.store(false, Ordering::Release);
                self.gate.park();
            }
        }
    }

    async fn look(&self, backoff: &mut Backoff) -> Next {
        let now = Instant::now();
        backoff.until = backoff.until.filter(|until| *until > now);
        let unsettled = self.adapt(now);
        let chores = self.gate.chores(now, backoff.until.is_none());
        // Before any worker is dropped, which may panic: what is not made is to be taken off again.
        let mut reserved = self.reserve(chores.make);
        self.tally().retired(chores.gone_for, chores.gone.len());
        drop(chores.gone);
        while reserved.any() {
            match self.while_wanted(self.make_one(&mut reserved)).await {
                Some(Ok(())) => backoff.failures = 0,
                Some(Err(_)) => {
                    backoff.after_failure(Instant::now());
                    break;
                }
                None => return Next::Over,
            }
            // Making may well be pure computing: others get their turn in between.
            tokio::task::yield_now().await;
        }
        match (chores.next, unsettled) {
            // At rest, but with something left to give up later; a call rings before.
            (Next::Parked, Some(later)) => Next::At(now + later),
            (next, _) => next,
        }
    }

    /// Makes a worker, however long that takes, and goes on scaling meanwhile. `None` when nobody wants it
    /// any more: a maker that hangs does not keep a pool that was drained or dropped.
    async fn while_wanted<T>(&self, making: impl Future<Output = T>) -> Option<T> {
        let mut making = pin!(making);
        loop {
            if let Ok(made) = tokio::time::timeout(GLANCE, making.as_mut()).await {
                return Some(made);
            }
            // This task holds the one handle that is left.
            let dropped = self.me.strong_count() <= 1;
            if dropped || !self.gate.is_open() {
                return None;
            }
            self.adapt(Instant::now());
        }
    }

    /// Scales, when the pool is adaptive. Tells when to look again though no call comes.
    fn adapt(&self, now: Instant) -> Option<Duration> {
        let adaptation = self.adaptation.as_ref()?;
        let demand = self.gate.demand();
        let verdict = adaptation.look(now.duration_since(self.born), demand, self.reuse() > 1);
        self.gate.keep(verdict.keep);
        if let Some(workers) = verdict.workers {
            self.settle(self.gate.resize(workers));
        }
        verdict.again
    }

    pub(crate) fn reserve(&self, count: usize) -> Reserved<'_, F::Worker> {
        Reserved { gate: &self.gate, count }
    }

    /// Makes one worker for the stock. The error is `None` when it took too long.
    pub(crate) async fn make_one(
        &self,
        reserved: &mut Reserved<'_, F::Worker>,
    ) -> Result<(), Option<Unmade<F::Error>>> {
        let made = tokio::time::timeout(self.config.make_timeout, make(&self.factory)).await;
        match made {
            Ok(Ok(worker)) => {
                self.tally().created();
                reserved.count -= 1;
                let idle = Idle { worker, uses: 0, since: Instant::now() };
                self.settle(self.gate.stock(idle));
                Ok(())
            }
            Ok(Err(unmade)) => {
                self.tally().failed();
                Err(Some(unmade))
            }
            Err(_) => {
                self.tally().failed();
                Err(None)
            }
        }
    }
}

/// Workers that the gate counts as being made; it is told when they will not be.
pub(crate) struct Reserved<'g, W> {
    gate: &'g Gate<W>,
    count: usize,
}

impl<W> Reserved<'_, W> {
    pub(crate) fn any(&self) -> bool {
        self.count > 0
    }
}

impl<W> Drop for Reserved<'_, W> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.gate.not_made(self.count);
        }
    }
}
