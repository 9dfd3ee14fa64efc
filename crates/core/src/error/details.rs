//! Details of a failed call, by its kind.

use std::time::Duration;

use super::{ErrorKind, Overload, ResourceLimit, Spent};
use crate::{EntryId, Value};

/// Details of a failed call. They are finer than its [`ErrorKind`]: several causes may share a kind.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorDetails {
    /// See [`ErrorKind::NotFound`].
    NotFound {
        /// Description of the entry with this id if it is not a function: `is of kind …`.
        what: Option<Box<str>>,
        /// The function with the most similar id.
        nearest: Option<EntryId>,
    },
    /// See [`ErrorKind::InvalidInput`].
    InvalidInput,
    /// See [`ErrorKind::Function`].
    Function {
        /// Payload of the error side of its `result`; null if it has none.
        error: Value,
    },
    /// See [`ErrorKind::Trap`].
    Trap,
    /// See [`ErrorKind::Denied`].
    Denied {
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
        /// The exit code.
        code: i32,
    },
    /// See [`ErrorKind::Deadline`].
    Deadline {
        /// The function's own time limit, if it ended the call.
        limit: Option<Duration>,
        /// Time spent in the queue, the guest and the host.
        spent: Spent,
    },
    /// See [`ErrorKind::Limit`].
    Limit(ResourceLimit),
    /// See [`ErrorKind::Saturated`].
    Saturated(Overload),
    /// See [`ErrorKind::WouldDeadlock`].
    WouldDeadlock {
        /// The functions that wait for the called one, nearest first.
        chain: Vec<EntryId>,
    },
    /// The chain of functions that call each other is too long. Its kind is [`ErrorKind::WouldDeadlock`].
    TooDeep {
        /// Maximum number of functions above a call.
        allowed: usize,
    },
    /// See [`ErrorKind::Environment`].
    Environment,
    /// See [`ErrorKind::Unavailable`].
    Unavailable,
    /// See [`ErrorKind::Interrupted`].
    Interrupted,
    /// See [`ErrorKind::UnexpectedResult`].
    UnexpectedResult,
    /// A host function of the embedding program failed. Its kind is [`ErrorKind::Internal`].
    HostFunction {
        /// `interface#function`, as the guest imports it.
        function: String,
    },
    /// See [`ErrorKind::Internal`].
    Internal,
}

impl ErrorDetails {
    /// Kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InvalidInput => ErrorKind::InvalidInput,
            Self::Function { .. } => ErrorKind::Function,
            Self::Trap => ErrorKind::Trap,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Exited { .. } => ErrorKind::Exited,
            Self::Deadline { .. } => ErrorKind::Deadline,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Saturated(_) => ErrorKind::Saturated,
            Self::WouldDeadlock { .. } | Self::TooDeep { .. } => ErrorKind::WouldDeadlock,
            Self::Environment => ErrorKind::Environment,
            Self::Unavailable => ErrorKind::Unavailable,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::UnexpectedResult => ErrorKind::UnexpectedResult,
            Self::HostFunction { .. } | Self::Internal => ErrorKind::Internal,
        }
    }
}
