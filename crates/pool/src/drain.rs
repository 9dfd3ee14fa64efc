//! Start and end of a pool's life: warm-up and drain.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::PoolError;
use crate::factory::Factory;
use crate::pool::Pool;

/// Calls that were left at the end of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
pub struct Drained {
    /// Calls that still ran and were asked to stop through their lease's [`Interruption`](crate::Interruption).
    /// They keep their workers until they end.
    pub interrupted: usize,
    /// Calls that still waited for a worker and were refused with [`PoolError::Draining`].
    pub refused: usize,
}

impl Drained {
    /// True if every call ended within the grace.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.interrupted == 0 && self.refused == 0
    }
}

impl std::ops::AddAssign for Drained {
    /// Adds up the drains of several pools.
    fn add_assign(&mut self, other: Self) {
        self.interrupted += other.interrupted;
        self.refused += other.refused;
    }
}

impl<F: Factory> Pool<F> {
    /// Drains the pool. New calls are refused with [`PoolError::Draining`] at once; running and waiting calls go on.
    /// Resolves once all of them have ended, or after `grace`: then waiting calls are refused, and running calls
    /// are asked to stop.
    ///
    /// It may be called repeatedly, for instance to wait for interrupted calls. Dropping the future does not reopen
    /// the pool.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.apply(self.gate.close(false));
        self.wake.notify_one();
        let end = Instant::now().checked_add(grace);
        loop {
            // Registered before the check, so that an end in between is not missed.
            let drained = self.drained.notified();
            if self.gate.occupancy() == (0, 0) {
                return Drained { interrupted: 0, refused: 0 };
            }
            match end {
                None => drained.await,
                Some(end) => {
                    if tokio::time::timeout_at(end, drained).await.is_err() {
                        break;
                    }
                }
            }
        }
        let (interrupted, refused) = self.gate.occupancy();
        self.apply(self.gate.close(true));
        self.interruption.request();
        Drained { interrupted, refused }
    }

    /// Makes the workers that the strategy keeps at rest, if
    /// [`Config::with_warm_start`](crate::Config::with_warm_start) is set, and returns their number.
    ///
    /// # Errors
    /// Returns the factory's first failure; workers made before it stay.
    pub async fn warm(&self) -> Result<usize, PoolError<F::Error>> {
        if !self.config.warm_start {
            return Ok(0);
        }
        let mut reserved = self.reserve(self.gate.reserve());
        let mut made = 0;
        while reserved.is_open() {
            let started = Instant::now();
            match self.make_one(&mut reserved).await {
                Ok(()) => made += 1,
                Err(Some(error)) => return Err(error.into()),
                Err(None) => {
                    let making = started.elapsed();
                    return Err(PoolError::TimedOut { waited: Duration::ZERO, making });
                }
            }
        }
        Ok(made)
    }
}
