//! Texts of a failed call: an internal one with all causes, and a public one without.

use std::fmt;

use super::CallError;
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
        match self {
            Self::NotFound { id, what, nearest } => {
                match what {
                    Some(what) => write!(f, "`{id}` {what}, and cannot be called")?,
                    None => write!(f, "there is no function `{id}`")?,
                }
                nearest.iter().try_for_each(|near| write!(f, ": did you mean `{near}`?"))
            }
            Self::InvalidInput { id, .. } => write!(f, "`{id}` cannot take these arguments"),
            Self::Function { id, error } => write!(f, "`{id}` answered with its error: {error}"),
            Self::Trap { id, .. } => write!(f, "`{id}` trapped"),
            Self::Denied { id, interface, function, offered, fix } => {
                let place = if interface.is_empty() { "" } else { "#" };
                let why = match offered {
                    true => "which its entry does not import",
                    false => "which this host does not have",
                };
                write!(f, "`{id}` called `{interface}{place}{function}`, {why}: {fix}")
            }
            Self::Exited { id, code } => {
                write!(f, "`{id}` exited with code {code} before it answered")
            }
            Self::Deadline { id, limit: Some(limit), spent } => write!(
                f,
                "`{id}` ran out of time (`limits.max_execution_ms` is {}): {spent}",
                limit.as_millis()
            ),
            Self::Deadline { id, limit: None, spent } => {
                write!(f, "`{id}` ran out of time (the deadline of its caller): {spent}")
            }
            Self::Limit { id, limit } => write!(f, "`{id}` went over {limit}"),
            Self::Saturated { id, waiting } => {
                let calls = if *waiting == 1 { "call waits" } else { "calls wait" };
                write!(
                    f,
                    "`{id}` is saturated: {waiting} {calls} already, which is all that `pool.buffer` allows"
                )
            }
            Self::WouldDeadlock { id, chain } => {
                write!(f, "`{id}` would deadlock: {}", show_chain(chain, id))
            }
            Self::TooDeep { id, allowed } => write!(
                f,
                "`{id}` is called by a chain of more than {allowed} functions, each waiting for the next"
            ),
            Self::Environment { id, .. } => write!(f, "`{id}` cannot start"),
            Self::Unavailable { id } => {
                write!(f, "`{id}` is being stopped and takes no new calls")
            }
            Self::Interrupted { id } => write!(
                f,
                "`{id}` was interrupted: it is being stopped, and this call outlasted the grace for that"
            ),
            Self::UnexpectedResult { id, .. } => {
                write!(f, "`{id}` answered with something else than the caller asked for")
            }
            Self::NoInstance { id, allowed } => write!(
                f,
                "`{id}` found all {allowed} instances of the engine in use: start with more (`--instances`), or lower the pools' sizes"
            ),
            Self::NoMemory { id, .. } => write!(
                f,
                "`{id}` cannot be given an instance: the system refuses memory for another; lower the pools' sizes, or on Linux see that there is memory and raise `vm.max_map_count`"
            ),
            Self::OverMemory { id, over } => write!(
                f,
                "`{id}` is saturated: {over} by instances and scripts: allow more (`--memory`), or lower `limits.max_memory_bytes` or the pools' sizes"
            ),
            Self::HostFunction { id, function, .. } => {
                write!(f, "`{id}` called the host function `{function}`, which failed")
            }
            Self::Internal { id, .. } => write!(f, "`{id}` failed for a reason inside the runtime"),
        }
    }

    /// Message for callers outside the process: their own mistakes in full, and no internal detail.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::InvalidInput { source, .. } => source.to_string(),
            Self::Function { error, .. } => error.to_string(),
            Self::NotFound { .. } => "there is no such function".to_owned(),
            Self::Deadline { .. } => "the function did not answer in time".to_owned(),
            Self::Saturated { .. } => "too many calls are waiting; try again later".to_owned(),
            Self::NoInstance { .. } => {
                "no room is left for another call; try again later".to_owned()
            }
            Self::NoMemory { .. } | Self::OverMemory { .. } => {
                "no memory is left for another call; try again later".to_owned()
            }
            Self::Unavailable { .. } | Self::Interrupted { .. } => {
                "the function is being stopped".to_owned()
            }
            Self::Trap { .. }
            | Self::Denied { .. }
            | Self::Exited { .. }
            | Self::Limit { .. }
            | Self::WouldDeadlock { .. }
            | Self::TooDeep { .. }
            | Self::Environment { .. }
            | Self::UnexpectedResult { .. }
            | Self::HostFunction { .. }
            | Self::Internal { .. } => "the function failed".to_owned(),
        }
    }
}

