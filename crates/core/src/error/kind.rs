//! Kinds of failure, by which edges decide.

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
