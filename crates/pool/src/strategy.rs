//! The four pool strategies, each in a module of its own, and the rules they reduce to.

use std::num::NonZeroUsize;
use std::time::Duration;

pub mod adaptive;
pub mod fixed;
pub mod inline;
pub mod lazy;

pub use adaptive::Adaptive;
pub use fixed::{Fixed, SizeBelowWorkers};
pub use inline::Inline;
pub use lazy::Lazy;

/// Default maximum of workers in an elastic pool.
pub const DEFAULT_MAX: NonZeroUsize = at_least_one(100);

/// Default number of waiting calls per worker.
pub const BUFFER_PER_WORKER: usize = 64;

/// Strategy of a pool: the number of calls that run at once and of workers kept ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// One call at a time; no worker kept.
    Inline(Inline),
    /// Up to a maximum of calls at once; no worker kept at rest.
    Lazy(Lazy),
    /// A fixed number of calls at once; a fixed number of workers kept ready.
    Static(Fixed),
    /// Scales the number of calls at once by their measured throughput.
    Adaptive(Adaptive),
}

impl Strategy {
    /// The [`Inline`] strategy.
    #[must_use]
    pub const fn inline() -> Self {
        Self::Inline(Inline)
    }

    /// The [`Lazy`] strategy with its defaults.
    #[must_use]
    pub const fn lazy() -> Self {
        Self::Lazy(Lazy::new())
    }

    /// The [`Fixed`] strategy with `workers` calls at once and `size` workers ready. A missing number equals the
    /// other; both default to 8.
    ///
    /// # Errors
    /// Fails if `size` is below `workers`.
    pub const fn fixed(
        workers: Option<NonZeroUsize>,
        size: Option<NonZeroUsize>,
    ) -> Result<Self, SizeBelowWorkers> {
        match Fixed::new(workers, size) {
            Ok(fixed) => Ok(Self::Static(fixed)),
            Err(error) => Err(error),
        }
    }

    /// The [`Adaptive`] strategy with its defaults.
    #[must_use]
    pub const fn adaptive() -> Self {
        Self::Adaptive(Adaptive::new())
    }

    /// Highest number of calls that may ever run at once.
    #[must_use]
    pub const fn max_workers(&self) -> NonZeroUsize {
        match self {
            Self::Inline(_) => NonZeroUsize::MIN,
            Self::Lazy(lazy) => lazy.max,
            Self::Static(fixed) => fixed.workers(),
            Self::Adaptive(adaptive) => adaptive.max,
        }
    }

    /// Highest number of workers that may ever exist at once, busy and ready. Use it to size a resource of which
    /// each worker holds one.
    #[must_use]
    pub const fn max_live(&self) -> NonZeroUsize {
        let workers = self.max_workers();
        match self {
            Self::Inline(_) | Self::Lazy(_) => workers,
            Self::Static(fixed) => workers.saturating_add(fixed.size().get()),
            Self::Adaptive(_) => workers.saturating_add(workers.get()),
        }
    }

    pub(crate) fn params(&self) -> StrategyParams {
        match self {
            Self::Inline(inline) => inline.params(),
            Self::Lazy(lazy) => lazy.params(),
            Self::Static(fixed) => fixed.params(),
            Self::Adaptive(adaptive) => adaptive.params(),
        }
    }
}

/// Numbers that a strategy gives to the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StrategyParams {
    /// Initial number of calls at once.
    pub(crate) start: usize,
    /// Maximum of calls at once.
    pub(crate) max: usize,
    pub(crate) keep: ReadyPolicy,
    /// Idle timeout of workers that are not kept.
    pub(crate) idle: Option<Duration>,
}

/// Number of workers that the background task keeps ready.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadyPolicy {
    /// None; returned workers that may serve again stay until their idle timeout.
    None,
    /// A fixed number.
    Fixed(usize),
    /// The number that the background task measures as needed.
    Measured,
}

/// `n` as a nonzero count; 1 if it is 0.
pub(crate) const fn at_least_one(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}
