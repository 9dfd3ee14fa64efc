//! Pools behind one trait, independent of the type of their workers.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crisol_pool::strategy::adaptive::Decision;
use crisol_pool::{Drained, Factory, Pool, Stats};

/// A pool with any type of worker.
pub(crate) trait AnyPool: Send + Sync {
    /// Returns its statistics.
    fn stats(&self) -> Stats;
    /// Tells whether a call would be admitted or could wait now.
    ///
    /// # Errors
    /// The number of waiting calls, if not.
    fn admits(&self) -> Result<(), usize>;
    /// Drops the idle workers of a pool whose type keeps none ready. Returns their number.
    fn release_idle(&self) -> usize;
    /// Returns the last decisions about its size, oldest first.
    fn decisions(&self) -> Vec<Decision>;
    /// Refuses new calls, lets running ones finish, and interrupts the rest after `grace`.
    fn drain(&self, grace: Duration) -> Pin<Box<dyn Future<Output = Drained> + Send + '_>>;
}

impl<F: Factory> AnyPool for Pool<F> {
    fn stats(&self) -> Stats {
        Self::stats(self)
    }

    fn admits(&self) -> Result<(), usize> {
        Self::admits(self)
    }

    fn release_idle(&self) -> usize {
        Self::release_idle(self)
    }

    fn decisions(&self) -> Vec<Decision> {
        Self::decisions(self)
    }

    fn drain(&self, grace: Duration) -> Pin<Box<dyn Future<Output = Drained> + Send + '_>> {
        Box::pin(Self::drain(self, grace))
    }
}

/// Drains pools concurrently. A pool that occurs more than once is drained once.
pub(crate) async fn drain<'a>(
    pools: impl Iterator<Item = &'a dyn AnyPool>,
    grace: Duration,
) -> Drained {
    let mut seen = HashSet::new();
    let is_new =
        |pool: &&'a dyn AnyPool| seen.insert(std::ptr::from_ref(*pool).cast::<()>().addr());
    let mut drains: Vec<_> = pools.filter(is_new).map(|pool| pool.drain(grace)).collect();
    let mut sum = Drained::default();
    poll_fn(|cx| {
        drains.retain_mut(|drain| match drain.as_mut().poll(cx) {
            Poll::Ready(drained) => {
                sum += drained;
                false
            }
            Poll::Pending => true,
        });
        if drains.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    sum
}
