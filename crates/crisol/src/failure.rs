//! What the layers below say went wrong, as the one vocabulary that callers know.

use std::collections::BTreeSet;
use std::time::Duration;

use crisol_core::{BoxError, CallError, EntryId, Spent, chain};
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

/// What the engine says of a trap. In it are names that whoever built the guest has chosen, and it is read in
/// terminals and logs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

impl Words {
    fn of(error: BoxError) -> Self {
        Self(clean(&chain(&*error)))
    }
}

/// What wasmtime's backtraces begin their lines with; a guest's name may begin another like this, and no more.
const LINES: [&str; 2] = ["    ", "note: using the `WASMTIME_BACKTRACE_DETAILS"];

/// The same without control characters, and without lines that a name begins.
fn clean(text: &str) -> String {
    let begins = |at: usize| {
        let line = text.get(at..).unwrap_or_default();
        LINES.iter().any(|start| line.starts_with(start))
    };
    let seen = |(at, c): (usize, char)| match c {
        '\n' if begins(at + 1) => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.char_indices().map(seen).collect()
}

impl Ended<'_> {
    pub(crate) fn by_failure(&self, failure: Failure) -> CallError {
        let id = self.id.clone();
        match failure {
            Failure::Denied(denial) => CallError::Denied {
                id,
                fix: self.fix(&denial),
                interface: clean(&denial.interface),
                function: clean(&denial.function),
            },
            Failure::Exited(code) => CallError::Exited { id, code },
            Failure::Deadline { running, waiting } => self.deadline(running, waiting),
            Failure::Limit(limit) => CallError::Limit { id, limit },
            Failure::Exhausted(_) => CallError::NoInstance { id, allowed: self.instances },
            Failure::OverMemory(over) => CallError::OverMemory { id, over },
            Failure::NoMemory(error) => CallError::NoMemory { id, source: error.into() },
            Failure::Trap(error) => CallError::Trap { id, source: Words::of(error.into()).into() },
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
        if !denial.offered {
            return "no import grants it, since this host has no such function".to_owned();
        }
        let token = token(&denial.interface);
        let others = self.undeclared.iter().filter(|other| **other != token);
        let others: Vec<_> = others.map(|other| format!("`{other}`")).collect();
        let fix = format!("add `{token}` to its `imports`");
        if others.is_empty() {
            return fix;
        }
        format!("{fix}; its code may also need {}, undeclared too", others.join(", "))
    }

    fn deadline(&self, guest: Duration, host: Duration) -> CallError {
        let spent = Spent { queue: self.queue, guest: self.making + guest, host };
        CallError::Deadline { id: self.id.clone(), limit: self.limit, spent }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn only_a_backtrace_has_lines() {
        let trap = "at:\n    0: 0x1 - m!f\u{1b}[2J\u{9b}\nERROR\r\n    1: 0x2 - m!g\nnote: using the `WASMTIME_BACKTRACE_DETAILS=1`\n";
        assert_eq!(
            clean(trap),
            "at:\n    0: 0x1 - m!f\u{fffd}[2J\u{fffd}\u{fffd}ERROR\u{fffd}\n    1: 0x2 - m!g\nnote: using the `WASMTIME_BACKTRACE_DETAILS=1`\u{fffd}"
        );
    }
}
