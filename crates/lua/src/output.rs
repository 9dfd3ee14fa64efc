//! Text that scripts print and log.

use std::sync::Arc;

use crisol_core::CallId;

/// How much an output matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// From `print`.
    Print,
    /// From `log.debug`.
    Debug,
    /// From `log.info`.
    Info,
    /// From `log.warn`.
    Warn,
    /// From `log.error`.
    Error,
}

/// One text that a script prints or logs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Output<'a> {
    /// How much it matters.
    pub level: Level,
    /// The text, which may be none and may have many lines.
    pub text: &'a [u8],
    /// The call that the script serves; none while it is loaded.
    pub call: Option<CallId>,
}

/// Takes what scripts print and log. Scripts wait for it, on threads that may be kept busy.
pub type Sink = Arc<dyn Fn(Output<'_>) + Send + Sync>;
