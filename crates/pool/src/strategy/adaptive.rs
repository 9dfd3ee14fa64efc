//! `adaptive`: scales the number of workers by measured throughput.
//!
//! | | |
//! |---|---|
//! | at rest | one ready worker, after the pool's first call |
//! | check-out | a ready worker; if there is none, the caller's own task makes one |
//! | calls at once | between 1 and `max`, see below; up to twice that many workers exist while calls run |
//! | permit freed by | give-back, or drop of the lease or of the waiting future |
//! | staleness | a ready worker may be of any age: reject it with [`Pool::check_out_if`](crate::Pool::check_out_if) and a new one is made |
//! | cost of a failed call or a panic | its own worker; the background task replaces it |
//! | background work | one task per pool that has been called: refills as in `static`, and scales |
//!
//! The [`Controller`] sets the number of calls that may run at once, every 20 ms while calls come. It learns from
//! the service times at each concurrency, and [`Pool::decisions`](crate::Pool::decisions) returns its decisions
//! with their reasons. The number of ready workers covers the demand between two refills: the most calls admitted
//! between two runs of the background task (with a reuse count above 1, the most that ran at once) within the last
//! 10 to 20 s.
//!
//! A call is never refused for a full buffer while the pool has fewer than `max` workers: the pool grows by one
//! instead.

use std::num::NonZeroUsize;

mod controller;
mod meter;
mod ready_target;
mod scaler;

pub use controller::{Controller, Decision, Reason, Sample};
pub use meter::Meter;
pub(crate) use scaler::Scaler;

use crate::strategy::{DEFAULT_MAX, ReadyPolicy, StrategyParams, at_least_one};

/// Configuration of the adaptive strategy, with 1 to `max` calls at once. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptive {
    /// Maximum of calls at once.
    pub max: NonZeroUsize,
    /// Initial number of calls at once; capped by `max`.
    start: NonZeroUsize,
}

/// Default initial number of workers: fewer would leave a small machine's cores idle, and more are found quickly.
const DEFAULT_START: NonZeroUsize = at_least_one(4);

impl Adaptive {
    /// A maximum of 100 workers, starting with 4.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: DEFAULT_MAX, start: DEFAULT_START }
    }

    /// Sets the maximum of calls at once.
    #[must_use]
    pub const fn with_max(mut self, max: NonZeroUsize) -> Self {
        self.max = max;
        self
    }

    /// Sets the initial number of workers, which the maximum caps.
    #[must_use]
    pub const fn with_start(mut self, start: NonZeroUsize) -> Self {
        self.start = start;
        self
    }

    /// Initial number of workers, capped by the maximum.
    #[must_use]
    pub fn start(&self) -> NonZeroUsize {
        self.start.min(self.max)
    }

    pub(super) fn params(self) -> StrategyParams {
        StrategyParams {
            start: self.start().get(),
            max: self.max.get(),
            keep: ReadyPolicy::Measured,
            idle: None,
        }
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
