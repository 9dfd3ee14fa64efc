//! `static`: a fixed number at once, a fixed number ready.
//!
//! | | |
//! |---|---|
//! | at rest | `size` workers, from the first call on, or from [`Pool::warm`](crate::Pool::warm) on |
//! | check-out | a ready worker; when a burst has used them up, the caller's own task makes one |
//! | calls at once | `workers`; up to `size + workers` workers exist while calls run |
//! | what frees the permit | give-back, or the lease's or the waiting future's drop |
//! | what goes stale | a ready worker may be of any age: turn it down with [`Pool::check_out_if`](crate::Pool::check_out_if) and a new one is made |
//! | what a failed call or a panic costs | its own worker; the background task replaces it |
//! | background work | one task per pool that has been called. Woken by the first call after a rest it refills at once, then at most every millisecond while calls come: under a load that uses ready workers up faster than that, callers make their own, which costs least altogether |

use std::num::NonZeroUsize;

use crate::strategy::{Keep, Rules, at_least_one};

/// Workers when neither number is given.
pub const DEFAULT_WORKERS: NonZeroUsize = at_least_one(8);

/// `workers` calls at once, `size` workers ready. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    workers: NonZeroUsize,
    spare: usize,
}

/// There are to be fewer workers than may run at once.
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
    /// Either number follows the other; 8 when neither is given.
    ///
    /// # Errors
    /// When `size` is below `workers`.
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

    /// Calls at once.
    #[must_use]
    pub const fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// Workers kept ready.
    #[must_use]
    pub const fn size(&self) -> NonZeroUsize {
        self.workers.saturating_add(self.spare)
    }

    pub(super) fn rules(self) -> Rules {
        let max = self.workers.get();
        Rules { start: max, max, keep: Keep::Exactly(self.size().get()), idle: None }
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
