//! A worker on loan, together with its permit.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::factory::{Disposition, Factory, Retired};
use crate::interruption::Interruption;
use crate::pool::Pool;
use crate::queue::Ticket;
use crate::state::{Admission, IdleWorker, Refusal};

/// A worker on loan to one call. Dereferences to the worker.
///
/// Return it with [`Lease::give_back`]. A lease that is dropped instead, because its call was cancelled or
/// panicked, retires its worker and frees its permit.
pub struct Lease<'p, F: Factory> {
    // Field order is drop order: the worker must go before its permit, which bounds the number of workers.
    worker: F::Worker,
    uses: u32,
    waited: Duration,
    making: Duration,
    permit: Permit<'p, F>,
}

impl<'p, F: Factory> Lease<'p, F> {
    pub(crate) fn new(
        permit: Permit<'p, F>,
        worker: F::Worker,
        uses: u32,
        [waited, making]: [Duration; 2],
    ) -> Self {
        Self { worker, uses, waited, making, permit }
    }

    /// The worker.
    #[must_use]
    pub fn worker(&mut self) -> &mut F::Worker {
        &mut self.worker
    }

    /// Splits the lease into worker and interruption, for `interruption.race(worker.work())`.
    #[must_use]
    pub fn split(&mut self) -> (&mut F::Worker, &Interruption) {
        (&mut self.worker, &self.permit.pool.interruption)
    }

    /// The signal that asks the call to stop. Clone it to watch for the signal in another task.
    #[must_use]
    pub fn interruption(&self) -> &Interruption {
        &self.permit.pool.interruption
    }

    /// Calls that the worker served before this one.
    #[must_use]
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// Time that the call waited for its permit. Zero, without reading the clock, if it did not wait.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Time to make the worker for this call; zero if one was ready.
    #[must_use]
    pub fn making(&self) -> Duration {
        self.making
    }

    /// Converts this into a lease that keeps its pool alive and may move to another task. Returns `None` and ends the
    /// loan if the pool is being dropped.
    #[must_use]
    pub fn into_shared(self) -> Option<Lease<'static, F>> {
        let Self { worker, uses, waited, making, permit } = self;
        let permit = permit.into_shared()?;
        Some(Lease { worker, uses, waited, making, permit })
    }

    /// Ends the loan. A worker that may not serve again is dropped here, before its permit passes to the next
    /// caller.
    pub fn give_back(self, disposition: Disposition) {
        let Self { worker, uses, mut permit, .. } = self;
        if let Some(started) = permit.started {
            permit.pool.ended(started);
        }
        let uses = uses.saturating_add(1);
        let reason = match disposition {
            Disposition::Retire(reason) => reason,
            Disposition::Reuse if uses >= permit.pool.reuse() => Retired::Worn,
            Disposition::Reuse => {
                let since = permit.pool.idle_since();
                permit.return_worker(IdleWorker { worker, uses, since });
                return;
            }
        };
        permit.stage = Stage::WithWorker(reason);
        drop(worker);
        drop(permit);
    }
}

impl<F: Factory> Deref for Lease<'_, F> {
    type Target = F::Worker;

    fn deref(&self) -> &F::Worker {
        &self.worker
    }
}

impl<F: Factory> DerefMut for Lease<'_, F> {
    fn deref_mut(&mut self) -> &mut F::Worker {
        &mut self.worker
    }
}

impl<F: Factory> fmt::Debug for Lease<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("uses", &self.uses)
            .field("waited", &self.waited)
            .field("making", &self.making)
            .finish_non_exhaustive()
    }
}

/// The pool a lease belongs to, borrowed or shared.
pub(crate) enum PoolRef<'p, F: Factory> {
    Borrowed(&'p Pool<F>),
    Shared(Arc<Pool<F>>),
}

impl<F: Factory> Deref for PoolRef<'_, F> {
    type Target = Pool<F>;

    fn deref(&self) -> &Pool<F> {
        match self {
            Self::Borrowed(pool) => pool,
            Self::Shared(pool) => pool,
        }
    }
}

