//! Errors of a call, shared by all edges.

mod kind;
mod limit;
mod text;

use std::time::Duration;

pub use kind::ErrorKind;
pub use limit::{ResourceLimit, Spent};

use crate::{EntryId, OverBudget, Value};

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Error of a failed call.
///
/// The [`Display`](std::fmt::Display) text includes the cause with all its sources, and is for logs and developers.
/// [`source`](std::error::Error::source) is therefore empty, so that no cause is printed twice; use
/// [`CallError::cause`] for a downcast. Send [`CallError::public_message`] to callers outside the process.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// See [`ErrorKind::NotFound`].
    NotFound {
        /// The requested id.
        id: String,
        /// Description of the entry with this id if it is not a function: `is of kind …`.
        what: Option<Box<str>>,
        /// The function with the most similar id.
        nearest: Option<EntryId>,
    },
    /// See [`ErrorKind::InvalidInput`].
    InvalidInput {
        /// The function.
        id: EntryId,
        /// The argument at fault, with the expected and the actual value.
        source: BoxError,
    },
    /// See [`ErrorKind::Function`].
    Function {
        /// The function.
        id: EntryId,
        /// Payload of the error side of its `result`; null if it has none.
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
        /// True if the host has the function, so that an import would grant it.
        offered: bool,
        /// Line to add to the entry, or other advice on a fix.
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
        /// The function's own time limit, if it ended the call.
        limit: Option<Duration>,
        /// Time spent in the queue, the guest and the host.
        spent: Spent,
    },
    /// See [`ErrorKind::Limit`].
    Limit {
        /// The function.
        id: EntryId,
        /// The limit that was exceeded.
        limit: ResourceLimit,
    },
    /// See [`ErrorKind::Saturated`].
    Saturated {
        /// The function.
        id: EntryId,
        /// Number of calls that wait.
        waiting: usize,
    },
    /// See [`ErrorKind::WouldDeadlock`].
    WouldDeadlock {
        /// The function.
        id: EntryId,
        /// The functions that wait for it, nearest first.
        chain: Vec<EntryId>,
    },
    /// The chain of functions that call each other is too long. Its kind is [`ErrorKind::WouldDeadlock`].
    TooDeep {
        /// The function.
        id: EntryId,
        /// Maximum number of functions above a call.
        allowed: usize,
    },
    /// See [`ErrorKind::Environment`].
    Environment {
        /// The function.
        id: EntryId,
        /// The missing item, and the place it was expected in.
        source: BoxError,
    },
    /// See [`ErrorKind::Unavailable`].
    Unavailable {
        /// The function.
        id: EntryId,
    },
    /// The call was still running when the grace of a stop ended. Its kind is [`ErrorKind::Unavailable`], but the
    /// call had started: a retry may repeat its effects.
    Interrupted {
        /// The function.
        id: EntryId,
    },
    /// See [`ErrorKind::UnexpectedResult`].
    UnexpectedResult {
        /// The function.
        id: EntryId,
        /// Position at which the result differs from the caller's type.
        source: BoxError,
    },
    /// Every instance of the engine is in use. Its kind is [`ErrorKind::Saturated`]: a later retry may succeed.
    NoInstance {
        /// The function.
        id: EntryId,
        /// Maximum number of instances.
        allowed: u64,
    },
    /// The system refused memory for another instance. Its kind is [`ErrorKind::Saturated`].
    NoMemory {
        /// The function.
        id: EntryId,
        /// The system's error.
        source: BoxError,
    },
    /// Instances and scripts reached the limit on their memory in total. Its kind is [`ErrorKind::Saturated`].
    OverMemory {
        /// The function.
        id: EntryId,
        /// The requested bytes and the bytes in use.
        over: OverBudget,
    },
    /// A host function of the embedding program failed. Its kind is [`ErrorKind::Internal`].
    HostFunction {
        /// The function whose guest called the host function.
        id: EntryId,
        /// `interface#function`, as the guest imports it.
        function: String,
        /// The host function's error.
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
    /// Kind of the failure, by which edges decide.
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

    /// Error value of the function's own `result`, if the function returned one.
    #[must_use]
    pub fn function_error(&self) -> Option<&Value> {
        match self {
            Self::Function { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The underlying error, for variants that have one.
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
