//! The two ends of a pool's life: warming up and draining.

use std::time::Duration;

use tokio::time::Instant;

use crate::factory::Factory;
use crate::pool::Pool;
use crate::refused::Refused;

/// What was left when a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
pub struct Drained {
    /// Calls that still ran and were told to stop by their lease's
    /// [`Interruption`](crate::Interruption). They keep their workers until they do.
    pub interrupted: usize,
    /// Calls that waited for a worker and were turned away with [`Refused::Draining`].
    pub turned_away: usize,
}

impl Drained {
    /// Whether every call had ended by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.interrupted == 0 && self.turned_away == 0
    }
}

impl std::ops::AddAssign for Drained {
    /// Of several pools together.
    fn add_assign(&mut self, other: Self) {
        self.interrupted += other.interrupted;
        self.turned_away += other.turned_away;
    }
}

impl<F: Factory> Pool<F> {
    /// Stops: from now on calls are refused as [`Refused::Draining`]; those that run, and those that wait
    /// already, go on. Resolves when all have ended, or after `grace`, when those that still wait are
    /// turned away and those that run are told to stop.
    ///
    /// It may be called again, for instance to wait until interrupted calls have ended, and it may be
    /// dropped: the pool goes on draining.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.settle(self.gate.close(false));
        self.bell.notify_one();
        let end = Instant::now().checked_add(grace);
        loop {
            // Made before the look: an end in between wakes it.
            let emptied = self.emptied.notified();
            if self.gate.inside() == (0, 0) {
                return Drained { interrupted: 0, turned_away: 0 };
            }
            match end {
                None => emptied.await,
                Some(end) => {
                    if tokio::time::timeout_at(end, emptied).await.is_err() {
                        break;
                    }
                }
            }
        }
        let (interrupted, turned_away) = self.gate.inside();
        self.settle(self.gate.close(true));
        self.interruption.request();
        Drained { interrupted, turned_away }
    }

    /// Makes the workers that are kept at rest, when the pool is to start warm
    /// ([`Config::with_warm_start`](crate::Config::with_warm_start)); tells how many it made.
    ///
    /// # Errors
    /// The first failure of the factory; what was made before it stays.
    pub async fn warm(&self) -> Result<usize, Refused<F::Error>> {
        if !self.config.warm_start {
            return Ok(0);
        }
        let mut reserved = self.reserve(self.gate.reserve());
        let mut made = 0;
        while reserved.any() {
            let started = Instant::now();
            match self.make_one(&mut reserved).await {
                Ok(()) => made += 1,
                Err(Some(unmade)) => return Err(unmade.into()),
                Err(None) => {
                    let making = started.elapsed();
                    return Err(Refused::TimedOut { waited: Duration::ZERO, making });
                }
            }
        }
        Ok(made)
    }
}
