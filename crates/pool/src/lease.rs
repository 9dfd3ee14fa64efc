//! A worker on loan, and the permit that goes with it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::factory::{Factory, Fate, Retired};
use crate::gate::Idle;
use crate::pool::Pool;

/// A worker on loan to one call. It dereferences to the worker.
///
/// Give it back with [`Lease::give_back`]. A lease that is dropped instead, because its call was cancelled
/// or panicked, retires its worker and frees its permit.
pub struct Lease<'p, F: Factory> {
    // The order matters when a lease is dropped: the worker goes before the permit that bounds how many
    // there are.
    worker: F::Worker,
    uses: u32,
    waited: Duration,
    making: Duration,
    seat: Seat<'p, F>,
}

impl<'p, F: Factory> Lease<'p, F> {
    pub(crate) fn of(
        seat: Seat<'p, F>,
        worker: F::Worker,
        uses: u32,
        [waited, making]: [Duration; 2],
    ) -> Self {
        Self { worker, uses, waited, making, seat }
    }

    /// The worker.
    #[must_use]
    pub fn worker(&mut self) -> &mut F::Worker {
        &mut self.worker
    }

    /// Calls that the worker served before this one.
    #[must_use]
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// How long the call waited for its permit. Zero, and no clock was read, when it did not wait.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// How long the worker took to be made for this call; zero when one was ready.
    #[must_use]
    pub fn making(&self) -> Duration {
        self.making
    }

    /// Ends the loan. A worker that is not to serve again is dropped here, before the permit goes to the
    /// next in line.
    pub fn give_back(self, fate: Fate) {
        let Self { worker, uses, mut seat, .. } = self;
        let uses = uses.saturating_add(1);
        let reason = match fate {
            Fate::Retire(reason) => reason,
            Fate::Reuse if uses >= seat.home.reuse() => Retired::Worn,
            Fate::Reuse => {
                let since = seat.home.now_for_idling();
                seat.vacate(Idle { worker, uses, since });
                return;
            }
        };
        seat.retires = Some(reason);
        drop(worker);
        drop(seat);
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

/// A permit, freed on drop.
pub(crate) struct Seat<'p, F: Factory> {
    home: Home<'p, F>,
    /// Why the worker that belongs to it will have been retired; `None` while it has none.
    retires: Option<Retired>,
    left: bool,
}

impl<'p, F: Factory> Seat<'p, F> {
    pub(crate) fn of(home: Home<'p, F>) -> Self {
        Self { home, retires: None, left: false }
    }

    pub(crate) fn pool(&self) -> &Pool<F> {
        &self.home
    }

    /// It has a worker now, which is lost if the seat is dropped.
    pub(crate) fn occupied(mut self) -> Self {
        self.retires = Some(Retired::Cancelled);
        self
    }

    /// Its worker was retired; it may get another.
    pub(crate) fn emptied(mut self, reason: Retired) -> Self {
        self.home.tally().retired(reason, 1);
        self.retires = None;
        self
    }

    fn vacate(mut self, idle: Idle<F::Worker>) {
        self.left = true;
        self.home.leave(Some(idle));
    }
}

impl<F: Factory> Drop for Seat<'_, F> {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        if let Some(reason) = self.retires {
            let unwinding = reason == Retired::Cancelled && std::thread::panicking();
            self.home.tally().retired(if unwinding { Retired::Panicked } else { reason }, 1);
        }
        self.home.leave(None);
    }
}
