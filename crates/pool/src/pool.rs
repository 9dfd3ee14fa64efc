//! The pool: check-out, in the caller's own task.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Config;
use crate::factory::{Factory, Retired};
use crate::gate::Gate;
use crate::interruption::Interruption;
use crate::lease::{Claim, Home, Lease};
use crate::refused::Refused;
use crate::state::{After, Denial, Idle, Rare};
use crate::stats::{Stats, Tally};
use crate::strategy::Strategy;
use crate::strategy::adaptive::{Adaptation, Decision};
use crate::upkeep;

/// What a call asks a pool for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    deadline: Option<Instant>,
    held: usize,
}

impl Ask {
    /// A worker, whenever there is one.
    #[must_use]
    pub const fn new() -> Self {
        Self { deadline: None, held: 0 }
    }

    /// Not after `deadline`. A worker that is there at once is given without a look at the clock.
    #[must_use]
    pub const fn by(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// For a call whose ancestors hold `held` workers of this very pool and will not give them back
    /// before it is served.
    #[must_use]
    pub const fn holding(mut self, held: usize) -> Self {
        self.held = held;
        self
    }
}

/// A pool of workers; see the [crate's page](crate).
pub struct Pool<F: Factory> {
    pub(crate) factory: F,
    pub(crate) gate: Gate<F::Worker>,
    pub(crate) config: Config,
    /// Rung when a drain has come to its end.
    pub(crate) emptied: Notify,
    /// Tells calls that outlast a drain to stop.
    pub(crate) interruption: Interruption,
    /// Wakes the background task.
    pub(crate) bell: Arc<Notify>,
    /// Whether there is a background task.
    pub(crate) tended: AtomicBool,
    /// What an adaptive pool learns and decides.
    pub(crate) adaptation: Option<Box<Adaptation>>,
    pub(crate) me: Weak<Self>,
    pub(crate) born: Instant,
}

impl<F: Factory> Pool<F> {
    /// A pool of the workers that `factory` makes. Nothing is made yet, and no task is started.
    #[must_use]
    pub fn new(factory: F, config: Config) -> Arc<Self> {
        let reuse = config.reuse.get();
        Arc::new_cyclic(|me| Self {
            factory,
            gate: Gate::new(config.strategy.rules(), config.buffer, reuse),
            config,
            emptied: Notify::new(),
            interruption: Interruption::default(),
            bell: Arc::new(Notify::new()),
            tended: AtomicBool::new(false),
            adaptation: match config.strategy {
                Strategy::Adaptive(adaptive) => Some(Box::new(Adaptation::new(adaptive))),
                _ => None,
            },
            me: me.clone(),
            born: Instant::now(),
        })
    }

    /// Waits for a permit and a worker. Callers are served in order.
    ///
    /// # Errors
    /// See [`Refused`]. Whoever gets an error, or drops the future, holds nothing of the pool.
    pub fn check_out(
        &self,
        ask: Ask,
    ) -> impl Future<Output = Result<Lease<'_, F>, Refused<F::Error>>> + Send {
        check_out(Home::Borrowed(self), ask, |_| true)
    }

    /// As [`Pool::check_out`], turning ready workers down that `fits` does not like: they are retired as
    /// [`Retired::Stale`], and when none is left that fits, one is made. A worker that was made for this
    /// call is not asked about.
    ///
    /// # Errors
    /// As [`Pool::check_out`].
    pub fn check_out_if(
        &self,
        ask: Ask,
        fits: impl FnMut(&F::Worker) -> bool + Send,
    ) -> impl Future<Output = Result<Lease<'_, F>, Refused<F::Error>>> + Send {
        check_out(Home::Borrowed(self), ask, fits)
    }

    /// As [`Pool::check_out_if`], with a lease that keeps the pool alive and may go to another task.
    ///
    /// # Errors
    /// As [`Pool::check_out`].
    pub fn check_out_shared<P>(
        self: &Arc<Self>,
        ask: Ask,
        fits: P,
    ) -> impl Future<Output = Result<Lease<'static, F>, Refused<F::Error>>> + Send + use<F, P>
    where
        P: FnMut(&F::Worker) -> bool + Send,
    {
        check_out(Home::Shared(Arc::clone(self)), ask, fits)
    }

    /// The numbers, read without the pool's lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.gate.tally.snapshot()
    }

    /// Whether a caller would be let in or could wait now, read without the pool's lock: a check and no promise. A
    /// refusal counts as one of [`Stats::saturated`].
    ///
    /// # Errors
    /// How many wait when the buffer is full.
    pub fn admits(&self) -> Result<(), usize> {
        self.gate.admits()
    }

    /// Drops the ready workers of a pool that keeps none at rest, such as those that
    /// [`Lazy`](crate::strategy::Lazy) leaves for the next calls. Returns their number.
    pub fn shed(&self) -> usize {
        let (shed, after) = self.gate.shed();
        self.settle(after);
        shed
    }

    /// Why an adaptive pool has as many workers as it has: its last decisions, oldest first. Empty for
    /// other strategies.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        self.adaptation.as_ref().map_or_else(Vec::new, |adaptation| adaptation.decisions())
    }

    /// What makes its workers.
    #[must_use]
    pub fn factory(&self) -> &F {
        &self.factory
    }

    /// How it was set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.gate.tally
    }

    pub(crate) fn reuse(&self) -> u32 {
        self.config.reuse.get()
    }

    /// The time to stamp an idle worker with. Only pools that let workers go for idleness read the clock.
    pub(crate) fn now_for_idling(&self) -> Instant {
        if self.gate.minds_idleness { Instant::now() } else { self.born }
    }

    /// When a call starts, and how many then run at once; only adaptive pools want to know.
    pub(crate) fn started(&self) -> Option<(Instant, usize)> {
        self.adaptation.as_ref()?;
        Some((Instant::now(), self.busy()))
    }

    /// A call that was [`Pool::started`] has ended.
    pub(crate) fn ended(&self, (since, at_start): (Instant, usize)) {
        if let Some(adaptation) = &self.adaptation {
            adaptation.meter.record(since.elapsed(), at_start, self.busy());
        }
    }

    fn busy(&self) -> usize {
        usize::try_from(self.tally().busy.value()).unwrap_or(usize::MAX)
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
                let task = upkeep::tend(self.me.clone(), Arc::clone(&self.bell));
                drop(runtime.spawn(task));
            }
            // Outside a runtime the pool works without: callers make their own workers.
            Err(_) => {
                self.tended.store(false, Ordering::Release);
                self.gate.park();
            }
        }
    }
}

