//! Kinds of failed calls.

/// Kind of a failed call. Edges derive the HTTP status, the exit code and retries from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No entry has this id, or the entry is not a function.
    NotFound,
    /// The caller's arguments do not fit the signature.
    InvalidInput,
    /// The function returned the error side of its own `result`.
    Function,
    /// The guest trapped.
    Trap,
    /// The guest called an import that its entry does not grant.
    Denied,
    /// The guest ended itself with an exit call.
    Exited,
    /// The deadline passed.
    Deadline,
    /// The guest exceeded another limit: memory, fuel, output, stack.
    Limit,
    /// Too many calls wait, no instance is available, or the memory of all instances is used up. A later call may succeed.
    Saturated,
    /// The call would wait for itself, or its chain is too long.
    WouldDeadlock,
    /// A requirement of the entry at call time is missing, such as a required variable.
    Environment,
    /// The function is being stopped or replaced and takes no new calls.
    Unavailable,
    /// The call was still running when the grace of a stop ended. Unlike [`ErrorKind::Unavailable`], it had started: a
    /// retry may repeat its effects.
    Interrupted,
    /// The result does not have the type that the caller expects.
    UnexpectedResult,
    /// A defect of the runtime or of the embedding program.
    Internal,
}

impl ErrorKind {
    /// Name of the kind, as Lua scripts and guests see it: `not-found`.
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
            Self::Interrupted => "interrupted",
            Self::UnexpectedResult => "unexpected-result",
            Self::Internal => "internal",
        }
    }
}
