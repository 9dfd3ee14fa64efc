//! Why a call failed: one vocabulary for every edge.

use std::time::Duration;

use crate::{EntryId, OverBudget, Value};

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What an edge decides by: the HTTP status, the exit code, whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No entry of that id, or one that is not a function.
    NotFound,
    /// The caller's arguments do not fit the signature.
    InvalidInput,
    /// The function itself answered with its error.
    Function,
    /// The guest trapped.
    Trap,
    /// The guest called something that its entry does not allow.
    Denied,
    /// The guest left through an exit call.
    Exited,
    /// Time ran out.
    Deadline,
    /// The guest went over another limit: memory, fuel, output, stack.
    Limit,
    /// Too many calls wait already; trying again later may work.
    Saturated,
    /// The call would have waited for itself, or its chain is too long.
    WouldDeadlock,
    /// Something the entry needs at call time is missing, such as a required variable.
    Environment,
    /// The function is being stopped or replaced and takes no new calls.
    Unavailable,
    /// The result is not what the caller asked to have it as.
    UnexpectedResult,
    /// A defect on this side.
    Internal,
}

impl ErrorKind {
    /// The kind in one word, as Lua scripts and guests read it: `not-found`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::InvalidInput => "invalid-input",
            Self::Function => "function",
            Self::Trap => "trap",
            Self::Denied => "denied",
            Self::Exited => "exited",
            Self::Deadline => "deadline",
            Self::Limit => "limit",
            Self::Saturated => "saturated",
            Self::WouldDeadlock => "would-deadlock",
            Self::Environment => "environment",
            Self::Unavailable => "unavailable",
            Self::UnexpectedResult => "unexpected-result",
            Self::Internal => "internal",
        }
    }
}

/// A limit other than time that a guest ran into. All sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceLimit {
    /// `limits.max_memory_bytes`: linear memories of one instance together.
    Memory {
        /// What the entry allows.
        allowed: u64,
        /// What the guest asked for in all.
        wanted: u64,
    },
    /// `limits.max_memory_bytes` of a script, which knows not how much more it would have taken.
    ScriptMemory {
        /// What the entry allows.
        allowed: u64,
    },
    /// `limits.max_fuel`: instructions, roughly.
    Fuel {
        /// What the entry allows.
        allowed: u64,
    },
    /// `limits.max_output_bytes`: the size of a call's result.
    Output {
        /// What the entry allows.
        allowed: u64,
    },
    /// Elements of all tables of one instance together.
    Table {
        /// What an instance may have.
        allowed: usize,
        /// What the guest asked for in all.
        wanted: usize,
    },
    /// The guest's stack, by endless or very deep recursion.
    Stack,
}

impl std::fmt::Display for ResourceLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory { allowed, wanted } => write!(
                f,
                "`limits.max_memory_bytes` of {allowed} (the guest asked for {wanted} in all)"
            ),
            Self::ScriptMemory { allowed } => write!(f, "`limits.max_memory_bytes` of {allowed}"),
            Self::Fuel { allowed } => write!(f, "`limits.max_fuel` of {allowed}"),
            Self::Output { allowed } => write!(f, "`limits.max_output_bytes` of {allowed}"),
            Self::Table { allowed, wanted } => write!(
                f,
                "the limit of {allowed} table elements (the guest asked for {wanted} in all)"
            ),
            Self::Stack => write!(f, "its stack (endless recursion?)"),
        }
    }
}

/// Where a call's time went until its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Waiting for a worker.
    pub queue: Duration,
    /// Running guest code.
    pub guest: Duration,
    /// Waiting for the host on the guest's behalf: timers, files, sockets, other functions.
    pub host: Duration,
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        write!(
            f,
            "{:.1} ms queued, {:.1} ms in the guest, {:.1} ms in the host",
            ms(self.queue),
            ms(self.guest),
            ms(self.host)
        )
    }
}

