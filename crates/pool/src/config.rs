//! What a pool is told when it is made; no value of these types is a wrong one.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::strategy::{BUFFER_PER_WORKER, Strategy};

/// How long the background task lets the factory work on one worker before it gives up.
const DEFAULT_MAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How a pool behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    pub(crate) strategy: Strategy,
    pub(crate) buffer: usize,
    pub(crate) reuse: NonZeroU32,
    pub(crate) warm_start: bool,
    pub(crate) make_timeout: Duration,
}

impl Config {
    /// The strategy, with one call per worker, 64 waiting calls per worker that may run at once, and no
    /// warm-up.
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

    /// How many calls may wait. With 0 a call that would wait is refused.
    #[must_use]
    pub const fn with_buffer(mut self, buffer: usize) -> Self {
        self.buffer = buffer;
        self
    }

    /// How many calls one worker serves.
    #[must_use]
    pub const fn with_reuse(mut self, reuse: NonZeroU32) -> Self {
        self.reuse = reuse;
        self
    }

    /// Whether [`Pool::warm`](crate::Pool::warm) makes the first workers; strategies that keep none at
    /// rest have none to make.
    #[must_use]
    pub const fn with_warm_start(mut self, warm_start: bool) -> Self {
        self.warm_start = warm_start;
        self
    }

    /// How long a worker may take to be made in the background (30 s). A caller that makes its own is
    /// bounded by its own deadline instead.
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

    /// How many calls may wait.
    #[must_use]
    pub const fn buffer(&self) -> usize {
        self.buffer
    }
}
