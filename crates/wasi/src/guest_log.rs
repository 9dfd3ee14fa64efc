//! Log lines of a guest in any language: escaped, cut, at a limited rate.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crisol_core::{CallId, EntryId, LogRate, LogVerdict, MAX_LINE, plain};
use tokio::time::Instant;
use tracing::Level;
use tracing::field::{DisplayValue, display};

use crate::call_scope::call;

/// Target of log events with a guest's output, for filters.
pub const GUEST_LOG: &str = "crisol::guest";

/// Most lines that one function may log in one [`LogRate::WINDOW`].
const MAX_LINES: u32 = 1000;

/// Log of one function's output, over all its instances.
///
/// Escapes control characters, splits lines of more than [`MAX_LINE`] bytes, and beyond 1000 lines a second logs only
/// the number of lines left out.
#[derive(Debug)]
pub struct GuestLog {
    function: EntryId,
    rate: Mutex<LogRate>,
}

impl GuestLog {
    /// Makes the log of a function.
    #[must_use]
    pub fn new(function: EntryId) -> Self {
        Self { function, rate: Mutex::new(LogRate::new(MAX_LINES)) }
    }

    fn rate(&self) -> MutexGuard<'_, LogRate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a whole text of a call, line by line.
    pub fn text(&self, level: Level, stream: &'static str, call: Option<CallId>, text: &[u8]) {
        if is_enabled(level) {
            let mut lines =
                LineBuffer { level, stream, call: call.map(display), begun: Vec::new() };
            lines.push(self, text);
            lines.emit(self);
        }
    }

    /// Logs the number of lines left out since the last report, if any.
    pub fn report_omitted(&self) {
        let lines = self.rate().take_left_out();
        self.left_out(lines);
    }

    fn left_out(&self, lines: u64) {
        if lines > 0 {
            let function = &self.function;
            tracing::warn!(target: GUEST_LOG, %function, lines, "the guest exceeded the limit of log lines per second: some were omitted");
        }
    }

    fn line(&self, lines: &LineBuffer) {
        let verdict = self.rate().judge(Instant::now().into_std());
        let LogVerdict::Log { left_out } = verdict else { return };
        self.left_out(left_out);
        let (level, stream, function) = (lines.level, lines.stream, &self.function);
        // An instance serves one call after another.
        let call = lines.call.clone().or_else(call);
        let text = String::from_utf8_lossy(&lines.begun);
        let line = plain(text.trim_end_matches('\r'));
        macro_rules! log {
            ($event:ident) => {
                tracing::$event!(target: GUEST_LOG, %function, call, stream, "{line}")
            };
        }
        match level {
            Level::ERROR => log!(error),
            Level::WARN => log!(warn),
            Level::DEBUG => log!(debug),
            Level::TRACE => log!(trace),
            _ => log!(info),
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        self.report_omitted();
    }
}

/// Returns true if lines of a level are logged at all.
pub(crate) fn is_enabled(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: GUEST_LOG, Level::ERROR),
        Level::WARN => tracing::enabled!(target: GUEST_LOG, Level::WARN),
        Level::DEBUG => tracing::enabled!(target: GUEST_LOG, Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: GUEST_LOG, Level::TRACE),
        _ => tracing::enabled!(target: GUEST_LOG, Level::INFO),
    }
}

/// Lines of one stream, with the text since the last line break.
#[derive(Debug)]
pub(crate) struct LineBuffer {
    level: Level,
    stream: &'static str,
    call: Option<DisplayValue<CallId>>,
    begun: Vec<u8>,
}

impl LineBuffer {
    pub(crate) fn new(stream: &'static str) -> Self {
        Self { level: Level::INFO, stream, call: None, begun: Vec::new() }
    }

    pub(crate) fn push(&mut self, log: &GuestLog, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.grow(log, line);
            self.emit(log);
        }
        self.grow(log, bytes);
    }

    /// Extends the line, and logs full pieces of a long one.
    fn grow(&mut self, log: &GuestLog, mut bytes: &[u8]) {
        while self.begun.len() + bytes.len() > MAX_LINE {
            let (piece, rest) = bytes.split_at(MAX_LINE.saturating_sub(self.begun.len()));
            self.begun.extend_from_slice(piece);
            bytes = rest;
            let cut = whole_characters(&self.begun);
            let tail = self.begun.split_off(cut);
            self.emit(log);
            self.begun = tail;
        }
        self.begun.extend_from_slice(bytes);
    }

    fn emit(&mut self, log: &GuestLog) {
        log.line(self);
        self.begun.clear();
    }

    /// Logs a line without a line break.
    pub(crate) fn end(&mut self, log: &GuestLog) {
        if !self.begun.is_empty() {
            self.emit(log);
        }
    }
}

/// Number of bytes that end with a whole character; all of them when they are not text.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}