/// Permit of one caller, from the request for it until its return. Dropping it frees everything that it holds: its
/// place in the queue, the permit, and the worker.
pub(crate) struct Permit<'p, F: Factory> {
    pool: PoolRef<'p, F>,
    stage: Stage,
    /// Time spent waiting for the permit.
    waited: Duration,
    /// Start of the call and the number of calls that ran at that moment, for adaptive pools.
    started: Option<(Instant, usize)>,
}

enum Stage {
    /// Not admitted yet, or already left.
    Outside,
    /// Waiting in the queue since the given time.
    Queued(Ticket, Instant),
    /// Holds a permit.
    Admitted,
    /// Holds a permit and a worker. The reason is the one to retire the worker for on drop.
    WithWorker(Retired),
}

impl<'p, F: Factory> Permit<'p, F> {
    pub(crate) fn new(pool: PoolRef<'p, F>) -> Self {
        Self { pool, stage: Stage::Outside, waited: Duration::ZERO, started: None }
    }

    pub(crate) fn pool(&self) -> &Pool<F> {
        &self.pool
    }

    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Requests a permit at the first poll and waits in the queue after that. Only a waiting caller reads the clock.
    /// A worker that comes with the permit is held by it, as after [`Permit::hold_worker`].
    pub(crate) fn poll_enter(
        &mut self,
        held: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<IdleWorker<F::Worker>>, Refusal>> {
        let answer = match &self.stage {
            Stage::Outside => {
                let (admission, effects) = self.pool.gate.enter(held, cx);
                let (stage, answer) = match admission {
                    Admission::Admitted(idle) => (Stage::Admitted, Poll::Ready(Ok(idle))),
                    Admission::Queued(ticket) => {
                        (Stage::Queued(ticket, Instant::now()), Poll::Pending)
                    }
                    Admission::Refused(refusal) => (Stage::Outside, Poll::Ready(Err(refusal))),
                };
                // Stored before foreign code runs, so that a grant cannot be lost.
                self.stage = stage;
                self.pool.apply(effects);
                answer
            }
            Stage::Queued(ticket, since) => {
                self.waited = since.elapsed();
                match self.pool.gate.poll(ticket, self.waited, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(idle)) => {
                        self.stage = Stage::Admitted;
                        Poll::Ready(Ok(idle))
                    }
                    Poll::Ready(None) => {
                        self.stage = Stage::Outside;
                        Poll::Ready(Err(Refusal::Draining))
                    }
                }
            }
            Stage::Admitted | Stage::WithWorker(_) => return Poll::Ready(Ok(None)),
        };
        if let Poll::Ready(Ok(idle)) = &answer {
            self.started = self.pool.started();
            if idle.is_some() {
                self.hold_worker();
            }
        }
        answer
    }

    /// Records that the permit holds a worker.
    pub(crate) fn hold_worker(&mut self) {
        self.stage = Stage::WithWorker(Retired::Cancelled);
    }

    /// Records that the worker was retired; the permit may get another one.
    pub(crate) fn discard_worker(&mut self, reason: Retired) {
        self.pool.counters().retired(reason, 1);
        self.stage = Stage::Admitted;
    }

    fn into_shared(mut self) -> Option<Permit<'static, F>> {
        let pool = PoolRef::Shared(self.pool.this.upgrade()?);
        // What is left here has nothing to give back.
        let stage = std::mem::replace(&mut self.stage, Stage::Outside);
        Some(Permit { pool, stage, waited: self.waited, started: self.started.take() })
    }

    fn return_worker(mut self, idle: IdleWorker<F::Worker>) {
        self.stage = Stage::Outside;
        self.pool.leave(Some(idle));
    }
}

impl<F: Factory> Drop for Permit<'_, F> {
    fn drop(&mut self) {
        match &self.stage {
            Stage::Outside => {}
            Stage::Queued(ticket, _) => {
                let (effects, waker) = self.pool.gate.cancel(ticket);
                self.pool.apply(effects);
                drop(waker);
            }
            Stage::Admitted => self.pool.leave(None),
            Stage::WithWorker(reason) => {
                let unwinding = *reason == Retired::Cancelled && std::thread::panicking();
                self.pool
                    .counters()
                    .retired(if unwinding { Retired::Panicked } else { *reason }, 1);
                self.pool.leave(None);
            }
        }
    }
}
