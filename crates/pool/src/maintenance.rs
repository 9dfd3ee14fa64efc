//! Background task of a pool: keeps workers ready and retires idle ones. Also applies the gate's effects outside
//! its lock, since these wake the task.
//!
//! The first call after a rest wakes the task; it refills at once and then runs every [`TICK`] while calls keep
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
use crate::make::{MakeError, make};
use crate::pool::Pool;
use crate::state::{Effects, IdleWorker, NextRun, RareEffects};

/// Interval of the task's runs while calls keep coming.
const TICK: Duration = Duration::from_millis(1);

/// Interval at which the task scales while a worker is being made.
const SCALE_INTERVAL: Duration = Duration::from_millis(20);

/// First and longest pause after a failure to make a worker.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// Runs the background task until the pool is drained or dropped.
async fn run<F: Factory>(pool: Weak<Pool<F>>, wake: Arc<Notify>) {
    let _running = RunningTask(Weak::clone(&pool));
    let mut backoff = Backoff::default();
    loop {
        // Between two runs, only the pool's users keep it alive.
        let Some(strong) = pool.upgrade() else { return };
        let next = strong.maintain(&mut backoff).await;
        drop(strong);
        let rest = async {
            match next {
                NextRun::Soon => tokio::time::sleep(TICK).await,
                NextRun::At(at) => drop(tokio::time::timeout_at(at, wake.notified()).await),
                NextRun::Parked | NextRun::Never => wake.notified().await,
            }
        };
        match (next, backoff.until) {
            (NextRun::Never, _) => return,
            // A run before `until` scales and retires, and makes no worker: calls do not hurry a failing
            // factory.
            (_, Some(until)) => drop(tokio::time::timeout_at(until, rest).await),
            (_, None) => rest.await,
        }
    }
}

/// Marks the pool as having a background task while it lives. The task may end early, with its runtime.
struct RunningTask<F: Factory>(Weak<Pool<F>>);

impl<F: Factory> Drop for RunningTask<F> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.is_maintained.store(false, Ordering::Release);
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
    pub fn release_idle(&self) -> usize {
        let (released, effects) = self.gate.release_idle();
        self.apply(effects);
        released
    }

    pub(crate) fn leave(&self, back: Option<IdleWorker<F::Worker>>) {
        self.apply(self.gate.leave(back));
    }

    /// Applies the gate's effects outside its lock.
    pub(crate) fn apply(&self, effects: Effects<F::Worker>) {
        let Effects { wake, wake_task, drained, rare } = effects;
        if wake_task {
            self.wake_task();
        }
        // Before foreign code: a worker or waker may panic, and the drain must still end.
        if drained {
            self.drained.notify_waiters();
        }
        if let Some(rare) = rare {
            self.apply_rare(*rare);
        }
        if let Some(waker) = wake {
            waker.wake();
        }
    }

    #[cold]
    fn apply_rare(&self, rare: RareEffects<F::Worker>) {
        let RareEffects { wake, retired, reason } = rare;
        self.counters().retired(reason, retired.len());
        // A waker that panics must not keep the other callers asleep, nor must the drop of a worker.
        let mut panic = None;
        for waker in wake {
            if let Err(one) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                panic = panic.or(Some(one));
            }
        }
        drop(retired);
        if let Some(panic) = panic.filter(|_| !std::thread::panicking()) {
            resume_unwind(panic);
        }
    }

    /// Wakes the background task, starting it first if it does not run.
    #[cold]
    fn wake_task(&self) {
        self.wake.notify_one();
        if self.is_maintained.swap(true, Ordering::AcqRel) {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let task = run(self.this.clone(), Arc::clone(&self.wake));
                drop(runtime.spawn(task));
            }
            // Outside a runtime the pool has no background task: callers make their own workers.
            Err(_) => {
                self.is_maintained.store(false, Ordering::Release);
                self.gate.park();
            }
        }
    }

    async fn maintain(&self, backoff: &mut Backoff) -> NextRun {
        let now = Instant::now();
        backoff.until = backoff.until.filter(|until| *until > now);
        let next_scaling = self.scale(now);
        let plan = self.gate.plan_maintenance(now, backoff.until.is_none());
        // Before any worker is dropped, which may panic: the reservation must be released in any case.
        let mut reserved = self.reserve(plan.make);
        self.counters().retired(plan.reason, plan.retired.len());
        drop(plan.retired);
        while reserved.is_open() {
            match self.while_alive(self.make_one(&mut reserved)).await {
                Some(Ok(())) => backoff.failures = 0,
                Some(Err(_)) => {
                    backoff.after_failure(Instant::now());
                    break;
                }
                None => return NextRun::Never,
            }
            // Making a worker may be pure computation, so other tasks get a turn in between.
            tokio::task::yield_now().await;
        }
        match (plan.next, next_scaling) {
            // At rest, but with workers left to release later. A call wakes the task earlier.
            (NextRun::Parked, Some(later)) => NextRun::At(now + later),
            (next, _) => next,
        }
    }

    /// Awaits a worker for as long as it takes, and scales meanwhile. Returns `None` once the pool is drained or
    /// dropped, so that a factory that hangs does not keep it alive.
    async fn while_alive<T>(&self, making: impl Future<Output = T>) -> Option<T> {
        let mut making = pin!(making);
        loop {
            if let Ok(made) = tokio::time::timeout(SCALE_INTERVAL, making.as_mut()).await {
                return Some(made);
            }
            // True if this task holds the last handle.
            let dropped = self.this.strong_count() <= 1;
            if dropped || !self.gate.is_open() {
                return None;
            }
            self.scale(Instant::now());
        }
    }

    /// Scales an adaptive pool. Returns the time until the next step if no call comes before.
    fn scale(&self, now: Instant) -> Option<Duration> {
        let scaler = self.scaler.as_ref()?;
        let demand = self.gate.demand();
        let scaling = scaler.step(now.duration_since(self.created_at), demand, self.reuse() > 1);
        self.gate.set_ready_target(scaling.keep);
        if let Some(workers) = scaling.workers {
            self.apply(self.gate.resize(workers));
        }
        scaling.next
    }

    pub(crate) fn reserve(&self, count: usize) -> Reservation<'_, F::Worker> {
        Reservation { gate: &self.gate, count }
    }

    /// Makes one reserved worker. The error is `None` after a timeout.
    pub(crate) async fn make_one(
        &self,
        reserved: &mut Reservation<'_, F::Worker>,
    ) -> Result<(), Option<MakeError<F::Error>>> {
        let made = tokio::time::timeout(self.config.make_timeout, make(&self.factory)).await;
        match made {
            Ok(Ok(worker)) => {
                self.counters().created();
                reserved.count -= 1;
                let idle = IdleWorker { worker, uses: 0, since: Instant::now() };
                self.apply(self.gate.add_made(idle));
                Ok(())
            }
            Ok(Err(error)) => {
                self.counters().failed();
                Err(Some(error))
            }
            Err(_) => {
                self.counters().failed();
                Err(None)
            }
        }
    }
}

/// Reservation of workers to make; dropping it cancels those that were not made.
pub(crate) struct Reservation<'g, W> {
    gate: &'g Gate<W>,
    count: usize,
}

impl<W> Reservation<'_, W> {
    pub(crate) fn is_open(&self) -> bool {
        self.count > 0
    }
}

impl<W> Drop for Reservation<'_, W> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.gate.cancel_reserved(self.count);
        }
    }
}
