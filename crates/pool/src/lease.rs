//! A worker on loan, together with its permit.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::factory::{Factory, Fate, Retired};
use crate::interruption::Interruption;
use crate::pool::Pool;
use crate::queue::Ticket;
use crate::state::{Denial, Entry, Idle};

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
    claim: Claim<'p, F>,
}

impl<'p, F: Factory> Lease<'p, F> {
    pub(crate) fn of(
        claim: Claim<'p, F>,
        worker: F::Worker,
        uses: u32,
        [waited, making]: [Duration; 2],
    ) -> Self {
        Self { worker, uses, waited, making, claim }
    }

    /// The worker.
    #[must_use]
    pub fn worker(&mut self) -> &mut F::Worker {
        &mut self.worker
    }

    /// Splits the lease into worker and interruption, for `interruption.race(worker.work())`.
    #[must_use]
    pub fn split(&mut self) -> (&mut F::Worker, &Interruption) {
        (&mut self.worker, &self.claim.home.interruption)
    }

    /// The signal that asks the call to stop. Clone it to watch for the signal in another task.
    #[must_use]
    pub fn interruption(&self) -> &Interruption {
        &self.claim.home.interruption
    }

    /// Calls that the worker served before this one.
    #[must_use]
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// Time that the call waited for its permit. Zero, without a look at the clock, if it did not wait.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Time to make the worker for this call; zero if one was ready.
    #[must_use]
    pub fn making(&self) -> Duration {
        self.making
    }

    /// The same lease, made to keep its pool alive: it may go to another task. None, and the loan is over, when the
    /// pool is being dropped.
    #[must_use]
    pub fn into_shared(self) -> Option<Lease<'static, F>> {
        let Self { worker, uses, waited, making, claim } = self;
        let claim = claim.into_shared()?;
        Some(Lease { worker, uses, waited, making, claim })
    }

    /// Ends the loan. A worker that may not serve again is dropped here, before its permit passes to the next
    /// caller.
    pub fn give_back(self, fate: Fate) {
        let Self { worker, uses, mut claim, .. } = self;
        if let Some(started) = claim.started {
            claim.home.ended(started);
        }
        let uses = uses.saturating_add(1);
        let reason = match fate {
            Fate::Retire(reason) => reason,
            Fate::Reuse if uses >= claim.home.reuse() => Retired::Worn,
            Fate::Reuse => {
                let since = claim.home.now_for_idling();
                claim.vacate(Idle { worker, uses, since });
                return;
            }
        };
        claim.stage = Stage::Seated(reason);
        drop(worker);
        drop(claim);
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
pub(crate) enum Home<'p, F: Factory> {
    Borrowed(&'p Pool<F>),
    Shared(Arc<Pool<F>>),
}

impl<F: Factory> Deref for Home<'_, F> {
    type Target = Pool<F>;

    fn deref(&self) -> &Pool<F> {
        match self {
            Self::Borrowed(pool) => pool,
            Self::Shared(pool) => pool,
        }
    }
}

/// One caller's claim on a permit, from the first look at the gate until the permit is returned. Dropping the claim
/// frees everything that it holds.
pub(crate) struct Claim<'p, F: Factory> {
    home: Home<'p, F>,
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
    Inside,
    /// Holds a permit and a worker. The reason is the one to retire the worker for on drop.
    Seated(Retired),
}

impl<'p, F: Factory> Claim<'p, F> {
    pub(crate) fn of(home: Home<'p, F>) -> Self {
        Self { home, stage: Stage::Outside, waited: Duration::ZERO, started: None }
    }

    pub(crate) fn pool(&self) -> &Pool<F> {
        &self.home
    }

    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Enters the gate: requests a permit at the first poll and waits in the queue after that. Only a waiting
    /// caller reads the clock. A worker that comes with the permit belongs to the claim, as after [`Claim::seat`].
    pub(crate) fn poll_enter(
        &mut self,
        held: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Idle<F::Worker>>, Denial>> {
        let answer = match &self.stage {
            Stage::Outside => {
                let (entry, after) = self.home.gate.enter(held, cx);
                let (stage, answer) = match entry {
                    Entry::In(idle) => (Stage::Inside, Poll::Ready(Ok(idle))),
                    Entry::Wait(ticket) => (Stage::Queued(ticket, Instant::now()), Poll::Pending),
                    Entry::Refused(denial) => (Stage::Outside, Poll::Ready(Err(denial))),
                };
                // Stored before foreign code runs, so that a grant cannot be lost.
                self.stage = stage;
                self.home.settle(after);
                answer
            }
            Stage::Queued(ticket, since) => {
                self.waited = since.elapsed();
                match self.home.gate.poll(ticket, self.waited, cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(idle)) => {
                        self.stage = Stage::Inside;
                        Poll::Ready(Ok(idle))
                    }
                    Poll::Ready(None) => {
                        self.stage = Stage::Outside;
                        Poll::Ready(Err(Denial::Draining))
                    }
                }
            }
            Stage::Inside | Stage::Seated(_) => return Poll::Ready(Ok(None)),
        };
        if let Poll::Ready(Ok(idle)) = &answer {
            self.started = self.home.started();
            if idle.is_some() {
                self.seat();
            }
        }
        answer
    }

    /// Records that the claim holds a worker.
    pub(crate) fn seat(&mut self) {
        self.stage = Stage::Seated(Retired::Cancelled);
    }

    /// Records that the worker was retired; the claim may get another one.
    pub(crate) fn unseat(&mut self, reason: Retired) {
        self.home.tally().retired(reason, 1);
        self.stage = Stage::Inside;
    }

    fn into_shared(mut self) -> Option<Claim<'static, F>> {
        let home = Home::Shared(self.home.me.upgrade()?);
        // What is left here has nothing to give back.
        let stage = std::mem::replace(&mut self.stage, Stage::Outside);
        Some(Claim { home, stage, waited: self.waited, started: self.started.take() })
    }

    fn vacate(mut self, idle: Idle<F::Worker>) {
        self.stage = Stage::Outside;
        self.home.leave(Some(idle));
    }
}

impl<F: Factory> Drop for Claim<'_, F> {
    fn drop(&mut self) {
        match &self.stage {
            Stage::Outside => {}
            Stage::Queued(ticket, _) => {
                let (after, waker) = self.home.gate.give_up(ticket);
                self.home.settle(after);
                drop(waker);
            }
            Stage::Inside => self.home.leave(None),
            Stage::Seated(reason) => {
                let unwinding = *reason == Retired::Cancelled && std::thread::panicking();
                self.home.tally().retired(if unwinding { Retired::Panicked } else { *reason }, 1);
                self.home.leave(None);
            }
        }
    }
}
