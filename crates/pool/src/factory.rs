//! The factory of a pool's workers, and the disposition of a worker after a call.

use std::error::Error;
use std::future::Future;

/// Makes workers that are ready to serve: no slow step is left for check-out.
///
/// `make` runs in the task of the caller that needs the worker, or in the pool's background task. It may fail or
/// panic, and it may be dropped at any await point (by the caller's deadline or a drain).
pub trait Factory: Send + Sync + 'static {
    /// Serves one call at a time. Dropping it releases everything that it owns.
    type Worker: Send + 'static;
    /// Reason why cannot create a worker.
    type Error: Error + Send + Sync + 'static;

    /// Makes one worker.
    ///
    /// # Errors
    /// Any reason why the worker cannot be made. The pool returns the error to the caller that needed the worker.
    fn make(&self) -> impl Future<Output = Result<Self::Worker, Self::Error>> + Send;
}

/// Decision of the caller about the worker that it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The worker is sound and may serve again, within the pool's reuse count.
    Reuse,
    /// The worker may not serve again.
    Retire(Retired),
}

/// Reason why a worker was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retired {
    /// It served the most calls that one worker may serve.
    Worn,
    /// The call failed and may have left the worker in an unknown state (a trap).
    Failed,
    /// The call reached its deadline while the worker ran.
    TimedOut,
    /// The worker ended itself (an exit).
    Exited,
    /// The lease was dropped instead of given back: the call was cancelled.
    Cancelled,
    /// The call outlasted a drain's grace and was interrupted.
    Interrupted,
    /// The lease was dropped because its task panicked.
    Panicked,
    /// It was rejected at check-out, because what it was made for has changed.
    Stale,
    /// It was idle for longer than the idle timeout.
    Idle,
    /// More workers were ready than the pool keeps.
    Surplus,
    /// The pool was drained or dropped.
    Drained,
}
