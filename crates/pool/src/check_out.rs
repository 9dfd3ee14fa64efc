//! Check-out of a worker, in the caller's own task.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::factory::{Factory, Retired};
use crate::lease::{Claim, Home, Lease};
use crate::make::make;
use crate::pool::Pool;
use crate::refused::Refused;
use crate::state::{Denial, Idle};

/// Options of a check-out: the deadline, and the workers that the call's ancestors hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    deadline: Option<Instant>,
    held: usize,
}

impl Ask {
    /// Options without a deadline, for a call whose ancestors hold no worker of the pool.
    #[must_use]
    pub const fn new() -> Self {
        Self { deadline: None, held: 0 }
    }

    /// Sets the deadline for the worker. A check-out that does not have to wait does not read the clock.
    #[must_use]
    pub const fn by(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Declares that the call's ancestors hold `held` workers of the same pool, and keep them until this call ends.
    /// The pool then refuses a wait that can never end.
    #[must_use]
    pub const fn holding(mut self, held: usize) -> Self {
        self.held = held;
        self
    }
}

impl<F: Factory> Pool<F> {
    /// Waits for a permit and a worker, first come, first served.
    ///
    /// # Errors
    /// See [`Refused`]. A refused or dropped check-out holds nothing of the pool.
    pub fn check_out(
        &self,
        ask: Ask,
    ) -> impl Future<Output = Result<Lease<'_, F>, Refused<F::Error>>> + Send {
        check_out(Home::Borrowed(self), ask, |_| true)
    }

    /// Like [`Pool::check_out`], and rejects ready workers for which `fits` returns false. Rejected workers are
    /// retired as [`Retired::Stale`]; once no ready worker fits, a new one is made. A worker that was made for this
    /// call is not checked.
    ///
    /// # Errors
    /// See [`Pool::check_out`].
    pub fn check_out_if(
        &self,
        ask: Ask,
        fits: impl FnMut(&F::Worker) -> bool + Send,
    ) -> impl Future<Output = Result<Lease<'_, F>, Refused<F::Error>>> + Send {
        check_out(Home::Borrowed(self), ask, fits)
    }

    /// Like [`Pool::check_out_if`], with a lease that keeps the pool alive and may move to another task.
    ///
    /// # Errors
    /// See [`Pool::check_out`].
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
}

/// A single function, without nested futures: at 50 ns a check-out, moving one future's state into another would
/// cost most.
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
        // The timer is set only for callers that have to wait.
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

/// Makes the worker that a claim lacks, until the deadline or the end of a drain's grace.
async fn make_for<F: Factory>(
    mut claim: Claim<'_, F>,
    deadline: Option<Instant>,
    waited: Duration,
) -> Result<Lease<'_, F>, Refused<F::Error>> {
    let started = Instant::now();
    let made = {
        let pool = claim.pool();
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
