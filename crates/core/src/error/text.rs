//! Texts of a failed call: an internal one with all causes, and a public one without.

use std::fmt;
use std::time::Duration;

use super::{CallError, ErrorDetails, Spent};
use crate::{EntryId, chain};

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_alone(f)?;
        match self.cause() {
            Some(cause) => write!(f, ": {}", chain(cause)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// Writes the text without the cause.
    fn fmt_alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.entry();
        match self.details() {
            ErrorDetails::NotFound { what, nearest } => {
                match what {
                    Some(what) => write!(f, "`{id}` {what}, and cannot be called")?,
                    None => write!(f, "unknown function `{id}`")?,
                }
                nearest.iter().try_for_each(|near| write!(f, ": did you mean `{near}`?"))
            }
            ErrorDetails::InvalidInput => write!(f, "`{id}` cannot take these arguments"),
            ErrorDetails::Function { error } => {
                write!(f, "`{id}` returned an error: {error}")
            }
            ErrorDetails::Trap => write!(f, "`{id}` trapped"),
            ErrorDetails::Denied { interface, function, offered, fix } => {
                let place = if interface.is_empty() { "" } else { "#" };
                let why = match offered {
                    true => "which its entry does not import",
                    false => "which this host does not have",
                };
                write!(f, "`{id}` called `{interface}{place}{function}`, {why}: {fix}")
            }
            ErrorDetails::Exited { code } => {
                write!(f, "`{id}` exited with code {code} before it answered")
            }
            ErrorDetails::Deadline { limit, spent } => fmt_deadline(f, id, *limit, spent),
            ErrorDetails::Limit(limit) => write!(f, "`{id}` exceeded {limit}"),
            ErrorDetails::Saturated(overload) => write!(f, "`{id}` {overload}"),
            ErrorDetails::WouldDeadlock { chain } => {
                write!(f, "`{id}` would deadlock: {}", show_chain(chain, id))
            }
            ErrorDetails::TooDeep { allowed } => write!(
                f,
                "`{id}` would exceed the limit of {allowed} nested calls: end the recursion earlier"
            ),
            ErrorDetails::Environment => write!(f, "`{id}` cannot start"),
            ErrorDetails::Unavailable => {
                write!(f, "`{id}` is being stopped and takes no new calls")
            }
            ErrorDetails::Interrupted => write!(
                f,
                "`{id}` was interrupted: it is being stopped, and the grace period is over"
            ),
            ErrorDetails::UnexpectedResult => {
                write!(f, "`{id}` returned a value of an unexpected type")
            }
            ErrorDetails::HostFunction { function } => {
                write!(f, "`{id}` called the host function `{function}`, which failed")
            }
            ErrorDetails::Internal => write!(f, "`{id}` failed for a reason inside the runtime"),
        }
    }

    /// Message for callers outside the process: their own mistakes in full, and no internal detail.
    #[must_use]
    pub fn public_message(&self) -> String {
        let text = match self.details() {
            ErrorDetails::InvalidInput => match self.cause() {
                Some(cause) => return cause.to_string(),
                None => "the function cannot take these arguments",
            },
            ErrorDetails::Function { error } => return error.to_string(),
            ErrorDetails::NotFound { .. } => "unknown function",
            ErrorDetails::Deadline { .. } => "the function did not answer in time",
            ErrorDetails::Saturated(overload) => overload.public_message(),
            ErrorDetails::Unavailable => "the function is being stopped",
            ErrorDetails::Interrupted => "the function was stopped while it ran",
            ErrorDetails::Trap
            | ErrorDetails::Denied { .. }
            | ErrorDetails::Exited { .. }
            | ErrorDetails::Limit(_)
            | ErrorDetails::WouldDeadlock { .. }
            | ErrorDetails::TooDeep { .. }
            | ErrorDetails::Environment
            | ErrorDetails::UnexpectedResult
            | ErrorDetails::HostFunction { .. }
            | ErrorDetails::Internal => "the function failed",
        };
        text.to_owned()
    }
}

fn fmt_deadline(
    f: &mut fmt::Formatter<'_>,
    id: &str,
    limit: Option<Duration>,
    spent: &Spent,
) -> fmt::Result {
    match limit {
        Some(limit) => {
            let limit = limit.as_millis();
            write!(f, "`{id}` ran out of time (`limits.max_execution_ms` is {limit}): {spent}")
        }
        None => write!(f, "`{id}` ran out of time (the deadline of its caller): {spent}"),
    }
}