/// Why a call failed.
///
/// The text of an error and of its sources is for the inside: logs, a developer's terminal. What may
/// leave the process is [`CallError::public_message`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// See [`ErrorKind::NotFound`].
    #[error("{}{}", match what { Some(what) => format!("`{id}` {what}, and cannot be called"), None => format!("there is no function `{id}`") }, match nearest { Some(near) => format!(": did you mean `{near}`?"), None => String::new() })]
    NotFound {
        /// What was asked for.
        id: String,
        /// The entry of that id, when it is no function: `is of kind …`.
        what: Option<Box<str>>,
        /// The most similar function there is.
        nearest: Option<EntryId>,
    },
    /// See [`ErrorKind::InvalidInput`].
    #[error("`{id}` cannot take these arguments")]
    InvalidInput {
        /// The function.
        id: EntryId,
        /// Which argument, where in it, what was expected and found.
        source: BoxError,
    },
    /// See [`ErrorKind::Function`].
    #[error("`{id}` answered with its error: {error}")]
    Function {
        /// The function.
        id: EntryId,
        /// The payload of its `result`'s error side; null when it has none.
        error: Box<Value>,
    },
    /// See [`ErrorKind::Trap`].
    #[error("`{id}` trapped")]
    Trap {
        /// The function.
        id: EntryId,
        /// The trap and the guest's backtrace.
        source: BoxError,
    },
    /// See [`ErrorKind::Denied`].
    #[error("`{id}` called `{interface}#{function}`, which its entry does not import: {fix}")]
    Denied {
        /// The function.
        id: EntryId,
        /// The interface as the guest imports it.
        interface: String,
        /// The function of that interface.
        function: String,
        /// What to add to the entry, or why nothing would help.
        fix: String,
    },
    /// See [`ErrorKind::Exited`].
    #[error("`{id}` exited with code {code} before it answered")]
    Exited {
        /// The function.
        id: EntryId,
        /// The exit code.
        code: i32,
    },
    /// See [`ErrorKind::Deadline`].
    #[error("`{id}` ran out of time{}: {spent}", match limit { Some(limit) => format!(" (`limits.max_execution_ms` is {})", limit.as_millis()), None => " (the deadline of its caller)".to_owned() })]
    Deadline {
        /// The function.
        id: EntryId,
        /// The function's own limit, if that was the one that ended the call.
        limit: Option<Duration>,
        /// Where the time went.
        spent: Spent,
    },
    /// See [`ErrorKind::Limit`].
    #[error("`{id}` went over {limit}")]
    Limit {
        /// The function.
        id: EntryId,
        /// Which limit.
        limit: ResourceLimit,
    },
    /// See [`ErrorKind::Saturated`].
    #[error(
        "`{id}` is saturated: {waiting} calls wait already, which is all that `pool.buffer` allows"
    )]
    Saturated {
        /// The function.
        id: EntryId,
        /// Calls that wait.
        waiting: usize,
    },
    /// See [`ErrorKind::WouldDeadlock`].
    #[error("`{id}` would deadlock: {}", show_chain(chain, id))]
    WouldDeadlock {
        /// The function.
        id: EntryId,
        /// The functions that wait for it, nearest first.
        chain: Vec<EntryId>,
    },
    /// The chain of functions that call each other is too long. [`ErrorKind::WouldDeadlock`], too.
    #[error(
        "`{id}` is called by a chain of more than {allowed} functions, each waiting for the next"
    )]
    TooDeep {
        /// The function.
        id: EntryId,
        /// How many may stand above a call.
        allowed: usize,
    },
    /// See [`ErrorKind::Environment`].
    #[error("`{id}` cannot start")]
    Environment {
        /// The function.
        id: EntryId,
        /// What is missing and where it was expected.
        source: BoxError,
    },
    /// See [`ErrorKind::Unavailable`].
    #[error("`{id}` is being stopped and takes no new calls")]
    Unavailable {
        /// The function.
        id: EntryId,
    },
    /// The call ran on when the grace of a stop was over. [`ErrorKind::Unavailable`], too, but it had begun:
    /// calling again may do twice what it did.
    #[error(
        "`{id}` was interrupted: it is being stopped, and this call outlasted the grace for that"
    )]
    Interrupted {
        /// The function.
        id: EntryId,
    },
    /// See [`ErrorKind::UnexpectedResult`].
    #[error("`{id}` answered with something else than the caller asked for")]
    UnexpectedResult {
        /// The function.
        id: EntryId,
        /// Where the result and the caller's type differ.
        source: BoxError,
    },
    /// Every instance that the engine may hold is in use. [`ErrorKind::Saturated`], too: trying again
    /// later may work.
    #[error(
        "`{id}` found all {allowed} instances of the engine in use: start with more (`--instances`), or lower the pools' sizes"
    )]
    NoInstance {
        /// The function.
        id: EntryId,
        /// How many there may be.
        allowed: u64,
    },
    /// The system refuses memory for another instance. [`ErrorKind::Saturated`], as above.
    #[error(
        "`{id}` cannot be given an instance: the system refuses memory for another; lower the pools' sizes, or on Linux see that there is memory and raise `vm.max_map_count`"
    )]
    NoMemory {
        /// The function.
        id: EntryId,
        /// What the system says.
        source: BoxError,
    },
    /// Instances and scripts hold all the memory that they may hold together. [`ErrorKind::Saturated`], as above.
    #[error(
        "`{id}` is saturated: {over} by instances and scripts: allow more (`--memory`), or lower `limits.max_memory_bytes` or the pools' sizes"
    )]
    OverMemory {
        /// The function.
        id: EntryId,
        /// What it asked for, and what was in use.
        over: OverBudget,
    },
    /// A function of the embedding program failed while the guest called it. [`ErrorKind::Internal`], too.
    #[error("`{id}` called the host function `{function}`, which failed")]
    HostFunction {
        /// The function whose guest called.
        id: EntryId,
        /// `interface#function`, as the guest imports it.
        function: String,
        /// What it failed with.
        source: BoxError,
    },
    /// See [`ErrorKind::Internal`].
    #[error("`{id}` failed for a reason inside the runtime")]
    Internal {
        /// The function.
        id: EntryId,
        /// The defect.
        source: BoxError,
    },
}

