//! What the layers below say went wrong, as the one vocabulary that callers know.

use std::collections::BTreeSet;
use std::time::Duration;

use crisol_core::{CallError, EntryId, Spent, printable};
use crisol_engine::{Denial, Failure};
use crisol_pool::Refused;

use crate::adapter::MakeError;
use crate::imports::token;

/// What an error needs to know of the call that ended with it.
pub(crate) struct Ended<'a> {
    pub(crate) id: &'a EntryId,
    /// The function's own limit, when that is what set the deadline; `None` when the caller's did.
    pub(crate) limit: Option<Duration>,
    /// Time in the queue.
    pub(crate) queue: Duration,
    /// Time in which the instance was made for this call, start functions included.
    pub(crate) making: Duration,
    /// Instances that the engine may hold.
    pub(crate) instances: u64,
    /// The imports that the function's code has and its entry does not declare.
    pub(crate) undeclared: &'a BTreeSet<String>,
}

impl Ended<'_> {
    pub(crate) fn by_failure(&self, failure: Failure) -> CallError {
        let id = self.id.clone();
        match failure {
            Failure::Denied(denial) => CallError::Denied {
                id,
                fix: self.fix(&denial),
                offered: denial.offered,
                interface: printable(&denial.interface).into_owned(),
                function: printable(&denial.function).into_owned(),
            },
            Failure::Exited(code) => CallError::Exited { id, code },
            Failure::Deadline { running, waiting } => self.deadline(running, waiting),
            Failure::Limit(limit) => CallError::Limit { id, limit },
            Failure::Exhausted(_) => CallError::NoInstance { id, allowed: self.instances },
            Failure::OverMemory(over) => CallError::OverMemory { id, over },
            Failure::NoMemory(error) => CallError::NoMemory { id, source: error.into() },
            Failure::Trap(trapped) => CallError::Trap { id, source: trapped.into() },
            Failure::HostFunction { function, source } => {
                CallError::HostFunction { id, function, source }
            }
            Failure::Host(error) => CallError::Internal { id, source: error.into() },
            other => CallError::Internal { id, source: other.into() },
        }
    }

    pub(crate) fn by_making(&self, error: MakeError) -> CallError {
        match error {
            MakeError::Engine(failure) => self.by_failure(failure),
            MakeError::Plan(error) => {
                CallError::Environment { id: self.id.clone(), source: error.into() }
            }
        }
    }

    pub(crate) fn by_refusal(&self, refused: Refused<MakeError>, chain: Vec<EntryId>) -> CallError {
        let id = self.id.clone();
        match refused {
            Refused::Saturated { waiting } => CallError::Saturated { id, waiting },
            Refused::TimedOut { waited, making } => {
                Ended { queue: waited, ..*self }.deadline(making, Duration::ZERO)
            }
            Refused::Draining => CallError::Unavailable { id },
            Refused::WouldDeadlock { .. } => CallError::WouldDeadlock { id, chain },
            Refused::Factory(error) => self.by_making(error),
            other => CallError::Internal { id, source: other.into() },
        }
    }

    /// What it means that an instance could not be made ahead of any call.
    pub(crate) fn by_warming(&self, refused: Refused<MakeError>) -> CallError {
        match refused {
            Refused::TimedOut { making, .. } => {
                let why = format!(
                    "no instance of it was ready after {:.0} s: mend what it does when it starts, or leave out \
                     `pool.warm_start`",
                    making.as_secs_f64()
                );
                CallError::Environment { id: self.id.clone(), source: why.into() }
            }
            other => self.by_refusal(other, Vec::new()),
        }
    }

    /// What to do about a denied call. One answer is to be enough: a guest that prints, say, calls
    /// `wasi:filesystem` first, and would fail at the next interface with that alone added.
    fn fix(&self, denial: &Denial) -> String {
        if let Some(reason) = &denial.reason {
            return format!("no import grants it, since {}", printable(reason));
        }
        if !denial.offered {
            return "no import grants it, so build the code for interfaces that this host has"
                .to_owned();
        }
        let token = token(denial.grant.unwrap_or(&denial.interface));
        let others = self.undeclared.iter().filter(|other| **other != token);
        let others: Vec<_> = others.map(|other| format!("`{other}`")).collect();
        let fix = format!("add `{token}` to its `imports`");
        if others.is_empty() {
            return fix;
        }
        format!("{fix}; its code may also need {}, undeclared too", others.join(", "))
    }

    pub(crate) fn deadline(&self, guest: Duration, host: Duration) -> CallError {
        let spent = Spent { queue: self.queue, guest: self.making + guest, host };
        CallError::Deadline { id: self.id.clone(), limit: self.limit, spent }
    }
}

#[cfg(test)]
mod tests {
    use crisol_core::chain;

    use super::*;

    #[test]
    fn an_instance_that_is_not_ready_ahead_of_calls_in_time_is_no_caller_s_deadline() {
        let (id, undeclared) = ("n:f".parse().unwrap(), BTreeSet::new());
        let (queue, making) = (Duration::ZERO, Duration::ZERO);
        let ended =
            Ended { id: &id, limit: None, queue, making, instances: 1, undeclared: &undeclared };
        let late = Refused::TimedOut { waited: Duration::ZERO, making: Duration::from_secs(30) };
        assert_eq!(
            chain(&ended.by_warming(late)),
            "`n:f` cannot start: no instance of it was ready after 30 s: mend what it does when it starts, or leave out `pool.warm_start`"
        );
    }
}
