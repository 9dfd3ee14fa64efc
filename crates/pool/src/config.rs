//! Configuration of a pool. Every value of these types is valid.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::strategy::{BUFFER_PER_WORKER, Strategy};

/// Time limit for the factory to make one worker in the background.
const DEFAULT_MAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Configuration of a pool: strategy, queue length, reuse and warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    pub(crate) strategy: Strategy,
    pub(crate) buffer: usize,
    pub(crate) reuse: NonZeroU32,
    pub(crate) warm_start: bool,
    pub(crate) make_timeout: Duration,
}

impl Config {
    /// Configuration with `strategy`, one call per worker, 64 waiting calls for each worker that may run at once,
    /// and no warm-up.
    #[must_use]
    pub fn new(strategy: impl Into<Strategy>) -> Self {
        let strategy = strategy.into();
        Self {
            strategy,
            buffer: strategy.max_workers().get().saturating_mul(BUFFER_PER_WORKER),
            reuse: NonZeroU32::MIN,
            warm_start: false,
            make_timeout: DEFAULT_MAKE_TIMEOUT,
        }
    }

    /// Sets the number of calls that may wait. At 0, a call that would have to wait is refused.
    #[must_use]
    pub const fn with_buffer(mut self, buffer: usize) -> Self {
        self.buffer = buffer;
        self
    }

    /// Sets the number of calls that one worker serves.
    #[must_use]
    pub const fn with_reuse(mut self, reuse: NonZeroU32) -> Self {
        self.reuse = reuse;
        self
    }

    /// Lets [`Pool::warm`](crate::Pool::warm) make the first workers. It has no effect for strategies that keep no
    /// worker at rest.
    #[must_use]
    pub const fn with_warm_start(mut self, warm_start: bool) -> Self {
        self.warm_start = warm_start;
        self
    }

    /// Sets the time limit for a worker to be made in the background (default 30 s). A worker that a caller makes
    /// itself is bounded by the caller's deadline instead.
    #[must_use]
    pub const fn with_make_timeout(mut self, make_timeout: Duration) -> Self {
        self.make_timeout = make_timeout;
        self
    }

    /// The strategy.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Number of calls that may wait.
    #[must_use]
    pub const fn buffer(&self) -> usize {
        self.buffer
    }
}