fn show_chain(chain: &[EntryId], id: &EntryId) -> String {
    let ancestors = chain.iter().rev().map(EntryId::as_str);
    ancestors.chain([id.as_str()]).collect::<Vec<_>>().join(" → ")
}

impl CallError {
    /// What an edge decides by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InvalidInput { .. } => ErrorKind::InvalidInput,
            Self::Function { .. } => ErrorKind::Function,
            Self::Trap { .. } => ErrorKind::Trap,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Exited { .. } => ErrorKind::Exited,
            Self::Deadline { .. } => ErrorKind::Deadline,
            Self::Limit { .. } => ErrorKind::Limit,
            Self::Saturated { .. }
            | Self::NoInstance { .. }
            | Self::NoMemory { .. }
            | Self::OverMemory { .. } => ErrorKind::Saturated,
            Self::WouldDeadlock { .. } | Self::TooDeep { .. } => ErrorKind::WouldDeadlock,
            Self::Environment { .. } => ErrorKind::Environment,
            Self::Unavailable { .. } | Self::Interrupted { .. } => ErrorKind::Unavailable,
            Self::UnexpectedResult { .. } => ErrorKind::UnexpectedResult,
            Self::HostFunction { .. } | Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// The error side of the function's own `result`, when that is what came back.
    #[must_use]
    pub fn function_error(&self) -> Option<&Value> {
        match self {
            Self::Function { error, .. } => Some(error),
            _ => None,
        }
    }

    /// What a stranger may read: the caller's own mistakes in full, nothing of the inside.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::InvalidInput { source, .. } => source.to_string(),
            Self::Function { error, .. } => error.to_string(),
            Self::NotFound { .. } => "there is no such function".to_owned(),
            Self::Deadline { .. } => "the function did not answer in time".to_owned(),
            Self::Saturated { .. }
            | Self::NoInstance { .. }
            | Self::NoMemory { .. }
            | Self::OverMemory { .. } => "too many calls are waiting; try again later".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn texts_name_the_entry_what_was_found_and_what_to_do() -> Result<(), crate::EntryIdError> {
        let id: EntryId = "myns:compute".parse()?;
        let spent = Spent { guest: Duration::from_micros(50_100), ..Spent::default() };
        let over = OverBudget { wanted: 3, used: 4, limit: 6 };
        let texts = [
            CallError::NotFound { id: "a:b".into(), what: None, nearest: Some(id.clone()) },
            CallError::Deadline { id: id.clone(), limit: Some(Duration::from_millis(50)), spent },
            CallError::Deadline { id: id.clone(), limit: None, spent },
            CallError::WouldDeadlock {
                id: id.clone(),
                chain: vec!["myns:b".parse()?, "myns:compute".parse()?],
            },
            CallError::OverMemory { id: id.clone(), over },
            CallError::Limit { id, limit: ResourceLimit::Memory { allowed: 10, wanted: 20 } },
        ]
        .map(|error| error.to_string());
        expect![[r"
            there is no function `a:b`: did you mean `myns:compute`?
            `myns:compute` ran out of time (`limits.max_execution_ms` is 50): 0.0 ms queued, 50.1 ms in the guest, 0.0 ms in the host
            `myns:compute` ran out of time (the deadline of its caller): 0.0 ms queued, 50.1 ms in the guest, 0.0 ms in the host
            `myns:compute` would deadlock: myns:compute → myns:b → myns:compute
            `myns:compute` is saturated: 3 bytes more were needed, with 4 of 6 in use by instances and scripts: allow more (`--memory`), or lower `limits.max_memory_bytes` or the pools' sizes
            `myns:compute` went over `limits.max_memory_bytes` of 10 (the guest asked for 20 in all)"]]
        .assert_eq(&texts.join("\n"));
        Ok(())
    }

    #[test]
    fn the_outside_learns_its_own_mistakes_and_nothing_of_the_inside()
    -> Result<(), crate::EntryIdError> {
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
}
