//! `lazy`: no worker at rest, up to a maximum of calls at once.
//!
//! | | |
//! |---|---|
//! | at rest | no worker |
//! | check-out | the worker given back last; if there is none, the caller's own task makes one |
//! | calls at once | `max`, which also bounds the number of workers |
//! | permit freed by | give-back, or drop of the lease or of the waiting future; a retired worker is dropped *before* its permit passes on, so that `max` bounds the workers in existence |
//! | staleness | with a reuse count above 1, a worker stays ready for at most the idle timeout; [`Pool::check_out_if`](crate::Pool::check_out_if) can reject it |
//! | cost of a failed call or a panic | its own worker |
//! | background work | none with one call per worker; with reuse, one timer per pool while a worker is idle |

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::strategy::{DEFAULT_MAX, ReadyPolicy, StrategyParams};

/// Default idle timeout of a worker.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Configuration of the lazy strategy, with up to `max` calls at once. See the [module's page](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lazy {
    /// Maximum of calls at once.
    pub max: NonZeroUsize,
    /// Time after which an unused worker is retired.
    pub idle_timeout: Duration,
}

impl Lazy {
    /// A maximum of 100 workers and an idle timeout of 30 s.
    #[must_use]
    pub const fn new() -> Self {
        Self { max: DEFAULT_MAX, idle_timeout: DEFAULT_IDLE_TIMEOUT }
    }

    /// Sets the maximum of calls at once.
    #[must_use]
    pub const fn with_max(mut self, max: NonZeroUsize) -> Self {
        self.max = max;
        self
    }

    /// Sets the idle timeout.
    #[must_use]
    pub const fn with_idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    pub(super) fn params(self) -> StrategyParams {
        let max = self.max.get();
        StrategyParams { start: max, max, keep: ReadyPolicy::None, idle: Some(self.idle_timeout) }
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
