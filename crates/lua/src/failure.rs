//! Failures of a script.

use std::time::Duration;

use crisol_core::{Frame, OverBudget, Trace, Value, one_line};

/// Reason a script ended without a result. After any failure but [`Failure::Returned`] the state cannot be
/// used again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The script returned `nil, err`, an error of its own.
    #[error("the script returned an error: {0}")]
    Returned(Value),
    /// The script raised an error and did not catch it.
    #[error("the script failed: {0}")]
    Raised(Trace),
    /// The deadline passed.
    #[error("the deadline passed after {running:?} in the script and {waiting:?} waiting")]
    Deadline {
        /// Time spent in the script's own code.
        running: Duration,
        /// Time spent waiting for calls and timers.
        waiting: Duration,
    },
    /// The script exceeded its memory limit.
    #[error("the script exceeded its memory limit of {allowed} bytes")]
    Memory {
        /// Memory limit in bytes.
        allowed: u64,
    },
    /// The shared memory budget of all instances and scripts is used up.
    #[error("the script got no more memory: {0} by instances and scripts: raise `--memory`")]
    OverMemory(OverBudget),
    /// The result cannot be converted to a value outside of Lua.
    #[error("the script's result cannot be converted: {0}")]
    Result(String),
    /// The text is not valid Lua.
    #[error("{0}")]
    Syntax(String),
    /// The value that the script returned has no such function.
    #[error("{0}")]
    Method(String),
    /// The Lua state could not be created.
    #[error("the Lua state could not be created")]
    Setup(#[source] mlua::Error),
}

/// Start of the traceback that mlua appends to a raised text. It is too late to be useful: the functions have
/// returned by then.
const TRACEBACK: &str = "\nstack traceback:\n";

impl Failure {
    /// Creates a failure raised by the host.
    pub(crate) fn host(reason: &str) -> Self {
        Self::Raised(Trace::new(reason, Vec::new()))
    }

    /// Creates a failure from an uncaught error. `frames` were recorded where it was raised.
    pub(crate) fn raised(error: &mlua::Error, frames: Vec<Frame>, allowed: u64) -> Self {
        let text = match error {
            mlua::Error::RuntimeError(text) => {
                text.rsplit_once(TRACEBACK).map_or(&**text, |(message, _)| message).to_owned()
            }
            other => match root(other) {
                mlua::Error::MemoryError(_) => return Self::Memory { allowed },
                mlua::Error::SyntaxError { message, .. } => return Self::Syntax(one_line(message)),
                mlua::Error::RuntimeError(text) => text.clone(),
                other => other.to_string(),
            },
        };
        Self::Raised(Trace::new(&text, frames))
    }
}

fn root(error: &mlua::Error) -> &mlua::Error {
    match error {
        mlua::Error::CallbackError { cause, .. } => root(cause),
        mlua::Error::WithContext { cause, .. } => root(cause),
        other => other,
    }
}
