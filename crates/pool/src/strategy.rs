//! The four ways to keep workers, each on a page of its own, and the rules they boil down to.

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

/// Workers of an elastic pool when its `max` is not given.
pub const DEFAULT_MAX: NonZeroUsize = at_least_one(100);

/// How many calls may wait per worker when the buffer is not given.
pub const BUFFER_PER_WORKER: usize = 64;

/// How workers are kept and how many calls run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// One call at a time; nothing kept.
    Inline(Inline),
    /// Up to a maximum at once; nothing kept at rest.
    Lazy(Lazy),
    /// A fixed number at once; a fixed number kept ready.
    Static(Fixed),
    /// As many as the load is served well by.
    Adaptive(Adaptive),
}

impl Strategy {
    /// [`Inline`].
    #[must_use]
    pub const fn inline() -> Self {
        Self::Inline(Inline)
    }

    /// [`Lazy`], with its defaults.
    #[must_use]
    pub const fn lazy() -> Self {
        Self::Lazy(Lazy::new())
    }

    /// [`Fixed`], with either number following the other: `workers` calls at once, `size` workers ready;
    /// 8 when neither is given.
    ///
    /// # Errors
    /// When `size` is below `workers`.
    pub const fn fixed(
        workers: Option<NonZeroUsize>,
        size: Option<NonZeroUsize>,
    ) -> Result<Self, SizeBelowWorkers> {
        match Fixed::new(workers, size) {
            Ok(fixed) => Ok(Self::Static(fixed)),
            Err(error) => Err(error),
        }
    }

    /// [`Adaptive`], with its defaults.
    #[must_use]
    pub const fn adaptive() -> Self {
        Self::Adaptive(Adaptive::new())
    }

    /// How many calls may ever run at once.
    #[must_use]
    pub const fn max_workers(&self) -> NonZeroUsize {
        match self {
            Self::Inline(_) => NonZeroUsize::MIN,
            Self::Lazy(lazy) => lazy.max,
            Self::Static(fixed) => fixed.workers(),
            Self::Adaptive(adaptive) => adaptive.max,
        }
    }

    /// How many workers may ever exist at once, busy and ready: what to size a resource by that each of
    /// them holds.
    #[must_use]
    pub const fn max_live(&self) -> NonZeroUsize {
        let workers = self.max_workers();
        match self {
            Self::Inline(_) | Self::Lazy(_) => workers,
            Self::Static(fixed) => workers.saturating_add(fixed.size().get()),
            Self::Adaptive(_) => workers.saturating_add(workers.get()),
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        match self {
            Self::Inline(inline) => inline.rules(),
            Self::Lazy(lazy) => lazy.rules(),
            Self::Static(fixed) => fixed.rules(),
            Self::Adaptive(adaptive) => adaptive.rules(),
        }
    }
}

/// What a strategy boils down to for the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Calls at once, to start with.
    pub(crate) start: usize,
    /// Calls at once, ever.
    pub(crate) max: usize,
    pub(crate) keep: Keep,
    /// How long a worker that is not kept may lie unused.
    pub(crate) idle: Option<Duration>,
}

/// How many workers the background task sees to it are ready.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// None; those that are given back whole stay until they have been idle for long.
    Nothing,
    /// So many.
    Exactly(usize),
    /// As many as the background task has learned to be needed.
    Learned,
}

/// `n` as a count that cannot be nothing: one if it is.
pub(crate) const fn at_least_one(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}
