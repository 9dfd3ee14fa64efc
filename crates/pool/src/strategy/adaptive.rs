//! `adaptive`: as many workers as the load is served well by.
//!
//! | | |
//! |---|---|
//! | at rest | one ready worker, once the pool has been called |
//! | check-out | a ready worker, else the caller's own task makes one |
//! | calls at once | between 1 and `max`, see below; up to twice that many workers exist while calls run |
//! | what frees the permit | give-back, or the lease's or the waiting future's drop |
//! | what goes stale | a ready worker may be of any age: turn it down with [`Pool::check_out_if`](crate::Pool::check_out_if) and a new one is made |
//! | what a failed call or a panic costs | its own worker; the background task replaces it |
//! | background work | one task per pool that has been called: refills as `static` does, and scales |
//!
//! How many calls may run at once is the [`Controller`]'s decision, every 20 ms while calls come; it learns
//! from how long calls take at each concurrency, and [`Pool::decisions`](crate::Pool::decisions) tells why it
//! decided so. How many workers are kept ready is what one refill must last for: the most calls let in
//! between two looks of the background task (with a reuse count above 1: the most that ran at once), within
//! the last 10 to 20 s.
//!
//! A call is never refused for a full buffer while there are fewer than `max` workers: the pool grows by
//! one instead.

use std::num::NonZeroUsize;

mod adaptation;
mod controller;
mod meter;
mod stock;

pub(crate) use adaptation::Adaptation;
pub use controller::{Controller, Decision, Reason, Sample};
pub use meter::Meter;

use crate::strategy::{DEFAULT_MAX, Keep, Rules, at_least_one};

/// Between 1 and `max` calls at once. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptive {
    /// Calls at once, at most.
    pub max: NonZeroUsize,
    /// Calls at once to start with; never above `max`.
    start: NonZeroUsize,
}

/// Workers to start with: a pool of fewer leaves a small machine's cores idle, and more is quickly found.
const DEFAULT_START: NonZeroUsize = at_least_one(4);

impl Adaptive {
    /// 100 workers at most, 4 to start with.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: DEFAULT_MAX, start: DEFAULT_START }
    }

    /// With another maximum.
    #[must_use]
    pub const fn with_max(mut self, max: NonZeroUsize) -> Self {
        self.max = max;
        self
    }

    /// With another number of workers to start with; the maximum bounds it.
    #[must_use]
    pub const fn with_start(mut self, start: NonZeroUsize) -> Self {
        self.start = start;
        self
    }

    /// Workers to start with.
    #[must_use]
    pub fn start(&self) -> NonZeroUsize {
        self.start.min(self.max)
    }

    pub(super) fn rules(self) -> Rules {
        Rules { start: self.start().get(), max: self.max.get(), keep: Keep::Learned, idle: None }
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Adaptive> for super::Strategy {
    fn from(adaptive: Adaptive) -> Self {
        Self::Adaptive(adaptive)
    }
}