fn show_chain(chain: &[EntryId], id: &EntryId) -> String {
    let ancestors = chain.iter().rev().map(EntryId::as_str);
    ancestors.chain([id.as_str()]).collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;
    use crate::{BoxError, OverBudget, ResourceLimit, Spent};

    #[test]
    fn texts_name_the_entry_what_was_found_and_what_to_do() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "myns:compute".parse()?;
        let spent = Spent { guest: Duration::from_micros(50_100), ..Spent::default() };
        let texts = [
            CallError::NotFound {
                id: "myns:compote".into(),
                what: None,
                nearest: Some(id.clone()),
            },
            CallError::Deadline { id: id.clone(), limit: Some(Duration::from_millis(50)), spent },
            CallError::Deadline { id: id.clone(), limit: None, spent },
            CallError::WouldDeadlock {
                id: id.clone(),
                chain: vec!["myns:b".parse()?, "myns:compute".parse()?],
            },
            CallError::Saturated { id: id.clone(), waiting: 1 },
            CallError::Saturated { id: id.clone(), waiting: 2 },
            CallError::OverMemory {
                id: id.clone(),
                over: OverBudget { wanted: 3, used: 4, limit: 6 },
            },
            CallError::Limit { id, limit: ResourceLimit::Memory { allowed: 10, wanted: 20 } },
        ]
        .map(|error| error.to_string());
        expect![[r"
            there is no function `myns:compote`: did you mean `myns:compute`?
            `myns:compute` ran out of time (`limits.max_execution_ms` is 50): 0.0 ms queued, 50.1 ms in the guest, 0.0 ms in the host
            `myns:compute` ran out of time (the deadline of its caller): 0.0 ms queued, 50.1 ms in the guest, 0.0 ms in the host
            `myns:compute` would deadlock: myns:compute → myns:b → myns:compute
            `myns:compute` is saturated: 1 call waits already, which is all that `pool.buffer` allows
            `myns:compute` is saturated: 2 calls wait already, which is all that `pool.buffer` allows
            `myns:compute` is saturated: 3 bytes more were needed, with 4 of 6 in use by instances and scripts: allow more (`--memory`), or lower `limits.max_memory_bytes` or the pools' sizes
            `myns:compute` went over `limits.max_memory_bytes` of 10 (the guest asked for 20 in all)"]]
        .assert_eq(&texts.join("\n"));
        Ok(())
    }

    #[test]
    fn public_messages_hold_only_the_callers_mistakes() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "myns:compute".parse()?;
        let mine = CallError::InvalidInput {
            id: id.clone(),
            source: "argument 2 (b): expected s32".into(),
        };
        let ours = CallError::Trap { id, source: "0xdead at /srv/secret.wasm".into() };
        assert_eq!(mine.public_message(), "argument 2 (b): expected s32");
        assert_eq!(ours.public_message(), "the function failed");
        Ok(())
    }

    #[test]
    fn each_cause_of_overload_has_a_public_text_of_its_own() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "secret:compute".parse()?;
        let over = OverBudget { wanted: 3, used: 4, limit: 6 };
        let texts = [
            CallError::Saturated { id: id.clone(), waiting: 77 },
            CallError::NoInstance { id: id.clone(), allowed: 77 },
            CallError::NoMemory { id: id.clone(), source: "vm.max_map_count".into() },
            CallError::OverMemory { id, over },
        ]
        .map(|error| error.public_message());
        expect![[r"
            too many calls are waiting; try again later
            no room is left for another call; try again later
            no memory is left for another call; try again later
            no memory is left for another call; try again later"]]
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
        let function = "a:b/c#d".to_owned();
        let all = [
            CallError::InvalidInput { id: id.clone(), source: source() },
            CallError::Trap { id: id.clone(), source: source() },
            CallError::Environment { id: id.clone(), source: source() },
            CallError::UnexpectedResult { id: id.clone(), source: source() },
            CallError::NoMemory { id: id.clone(), source: source() },
            CallError::HostFunction { id: id.clone(), function, source: source() },
            CallError::Internal { id, source: source() },
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
