//! Background task of a pool: keeps workers ready and retires idle ones. Also applies the gate's effects outside
//! its lock, since these wake the task.
//!
//! The first call after a rest wakes the task; it refills at once and then looks every [`TICK`] while calls keep
//! coming. A call therefore pays for the wake-up at most once per rest. A load that uses workers up faster than one
//! refill per tick has its callers make their own: ready workers serve latency, and under full load the cheapest
//! worker is one that its caller makes.

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

/// Interval of the task's looks while calls keep coming.
const TICK: Duration = Duration::from_millis(1);

/// Interval at which the task scales while a worker is being made.
const GLANCE: Duration = Duration::from_millis(20);

/// First and longest pause after a failure to make a worker.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// Runs the background task until the pool is drained or dropped.
async fn tend<F: Factory>(pool: Weak<Pool<F>>, bell: Arc<Notify>) {
    let _on_duty = OnDuty(Weak::clone(&pool));
    let mut backoff = Backoff::default();
    loop {
        // Between two looks, only the pool's users keep it alive.
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
            // The look before `until` scales and retires, and makes no worker: calls do not hurry a failing
            // factory.
            (_, Some(until)) => drop(tokio::time::timeout_at(until, rest).await),
            (_, None) => rest.await,
        }
    }
}

/// Marks the pool as having a background task while it lives. The task may end early, with its runtime.
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
    /// No worker is made before this time.
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

    /// Applies the gate's effects outside its lock.
    pub(crate) fn settle(&self, after: After<F::Worker>) {
        let After { wake, ring, emptied, rare } = after;
        if ring {
            self.ring();
        }
        // Before foreign code: a worker or waker may panic, and the drain must still end.
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
        // A waker that panics must not keep the other callers asleep, nor must the drop of a worker.
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

    /// Wakes the background task, starting it first if it does not run.
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
            // Outside a runtime the pool has no background task: callers make their own workers.
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
        // Before any worker is dropped, which may panic: the reservation must be released in any case.
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
            // Making a worker may be pure computation, so other tasks get a turn in between.
            tokio::task::yield_now().await;
        }
        match (chores.next, unsettled) {
            // At rest, but with workers left to release later. A call wakes the task earlier.
            (Next::Parked, Some(later)) => Next::At(now + later),
            (next, _) => next,
        }
    }

    /// Awaits a worker for as long as it takes, and scales meanwhile. Returns `None` once the pool is drained or
    /// dropped, so that a factory that hangs does not keep it alive.
    async fn while_wanted<T>(&self, making: impl Future<Output = T>) -> Option<T> {
        let mut making = pin!(making);
        loop {
            if let Ok(made) = tokio::time::timeout(GLANCE, making.as_mut()).await {
                return Some(made);
            }
            // True if this task holds the last handle.
            let dropped = self.me.strong_count() <= 1;
            if dropped || !self.gate.is_open() {
                return None;
            }
            self.adapt(Instant::now());
        }
    }

    /// Scales an adaptive pool. Returns the time of the next look if no call comes before.
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

    /// Makes one worker for the stock. The error is `None` after a timeout.
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

/// Reservation of workers to make; the gate is informed on drop if they were not made.
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
