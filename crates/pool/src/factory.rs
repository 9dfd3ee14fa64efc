//! What makes workers, and what becomes of one after a call.

use std::error::Error;
use std::future::Future;

/// Makes workers. One that is ready to serve: nothing slow is left to do when it is checked out.
///
/// `make` runs in the task of the caller that needs the worker, or in the pool's background task. It may
/// be dropped at any await point (the caller's deadline, a drain), it may fail, and it may panic.
pub trait Factory: Send + Sync + 'static {
    /// What serves a call. Dropping it gives everything back that it owns.
    type Worker: Send + 'static;
    /// Why no worker could be made.
    type Error: Error + Send + Sync + 'static;

    /// Makes one worker.
    ///
    /// # Errors
    /// Whatever keeps it from being made. The pool hands the error to the caller that waited for it.
    fn make(&self) -> impl Future<Output = Result<Self::Worker, Self::Error>> + Send;
}

/// What the caller says about the worker that it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is sound and may serve again, if the pool's reuse count allows.
    Reuse,
    /// It may not serve again.
    Retire(Retired),
}

/// Why a worker is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retired {
    /// It has served as many calls as one worker may.
    Worn,
    /// The call failed in a way that leaves the worker in doubt (a trap).
    Failed,
    /// The call ran out of time in the middle of its work.
    TimedOut,
    /// The worker ended itself (an exit).
    Exited,
    /// The lease was dropped and not given back: the call was cancelled.
    Cancelled,
    /// The call outlasted the grace of a drain and was told to stop.
    Interrupted,
    /// The lease was dropped because its task panicked.
    Panicked,
    /// It was turned down at check-out: made for circumstances that have changed.
    Stale,
    /// Nobody wanted it for the idle time.
    Idle,
    /// More were ready than are kept.
    Surplus,
    /// The pool was drained or dropped.
    Drained,
}
