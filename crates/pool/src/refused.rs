//! Why a call got no worker.

use std::time::Duration;

/// Why a call got no worker. It holds nothing of the pool any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused<E> {
    /// All workers are busy and as many calls wait as the pool lets wait. Trying again later may work.
    #[error("{waiting} calls wait already, which is all that the pool's buffer allows")]
    Saturated {
        /// Calls that wait.
        waiting: usize,
    },
    /// The deadline passed before there was a worker.
    #[error("no worker by the deadline: {:.1} ms queued, {:.1} ms while one was being made", waited.as_secs_f64() * 1e3, making.as_secs_f64() * 1e3)]
    TimedOut {
        /// Time in the queue.
        waited: Duration,
        /// Time while the factory was at work for this call.
        making: Duration,
    },
    /// The pool is being drained and takes no new calls; a newer pool may.
    #[error("the pool is being drained and takes no new calls")]
    Draining,
    /// Every worker is held by a call that waits for this pool itself, so that none would ever come back.
    #[error(
        "all {workers} workers are held by calls that wait for this very pool ({held} of them by this call's own ancestors)"
    )]
    WouldDeadlock {
        /// How many workers the ancestors of this call hold, by its own account.
        held: usize,
        /// How many workers there can be.
        workers: usize,
    },
    /// The factory failed to make the worker.
    #[error("a worker could not be made")]
    Factory(#[source] E),
    /// The factory panicked.
    #[error("a worker could not be made: its factory panicked: {message}")]
    FactoryPanicked {
        /// The panic's message, when it is text.
        message: String,
    },
}