fn show_chain(chain: &[EntryId], id: &str) -> String {
    let ancestors = chain.iter().rev().map(EntryId::as_str);
    ancestors.chain([id]).collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{BoxError, OverBudget, Overload, ResourceLimit};

    #[test]
    fn texts_name_the_entry_what_was_found_and_what_to_do() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "myns:compute".parse()?;
        let spent = Spent { guest: Duration::from_micros(50_100), ..Spent::default() };
        let texts = [
            ErrorDetails::Deadline { limit: Some(Duration::from_millis(50)), spent },
            ErrorDetails::Deadline { limit: None, spent },
            ErrorDetails::WouldDeadlock { chain: vec!["myns:b".parse()?, "myns:compute".parse()?] },
            ErrorDetails::Saturated(Overload::Queue { waiting: 1 }),
            ErrorDetails::Saturated(Overload::Queue { waiting: 2 }),
            ErrorDetails::Saturated(Overload::Memory(OverBudget { wanted: 3, used: 4, limit: 6 })),
            ErrorDetails::Limit(ResourceLimit::Memory { allowed: 10, wanted: 20 }),
        ]
        .map(|details| CallError::new(&id, details).to_string());
        let unknown = CallError::not_found("myns:compote", Some(id.clone())).to_string();
        let texts = [vec![unknown], texts.to_vec()].concat();
        expect![[r"
            unknown function `myns:compote`: did you mean `myns:compute`?
            `myns:compute` ran out of time (`limits.max_execution_ms` is 50): 0.0 ms queued, 50.1 ms in the guest, 0.0 ms in the host
            `myns:compute` ran out of time (the deadline of its caller): 0.0 ms queued, 50.1 ms in the guest, 0.0 ms in the host
            `myns:compute` would deadlock: myns:compute → myns:b → myns:compute
            `myns:compute` is saturated: 1 call waits already, the limit of `pool.buffer`
            `myns:compute` is saturated: 2 calls wait already, the limit of `pool.buffer`
            `myns:compute` is saturated: 3 bytes more were needed, with 4 of 6 in use by instances and scripts: allow more (`--memory`), or lower `limits.max_memory_bytes` or the pools' sizes
            `myns:compute` exceeded `limits.max_memory_bytes` of 10 (the guest asked for 20 in all)"]]
        .assert_eq(&texts.join("\n"));
        Ok(())
    }

    #[test]
    fn public_messages_hold_only_the_callers_mistakes() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "myns:compute".parse()?;
        let mine = CallError::invalid_input(&id, "argument 2 (b): expected s32");
        let ours = CallError::trap(&id, "0xdead at /srv/secret.wasm");
        assert_eq!(mine.public_message(), "argument 2 (b): expected s32");
        assert_eq!(ours.public_message(), "the function failed");
        Ok(())
    }

    #[test]
    fn each_cause_of_overload_has_a_public_text_of_its_own() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "secret:compute".parse()?;
        let over = OverBudget { wanted: 3, used: 4, limit: 6 };
        let texts = [
            Overload::Queue { waiting: 77 },
            Overload::Instances { allowed: 77 },
            Overload::SystemMemory,
            Overload::Memory(over),
            Overload::MemoryWhileRunning(over),
        ]
        .map(|overload| CallError::new(&id, ErrorDetails::Saturated(overload)).public_message());
        expect![[r"
            too many calls are waiting; try again later
            all instances are in use; try again later
            no memory is left for another call; try again later
            no memory is left for another call; try again later
            no memory is left for the call; try again later"]]
        .assert_eq(&texts.join("\n"));
        Ok(())
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn a_text_holds_each_cause_once_however_it_is_printed() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "a:f".parse()?;
        let source = || -> BoxError { Outer(fmt::Error).into() };
        let by = |details| CallError::new(&id, details).with_cause(source());
        let all = [
            CallError::invalid_input(&id, source()),
            CallError::trap(&id, source()),
            CallError::environment(&id, source()),
            CallError::unexpected_result(&id, source()),
            by(ErrorDetails::Saturated(Overload::SystemMemory)),
            by(ErrorDetails::HostFunction { function: "a:b/c#d".to_owned() }),
            CallError::internal(&id, source()),
        ];
        let cause = format!(": outer: {}", fmt::Error);
        for error in &all {
            let text = error.to_string();
            assert!(text.ends_with(&cause), "{text}");
            assert_eq!(chain(error), text);
            assert!(std::error::Error::source(error).is_none(), "{text}");
            assert!(error.cause().is_some_and(|cause| cause.is::<Outer>()), "{text}");
        }
        Ok(())
    }
}
