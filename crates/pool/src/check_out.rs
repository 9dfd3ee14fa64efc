//! Check-out of a worker, in the caller's own task.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::PoolError;
use crate::factory::{Factory, Retired};
use crate::lease::{Lease, Permit, PoolRef};
use crate::make::make;
use crate::pool::Pool;
use crate::state::{IdleWorker, Refusal};

/// Options of a check-out: the deadline, and the workers that the call's ancestors hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckoutOptions {
    deadline: Option<Instant>,
    held: usize,
}

impl CheckoutOptions {
    /// Options without a deadline, for a call whose ancestors hold no worker of the pool.
    #[must_use]
    pub const fn new() -> Self {
        Self { deadline: None, held: 0 }
    }

    /// Sets the deadline for the worker. A check-out that does not have to wait does not read the clock.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Declares that the call's ancestors hold `held` workers of the same pool, and keep them until this call ends.
    /// The pool then refuses a wait that can never end.
    #[must_use]
    pub const fn with_held_workers(mut self, held: usize) -> Self {
        self.held = held;
        self
    }
}

impl<F: Factory> Pool<F> {
    /// Waits for a permit and a worker, first come, first served.
    ///
    /// # Errors
    /// See [`PoolError`]. A refused or dropped check-out holds nothing of the pool.
    pub fn check_out(
        &self,
        options: CheckoutOptions,
    ) -> impl Future<Output = Result<Lease<'_, F>, PoolError<F::Error>>> + Send {
        check_out(PoolRef::Borrowed(self), options, |_| true)
    }

    /// Like [`Pool::check_out`], and rejects ready workers for which `fits` returns false. Rejected workers are
    /// retired as [`Retired::Stale`]; once no ready worker fits, a new one is made. A worker that was made for this
    /// call is not checked.
    ///
    /// # Errors
    /// See [`Pool::check_out`].
    pub fn check_out_if(
        &self,
        options: CheckoutOptions,
        fits: impl FnMut(&F::Worker) -> bool + Send,
    ) -> impl Future<Output = Result<Lease<'_, F>, PoolError<F::Error>>> + Send {
        check_out(PoolRef::Borrowed(self), options, fits)
    }

    /// Like [`Pool::check_out_if`], with a lease that keeps the pool alive and may move to another task.
    ///
    /// # Errors
    /// See [`Pool::check_out`].
    pub fn check_out_shared<P>(
        self: &Arc<Self>,
        options: CheckoutOptions,
        fits: P,
    ) -> impl Future<Output = Result<Lease<'static, F>, PoolError<F::Error>>> + Send + use<F, P>
    where
        P: FnMut(&F::Worker) -> bool + Send,
    {
        check_out(PoolRef::Shared(Arc::clone(self)), options, fits)
    }
}

/// A single function, without nested futures: at 50 ns a check-out, moving one future's state into another would
/// cost most.
async fn check_out<'p, F: Factory>(
    pool: PoolRef<'p, F>,
    options: CheckoutOptions,
    mut fits: impl FnMut(&F::Worker) -> bool + Send,
) -> Result<Lease<'p, F>, PoolError<F::Error>> {
    let mut permit = Permit::new(pool);
    let mut timer = pin!(None);
    let entered = std::future::poll_fn(|cx| {
        if let Poll::Ready(entered) = permit.poll_enter(options.held, cx) {
            return Poll::Ready(Some(entered));
        }
        // The timer is set only for callers that have to wait.
        match options.deadline {
            Some(deadline) => poll_timer(timer.as_mut(), deadline, cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await;
    let waited = permit.waited();
    let mut idle = match entered {
        Some(Ok(idle)) => idle,
        Some(Err(refusal)) => return Err(refused(refusal, options.held)),
        None => return Err(PoolError::TimedOut { waited, making: Duration::ZERO }),
    };
    while let Some(IdleWorker { worker, uses, .. }) = idle {
        if fits(&worker) {
            return Ok(Lease::new(permit, worker, uses, [waited, Duration::ZERO]));
        }
        drop(worker);
        permit.discard_worker(Retired::Stale);
        idle = permit.pool().gate.pop_ready();
        if idle.is_some() {
            permit.hold_worker();
        }
    }
    make_for(permit, options.deadline, waited).await
}

/// Makes a worker for a permit that came without one, until the deadline or the end of a drain's grace.
async fn make_for<F: Factory>(
    mut permit: Permit<'_, F>,
    deadline: Option<Instant>,
    waited: Duration,
) -> Result<Lease<'_, F>, PoolError<F::Error>> {
    let started = Instant::now();
    let made = {
        let pool = permit.pool();
        // Pinned separately. Passed by value, each future would be stored twice in the next one, in every call.
        let making = pin!(make(&pool.factory));
        let mut making = pin!(pool.interruption.race(making));
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, making.as_mut()).await.ok(),
            None => Some(making.await),
        }
    };
    let making = started.elapsed();
    let failure = match made {
        Some(None) => return Err(PoolError::Draining),
        Some(Some(Ok(worker))) => {
            permit.hold_worker();
            permit.pool().counters().created();
            return Ok(Lease::new(permit, worker, 0, [waited, making]));
        }
        Some(Some(Err(error))) => error.into(),
        None => PoolError::TimedOut { waited, making },
    };
    permit.pool().counters().failed();
    Err(failure)
}

fn refused<E>(refusal: Refusal, held: usize) -> PoolError<E> {
    match refusal {
        Refusal::Saturated { waiting } => PoolError::Saturated { waiting },
        Refusal::Draining => PoolError::Draining,
        Refusal::WouldDeadlock { workers } => PoolError::WouldDeadlock { held, workers },
    }
}

fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if timer.is_none() {
        timer.set(Some(sleep_until(deadline)));
    }
    timer.as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(cx))
}
