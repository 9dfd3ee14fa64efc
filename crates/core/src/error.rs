//! Why a call failed: one vocabulary for every edge.

mod kind;
mod limit;
mod text;

use std::time::Duration;

pub use kind::ErrorKind;
pub use limit::{ResourceLimit, Spent};

use crate::{EntryId, OverBudget, Value};

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed.
///
/// Its text holds its cause and all sources of that, and is for the inside: logs, a developer's terminal. It has
/// no [`source`](std::error::Error::source) that would be printed again; [`CallError::cause`] is for a downcast.
/// What may leave the process is [`CallError::public_message`].
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// See [`ErrorKind::NotFound`].
    NotFound {
        /// What was asked for.
        id: String,
        /// The entry of that id, when it is no function: `is of kind …`.
        what: Option<Box<str>>,
        /// The most similar function there is.
        nearest: Option<EntryId>,
    },
    /// See [`ErrorKind::InvalidInput`].
    InvalidInput {
        /// The function.
        id: EntryId,
        /// Which argument, where in it, what was expected and found.
        source: BoxError,
    },
    /// See [`ErrorKind::Function`].
    Function {
        /// The function.
        id: EntryId,
        /// The payload of its `result`'s error side; null when it has none.
        error: Box<Value>,
    },
    /// See [`ErrorKind::Trap`].
    Trap {
        /// The function.
        id: EntryId,
        /// The trap and the guest's backtrace.
        source: BoxError,
    },
    /// See [`ErrorKind::Denied`].
    Denied {
        /// The function.
        id: EntryId,
        /// The interface as the guest imports it.
        interface: String,
        /// The function of that interface.
        function: String,
        /// Whether the host has the function, so that an import would grant it.
        offered: bool,
        /// Line to add to the entry, or other advice.
        fix: String,
    },
    /// See [`ErrorKind::Exited`].
    Exited {
        /// The function.
        id: EntryId,
        /// The exit code.
        code: i32,
    },
    /// See [`ErrorKind::Deadline`].
    Deadline {
        /// The function.
        id: EntryId,
        /// The function's own limit, if that was the one that ended the call.
        limit: Option<Duration>,
        /// Where the time went.
        spent: Spent,
    },
    /// See [`ErrorKind::Limit`].
    Limit {
        /// The function.
        id: EntryId,
        /// Which limit.
        limit: ResourceLimit,
    },
    /// See [`ErrorKind::Saturated`].
    Saturated {
        /// The function.
        id: EntryId,
        /// Calls that wait.
        waiting: usize,
    },
    /// See [`ErrorKind::WouldDeadlock`].
    WouldDeadlock {
        /// The function.
        id: EntryId,
        /// The functions that wait for it, nearest first.
        chain: Vec<EntryId>,
    },
    /// The chain of functions that call each other is too long. [`ErrorKind::WouldDeadlock`], too.
    TooDeep {
        /// The function.
        id: EntryId,
        /// How many may stand above a call.
        allowed: usize,
    },
    /// See [`ErrorKind::Environment`].
    Environment {
        /// The function.
        id: EntryId,
        /// What is missing and where it was expected.
        source: BoxError,
    },
    /// See [`ErrorKind::Unavailable`].
    Unavailable {
        /// The function.
        id: EntryId,
    },
    /// The call ran on when the grace of a stop was over. [`ErrorKind::Unavailable`], too, but it had begun:
    /// calling again may do twice what it did.
    Interrupted {
        /// The function.
        id: EntryId,
    },
    /// See [`ErrorKind::UnexpectedResult`].
    UnexpectedResult {
        /// The function.
        id: EntryId,
        /// Where the result and the caller's type differ.
        source: BoxError,
    },
    /// Every instance that the engine may hold is in use. [`ErrorKind::Saturated`], too: trying again
    /// later may work.
    NoInstance {
        /// The function.
        id: EntryId,
        /// How many there may be.
        allowed: u64,
    },
    /// The system refuses memory for another instance. [`ErrorKind::Saturated`], as above.
    NoMemory {
        /// The function.
        id: EntryId,
        /// What the system says.
        source: BoxError,
    },
    /// Instances and scripts hold all the memory that they may hold together. [`ErrorKind::Saturated`], as above.
    OverMemory {
        /// The function.
        id: EntryId,
        /// What it asked for, and what was in use.
        over: OverBudget,
    },
    /// A function of the embedding program failed while the guest called it. [`ErrorKind::Internal`], too.
    HostFunction {
        /// The function whose guest called.
        id: EntryId,
        /// `interface#function`, as the guest imports it.
        function: String,
        /// What it failed with.
        source: BoxError,
    },
    /// See [`ErrorKind::Internal`].
    Internal {
        /// The function.
        id: EntryId,
        /// The defect.
        source: BoxError,
    },
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

    /// The error under this one, for variants that hold one.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        match self {
            Self::InvalidInput { source, .. }
            | Self::Trap { source, .. }
            | Self::Environment { source, .. }
            | Self::UnexpectedResult { source, .. }
            | Self::NoMemory { source, .. }
            | Self::HostFunction { source, .. }
            | Self::Internal { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
