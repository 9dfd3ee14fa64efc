//! The pool: check-out, in the caller's own task.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Config;
use crate::factory::{Factory, Retired};
use crate::gate::{After, Denial, Entry, Gate, Idle};
use crate::lease::{Home, Lease, Seat};
use crate::queue::Ticket;
use crate::refused::Refused;
use crate::stats::{Stats, Tally};
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
    /// Wakes the background task.
    pub(crate) bell: Arc<Notify>,
    /// Whether there is a background task.
    pub(crate) tended: AtomicBool,
    me: Weak<Self>,
    born: Instant,
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
            bell: Arc::new(Notify::new()),
            tended: AtomicBool::new(false),
            me: me.clone(),
            born: Instant::now(),
        })
    }

    /// Waits for a permit and a worker. Callers are served in order.
    ///
    /// # Errors
    /// See [`Refused`]. Whoever gets an error, or drops the future, holds nothing of the pool.
    pub async fn check_out(&self, ask: Ask) -> Result<Lease<'_, F>, Refused<F::Error>> {
        check_out(Home::Borrowed(self), ask, |_| true).await
    }

    /// As [`Pool::check_out`], turning ready workers down that `fits` does not like: they are retired as
    /// [`Retired::Stale`], and when none is left that fits, one is made. A worker that was made for this
    /// call is not asked about.
    ///
    /// # Errors
    /// As [`Pool::check_out`].
    pub async fn check_out_if(
        &self,
        ask: Ask,
        fits: impl FnMut(&F::Worker) -> bool + Send,
    ) -> Result<Lease<'_, F>, Refused<F::Error>> {
        check_out(Home::Borrowed(self), ask, fits).await
    }

    /// As [`Pool::check_out_if`], with a lease that keeps the pool alive and may go to another task.
    ///
    /// # Errors
    /// As [`Pool::check_out`].
    pub async fn check_out_shared(
        self: &Arc<Self>,
        ask: Ask,
        fits: impl FnMut(&F::Worker) -> bool + Send,
    ) -> Result<Lease<'static, F>, Refused<F::Error>> {
        check_out(Home::Shared(Arc::clone(self)), ask, fits).await
    }

    /// The numbers, read without the pool's lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.gate.tally.snapshot()
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
        if self.gate.minds_idleness() { Instant::now() } else { self.born }
    }

    pub(crate) fn leave(&self, back: Option<Idle<F::Worker>>) {
        self.settle(self.gate.leave(back));
    }

    /// Does what the gate left to be done outside its lock.
    pub(crate) fn settle(&self, after: After<F::Worker>) {
        let After { wake, wake_more, gone, gone_for, ring, emptied } = after;
        if let Some(waker) = wake {
            waker.wake();
        }
        for waker in wake_more {
            waker.wake();
        }
        if ring {
            self.ring();
        }
        if !gone.is_empty() {
            self.tally().retired(gone_for, gone.len());
            drop(gone);
        }
        if emptied {
            self.emptied.notify_waiters();
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

async fn check_out<'p, F: Factory>(
    home: Home<'p, F>,
    ask: Ask,
    mut fits: impl FnMut(&F::Worker) -> bool + Send,
) -> Result<Lease<'p, F>, Refused<F::Error>> {
    let (mut idle, mut seat, waited) = match enter(home, ask)? {
        Admission::In(idle, seat) => (idle, seat, Duration::ZERO),
        Admission::Wait(waiting) => wait(waiting, ask.deadline).await?,
    };
    while let Some(Idle { worker, uses, .. }) = idle {
        seat = seat.occupied();
        if fits(&worker) {
            return Ok(Lease::of(seat, worker, uses, [waited, Duration::ZERO]));
        }
        drop(worker);
        seat = seat.emptied(Retired::Stale);
        idle = seat.pool().gate.another();
    }
    let started = Instant::now();
    let made = by(ask.deadline, make(&seat.pool().factory)).await;
    let making = started.elapsed();
    let failure = match made {
        Some(Ok(worker)) => {
            seat.pool().tally().created();
            return Ok(Lease::of(seat.occupied(), worker, 0, [waited, making]));
        }
        Some(Err(Unmade::Failed(error))) => Refused::Factory(error),
        Some(Err(Unmade::Panicked(message))) => Refused::FactoryPanicked { message },
        None => Refused::TimedOut { waited, making },
    };
    seat.pool().tally().failed();
    Err(failure)
}

enum Admission<'p, F: Factory> {
    In(Option<Idle<F::Worker>>, Seat<'p, F>),
    Wait(Waiting<'p, F>),
}

fn enter<F: Factory>(home: Home<'_, F>, ask: Ask) -> Result<Admission<'_, F>, Refused<F::Error>> {
    let (entry, after) = home.gate.enter(ask.held);
    // What was granted is in safe hands before anything foreign runs.
    match entry {
        Entry::In(idle) => {
            let seat = Seat::of(home);
            seat.pool().settle(after);
            Ok(Admission::In(idle, seat))
        }
        Entry::Wait(ticket) => {
            let waiting = Waiting { home: Some(home), ticket };
            if let Some(home) = &waiting.home {
                home.settle(after);
            }
            Ok(Admission::Wait(waiting))
        }
        Entry::Refused(denial) => {
            home.settle(after);
            Err(match denial {
                Denial::Saturated { waiting } => Refused::Saturated { waiting },
                Denial::Draining => Refused::Draining,
                Denial::WouldDeadlock { workers } => {
                    Refused::WouldDeadlock { held: ask.held, workers }
                }
            })
        }
    }
}

type Seated<'p, F> = (Option<Idle<<F as Factory>::Worker>>, Seat<'p, F>, Duration);

async fn wait<F: Factory>(
    waiting: Waiting<'_, F>,
    deadline: Option<Instant>,
) -> Result<Seated<'_, F>, Refused<F::Error>> {
    let started = Instant::now();
    match by(deadline, waiting).await {
        Some(Some((idle, seat))) => {
            let waited = started.elapsed();
            seat.pool().tally().waited(waited);
            Ok((idle, seat, waited))
        }
        Some(None) => Err(Refused::Draining),
        None => Err(Refused::TimedOut { waited: started.elapsed(), making: Duration::ZERO }),
    }
}

/// A place in the line; given up on drop.
struct Waiting<'p, F: Factory> {
    /// `None` once the answer has been seen.
    home: Option<Home<'p, F>>,
    ticket: Ticket,
}

impl<'p, F: Factory> Future for Waiting<'p, F> {
    type Output = Option<(Option<Idle<F::Worker>>, Seat<'p, F>)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(home) = this.home.take() else { return Poll::Ready(None) };
        match home.gate.poll(&this.ticket, cx) {
            Poll::Pending => {
                this.home = Some(home);
                Poll::Pending
            }
            Poll::Ready(answer) => Poll::Ready(answer.map(|idle| (idle, Seat::of(home)))),
        }
    }
}

impl<F: Factory> Drop for Waiting<'_, F> {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.settle(home.gate.give_up(&self.ticket));
        }
    }
}

/// Why there is no new worker.
pub(crate) enum Unmade<E> {
    Failed(E),
    Panicked(String),
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

/// The future's output, or `None` when the deadline comes first.
async fn by<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}
