//! Text that scripts print and log.

use std::sync::Arc;

use crisol_core::CallId;

/// Level of an output.
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

/// A text that a script prints or logs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Output<'a> {
    /// Level of the text.
    pub level: Level,
    /// Text as bytes; may be empty or have several lines.
    pub text: &'a [u8],
    /// Call that the script serves; `None` while it is loaded.
    pub call: Option<CallId>,
}

/// Receiver of printed and logged texts. Scripts wait for it, on threads that may block.
pub type Sink = Arc<dyn Fn(Output<'_>) + Send + Sync>;
