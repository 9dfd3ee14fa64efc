//! `lazy`: nothing at rest, up to a maximum at once.
//!
//! | | |
//! |---|---|
//! | at rest | no worker |
//! | check-out | the worker given back last, else the caller's own task makes one |
//! | calls at once | `max`; that is also how many workers ever exist |
//! | what frees the permit | give-back, or the lease's or the waiting future's drop; a retired worker is dropped *before* its permit goes on, so that `max` bounds what exists |
//! | what goes stale | with a reuse count above 1 a worker lies ready for at most the idle timeout; [`Pool::check_out_if`](crate::Pool::check_out_if) can turn it down |
//! | what a failed call or a panic costs | its own worker |
//! | background work | none with fresh workers per call; with reuse, one timer per pool while a worker lies idle |

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::strategy::{DEFAULT_MAX, Keep, Rules};

/// How long a worker may lie unused if nothing else is said.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Up to `max` calls at once. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lazy {
    /// Calls at once.
    pub max: NonZeroUsize,
    /// How long a worker may lie unused before it is retired.
    pub idle_timeout: Duration,
}

impl Lazy {
    /// 100 workers, 30 seconds.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: DEFAULT_MAX, idle_timeout: DEFAULT_IDLE_TIMEOUT }
    }

    /// With another maximum.
    #[must_use]
    pub const fn with_max(mut self, max: NonZeroUsize) -> Self {
        self.max = max;
        self
    }

    /// With another idle timeout.
    #[must_use]
    pub const fn with_idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    pub(super) fn rules(self) -> Rules {
        let max = self.max.get();
        Rules { start: max, max, keep: Keep::Nothing, idle: Some(self.idle_timeout) }
    }
}

impl Default for Lazy {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Lazy> for super::Strategy {
    fn from(lazy: Lazy) -> Self {
        Self::Lazy(lazy)
    }
}
