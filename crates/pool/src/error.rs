//! Errors of a check-out.

use std::time::Duration;

/// Error of a check-out. It holds nothing of the pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError<E> {
    /// All workers are busy and the buffer is full. A later attempt may succeed.
    #[error("the buffer is full: {waiting} calls wait")]
    Saturated {
        /// Calls that wait.
        waiting: usize,
    },
    /// The deadline passed before a worker was available.
    #[error("no worker before the deadline: {:.1} ms queued, {:.1} ms creating one", waited.as_secs_f64() * 1e3, making.as_secs_f64() * 1e3)]
    TimedOut {
        /// Time in the queue.
        waited: Duration,
        /// Time spent making a worker for this call.
        making: Duration,
    },
    /// The pool is being drained and takes no new calls. A newer pool may take them.
    #[error("the pool is being drained and takes no new calls")]
    Draining,
    /// All workers are held by calls that wait for this same pool, so no worker would ever be returned.
    #[error(
        "deadlock: all {workers} workers are held by calls that wait for this pool ({held} by ancestors of this call)"
    )]
    WouldDeadlock {
        /// Workers held by the ancestors of this call, as stated by its caller.
        held: usize,
        /// Workers that may run at once.
        workers: usize,
    },
    /// The factory failed to make the worker.
    #[error("cannot create a worker")]
    Factory(#[source] E),
    /// The factory panicked.
    #[error("cannot create a worker: its factory panicked: {message}")]
    FactoryPanicked {
        /// The panic's message, if it is text.
        message: String,
    },
}
