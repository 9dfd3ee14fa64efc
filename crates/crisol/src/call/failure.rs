//! Mapping of failures of the pool and its workers to [`CallError`].

use std::time::Duration;

use crisol_core::{CallError, EntryId, ErrorDetails, OverBudget, Overload, Spent};
use crisol_pool::PoolError;

/// Cause of a worker's failure, without the facts of the call.
pub(crate) enum Cause {
    /// The deadline passed, after the given times in guest code and in host functions.
    Deadline { running: Duration, waiting: Duration },
    /// The memory of all instances and scripts together is used up.
    OverMemory(OverBudget),
    /// Anything else.
    Error(CallError),
}

/// Facts about a call, for its error.
#[derive(Clone, Copy)]
pub(crate) struct CallFailure<'a> {
    pub(crate) id: &'a EntryId,
    /// The callee's own limit, when that set the deadline; none when the caller's did.
    pub(crate) limit: Option<Duration>,
    /// Time in the queue.
    pub(crate) queue: Duration,
    /// Time spent on creating a worker for this call, start functions included.
    pub(crate) making: Duration,
}

impl<'a> CallFailure<'a> {
    /// Creates the facts of a call that has no worker yet.
    pub(crate) fn new(id: &'a EntryId, limit: Option<Duration>) -> Self {
        Self { id, limit, queue: Duration::ZERO, making: Duration::ZERO }
    }

    /// Builds the error of a call whose worker failed.
    pub(crate) fn by_cause(self, cause: Cause) -> CallError {
        match cause {
            Cause::Deadline { running, waiting } => self.deadline(running, waiting),
            Cause::OverMemory(over) => {
                CallError::saturated(self.id, Overload::MemoryWhileRunning(over))
            }
            Cause::Error(error) => error,
        }
    }

    /// Builds the error of a call whose worker could not be created. Nothing of the call ran, so that it may be
    /// repeated once there is memory.
    fn by_factory(self, cause: Cause) -> CallError {
        match cause {
            Cause::OverMemory(over) => CallError::saturated(self.id, Overload::Memory(over)),
            cause @ (Cause::Deadline { .. } | Cause::Error(_)) => self.by_cause(cause),
        }
    }

    /// Builds the error of a call that got no worker; `chain` lists the functions that wait for it.
    pub(crate) fn by_refusal<E: std::error::Error + Send + Sync + 'static>(
        self,
        refused: PoolError<E>,
        chain: impl FnOnce() -> Vec<EntryId>,
        classify: impl FnOnce(E) -> Cause,
    ) -> CallError {
        let id = self.id;
        match refused {
            PoolError::Saturated { waiting } => {
                CallError::saturated(id, Overload::Queue { waiting })
            }
            PoolError::TimedOut { waited, making } => {
                Self { queue: waited, ..self }.deadline(making, Duration::ZERO)
            }
            PoolError::Draining => CallError::unavailable(id),
            PoolError::WouldDeadlock { .. } => {
                CallError::new(id, ErrorDetails::WouldDeadlock { chain: chain() })
            }
            PoolError::Factory(error) => self.by_factory(classify(error)),
            other => CallError::internal(id, other),
        }
    }

    /// Builds the error of a warm start: a worker could not be created ahead of calls.
    pub(crate) fn by_warming<E: std::error::Error + Send + Sync + 'static>(
        self,
        refused: PoolError<E>,
        classify: impl FnOnce(E) -> Cause,
    ) -> CallError {
        match refused {
            PoolError::TimedOut { making, .. } => {
                let why = format!(
                    "no instance of it was ready after {:.0} s: fix its start function or remove `pool.warm_start`",
                    making.as_secs_f64()
                );
                CallError::environment(self.id, why)
            }
            other => self.by_refusal(other, Vec::new, classify),
        }
    }

    fn deadline(self, guest: Duration, host: Duration) -> CallError {
        let spent = Spent { queue: self.queue, guest: self.making + guest, host };
        CallError::new(self.id, ErrorDetails::Deadline { limit: self.limit, spent })
    }
}

#[cfg(test)]
mod tests {
    use crisol_core::chain;

    use super::*;

    #[test]
    fn warm_start_timeout_is_not_a_call_deadline() {
        let id = "n:f".parse().unwrap();
        let late = PoolError::<std::fmt::Error>::TimedOut {
            waited: Duration::ZERO,
            making: Duration::from_secs(30),
        };
        let classify = |_| Cause::Deadline { running: Duration::ZERO, waiting: Duration::ZERO };
        assert_eq!(
            chain(&CallFailure::new(&id, None).by_warming(late, classify)),
            "`n:f` cannot start: no instance of it was ready after 30 s: fix its start function or remove `pool.warm_start`"
        );
    }
}