impl<F: Factory> Drop for Pool<F> {
    fn drop(&mut self) {
        self.bell.notify_one();
    }
}

impl<F: Factory> fmt::Debug for Pool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// One body and no futures within futures: on the way that takes 50 ns, moving a state from one to the next
/// is what would cost most.
async fn check_out<'p, F: Factory>(
    home: Home<'p, F>,
    ask: Ask,
    mut fits: impl FnMut(&F::Worker) -> bool + Send,
) -> Result<Lease<'p, F>, Refused<F::Error>> {
    let mut claim = Claim::of(home);
    let mut alarm = pin!(None);
    let entered = std::future::poll_fn(|cx| {
        if let Poll::Ready(entered) = claim.poll_enter(ask.held, cx) {
            return Poll::Ready(Some(entered));
        }
        // Only who has to wait sets an alarm.
        match ask.deadline {
            Some(deadline) => poll_alarm(alarm.as_mut(), deadline, cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await;
    let waited = claim.waited();
    let mut idle = match entered {
        Some(Ok(idle)) => idle,
        Some(Err(denial)) => return Err(refusal(denial, ask.held)),
        None => return Err(Refused::TimedOut { waited, making: Duration::ZERO }),
    };
    while let Some(Idle { worker, uses, .. }) = idle {
        if fits(&worker) {
            return Ok(Lease::of(claim, worker, uses, [waited, Duration::ZERO]));
        }
        drop(worker);
        claim.unseat(Retired::Stale);
        idle = claim.pool().gate.another();
        if idle.is_some() {
            claim.seat();
        }
    }
    make_for(claim, ask.deadline, waited).await
}

/// Makes the worker that a claim lacks. The end of a drain's grace ends that, too.
async fn make_for<F: Factory>(
    mut claim: Claim<'_, F>,
    deadline: Option<Instant>,
    waited: Duration,
) -> Result<Lease<'_, F>, Refused<F::Error>> {
    let started = Instant::now();
    let made = {
        let pool = claim.pool();
        // Pinned one by one: by value each would be in the next twice, and all of them in every call's future.
        let making = pin!(make(&pool.factory));
        let mut making = pin!(pool.interruption.race(making));
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, making.as_mut()).await.ok(),
            None => Some(making.await),
        }
    };
    let making = started.elapsed();
    let failure = match made {
        Some(None) => return Err(Refused::Draining),
        Some(Some(Ok(worker))) => {
            claim.seat();
            claim.pool().tally().created();
            return Ok(Lease::of(claim, worker, 0, [waited, making]));
        }
        Some(Some(Err(unmade))) => unmade.into(),
        None => Refused::TimedOut { waited, making },
    };
    claim.pool().tally().failed();
    Err(failure)
}

fn refusal<E>(denial: Denial, held: usize) -> Refused<E> {
    match denial {
        Denial::Saturated { waiting } => Refused::Saturated { waiting },
        Denial::Draining => Refused::Draining,
        Denial::WouldDeadlock { workers } => Refused::WouldDeadlock { held, workers },
    }
}

fn poll_alarm(
    mut alarm: Pin<&mut Option<Sleep>>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if alarm.is_none() {
        alarm.set(Some(sleep_until(deadline)));
    }
    alarm.as_pin_mut().map_or(Poll::Pending, |alarm| alarm.poll(cx))
}

/// Why there is no new worker.
pub(crate) enum Unmade<E> {
    Failed(E),
    Panicked(String),
}

impl<E> From<Unmade<E>> for Refused<E> {
    fn from(unmade: Unmade<E>) -> Self {
        match unmade {
            Unmade::Failed(error) => Self::Factory(error),
            Unmade::Panicked(message) => Self::FactoryPanicked { message },
        }
    }
}

/// Makes a worker; a panic of the factory ends here.
pub(crate) async fn make<F: Factory>(factory: &F) -> Result<F::Worker, Unmade<F::Error>> {
    let mut making = pin!(async { factory.make().await });
    std::future::poll_fn(|cx| {
        // The future is dropped after a panic and never polled again, so nothing half-done is seen.
        match catch_unwind(AssertUnwindSafe(|| making.as_mut().poll(cx))) {
            Ok(made) => made.map_err(Unmade::Failed),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Poll::Ready(Err(Unmade::Panicked(text.unwrap_or_else(|| "no message".to_owned()))))
            }
        }
    })
    .await
}
