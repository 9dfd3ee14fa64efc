//! Why a script ended without a result.

use std::time::Duration;

use crisol_core::{MAX_LINE, OverBudget, Value, plain, shorten};

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
    Raised(String),
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

/// A text of a script for logs and terminals: one line of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    let text = shorten(text, MAX_LINE);
    shorten(&plain(&text), MAX_LINE).into_owned()
}

/// An error that was raised, with the frames that it came by.
fn raised(text: &str) -> String {
    let Some((message, frames)) = text.rsplit_once("\nstack traceback:\n") else {
        return one_line(text);
    };
    let frames: Vec<_> = frames.lines().map(str::trim).collect();
    one_line(&format!("{message}; stack traceback: {}", frames.join(" / ")))
}

impl Failure {
    /// What an error that nobody caught means.
    pub(crate) fn raised(error: &mlua::Error, allowed: u64) -> Self {
        match root(error) {
            mlua::Error::MemoryError(_) => Self::Memory { allowed },
            mlua::Error::SyntaxError { message, .. } => Self::Syntax(one_line(message)),
            mlua::Error::RuntimeError(text) => Self::Raised(raised(text)),
            _ => Self::Raised(raised(&error.to_string())),
        }
    }
}

fn root(error: &mlua::Error) -> &mlua::Error {
    match error {
        mlua::Error::CallbackError { cause, .. } => root(cause),
        mlua::Error::WithContext { cause, .. } => root(cause),
        other => other,
    }
}
