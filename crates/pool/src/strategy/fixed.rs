//! `static`: a fixed number of calls at once, a fixed number of workers ready.
//!
//! | | |
//! |---|---|
//! | at rest | `size` workers, from the first call or from [`Pool::warm`](crate::Pool::warm) on |
//! | check-out | a ready worker; if a burst has used them up, the caller's own task makes one |
//! | calls at once | `workers`; up to `size + workers` workers exist while calls run |
//! | permit freed by | give-back, or drop of the lease or of the waiting future |
//! | staleness | a ready worker may be of any age: reject it with [`Pool::check_out_if`](crate::Pool::check_out_if) and a new one is made |
//! | cost of a failed call or a panic | its own worker; the background task replaces it |
//! | background work | one task per pool that has been called. The first call after a rest wakes it; it refills at once, then at most every millisecond while calls come. Under a load that uses workers up faster, callers make their own, which is cheapest overall |

use std::num::NonZeroUsize;

use crate::strategy::{ReadyPolicy, StrategyParams, at_least_one};

/// Default of both numbers.
pub const DEFAULT_WORKERS: NonZeroUsize = at_least_one(8);

/// Configuration of the static strategy: `workers` calls at once, `size` workers ready. See the [module's
/// page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    workers: NonZeroUsize,
    spare: usize,
}

/// Error for a `size` below `workers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`size` is {size}, below `workers`, which is {workers}: raise `size` or leave it out")]
#[non_exhaustive]
pub struct SizeBelowWorkers {
    /// Workers to keep ready.
    pub size: usize,
    /// Calls at once.
    pub workers: usize,
}

impl Fixed {
    /// Creates the configuration. A missing number equals the other; both default to 8.
    ///
    /// # Errors
    /// Fails if `size` is below `workers`.
    pub const fn new(
        workers: Option<NonZeroUsize>,
        size: Option<NonZeroUsize>,
    ) -> Result<Self, SizeBelowWorkers> {
        let (workers, size) = match (workers, size) {
            (Some(workers), Some(size)) => (workers, size),
            (Some(both), None) | (None, Some(both)) => (both, both),
            (None, None) => (DEFAULT_WORKERS, DEFAULT_WORKERS),
        };
        match size.get().checked_sub(workers.get()) {
            Some(spare) => Ok(Self { workers, spare }),
            None => Err(SizeBelowWorkers { size: size.get(), workers: workers.get() }),
        }
    }

    /// Number of calls that may run at once.
    #[must_use]
    pub const fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// Number of workers kept ready.
    #[must_use]
    pub const fn size(&self) -> NonZeroUsize {
        self.workers.saturating_add(self.spare)
    }

    pub(super) fn params(self) -> StrategyParams {
        let max = self.workers.get();
        StrategyParams { start: max, max, keep: ReadyPolicy::Fixed(self.size().get()), idle: None }
    }
}

impl From<Fixed> for super::Strategy {
    fn from(fixed: Fixed) -> Self {
        Self::Static(fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_number_follows_the_other() -> Result<(), SizeBelowWorkers> {
        let n = NonZeroUsize::new;
        for (workers, size, expected) in
            [(None, None, (8, 8)), (n(2), None, (2, 2)), (None, n(3), (3, 3)), (n(2), n(4), (2, 4))]
        {
            let fixed = Fixed::new(workers, size)?;
            assert_eq!((fixed.workers().get(), fixed.size().get()), expected);
        }
        assert_eq!(
            Fixed::new(n(4), n(2)).map_err(|error| error.to_string()),
            Err("`size` is 2, below `workers`, which is 4: raise `size` or leave it out".into())
        );
        Ok(())
    }
}
