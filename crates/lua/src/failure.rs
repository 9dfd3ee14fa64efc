//! Why a script ended without a result.

use std::time::Duration;

use crisol_core::{Frame, OverBudget, Trace, Value, one_line};

/// Why a script ended without a result. After any of these but [`Failure::Answered`] the state is of no
/// further use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It returned `nil, err`: its own error.
    #[error("the script answered with its error: {0}")]
    Answered(Value),
    /// An error was raised that it did not catch.
    #[error("the script failed: {0}")]
    Raised(Trace),
    /// The deadline passed.
    #[error("the deadline passed after {running:?} in the script and {waiting:?} waiting")]
    Deadline {
        /// Time in the script's own code.
        running: Duration,
        /// Time it waited for calls and timers.
        waiting: Duration,
    },
    /// It asked for more memory than it may have.
    #[error("the script went over its {allowed} bytes of memory")]
    Memory {
        /// What it may have.
        allowed: u64,
    },
    /// All instances and scripts together would hold more memory than they may.
    #[error(
        "the script has too little memory left: {0} by instances and scripts: allow more (`--memory`)"
    )]
    OverMemory(OverBudget),
    /// What it returned has no value outside Lua.
    #[error("the script's result cannot leave Lua: {0}")]
    Result(String),
    /// The text is no Lua.
    #[error("{0}")]
    Syntax(String),
    /// What the script returned has no such function.
    #[error("{0}")]
    Method(String),
    /// Lua could not be set up.
    #[error("Lua could not be set up")]
    Setup(#[source] mlua::Error),
}

/// Heads what mlua adds to a text that was raised: it looks when the functions are left already.
const TRACEBACK: &str = "\nstack traceback:\n";

impl Failure {
    /// A failure of the host's own making.
    pub(crate) fn told(reason: &str) -> Self {
        Self::Raised(Trace::new(reason, Vec::new()))
    }

    /// Makes a failure of an error that nobody caught; `frames` were noted where it was raised.
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
