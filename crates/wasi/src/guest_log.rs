//! Log lines of a guest, whatever it is written in: escaped, cut, at a bounded rate.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crisol_core::{CallId, EntryId, LogRate, LogVerdict, MAX_LINE, plain};
use tokio::time::Instant;
use tracing::Level;
use tracing::field::{DisplayValue, display};

use crate::calls::call;

/// The target of the log events that hold a guest's output, for filters.
pub const GUEST_LOG: &str = "crisol::guest";

/// Lines that one function may log in one [`LogRate::WINDOW`].
const MAX_LINES: u32 = 1000;

/// Log of what one function writes, over all its instances.
///
/// Control characters are spelled out, lines of more than [`MAX_LINE`] bytes are logged in pieces, and of more than
/// 1000 lines a second only the number is logged.
#[derive(Debug)]
pub struct GuestLog {
    function: EntryId,
    rate: Mutex<LogRate>,
}

impl GuestLog {
    /// The log of a function.
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
            let mut lines = Lines { level, stream, call: call.map(display), begun: Vec::new() };
            lines.push(self, text);
            lines.emit(self);
        }
    }

    /// Logs how many lines were left out since this was last told, if any were.
    pub fn tell_left_out(&self) {
        let lines = self.rate().take_left_out();
        self.left_out(lines);
    }

    fn left_out(&self, lines: u64) {
        if lines > 0 {
            let function = &self.function;
            tracing::warn!(target: GUEST_LOG, %function, lines, "the guest wrote too many lines a second: some are not here");
        }
    }

    fn line(&self, lines: &Lines) {
        let verdict = self.rate().judge(Instant::now().into_std());
        let LogVerdict::Log { left_out } = verdict else { return };
        self.left_out(left_out);
        let (level, stream, function) = (lines.level, lines.stream, &self.function);
        // Instances are called on behalf of one call after the other.
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
        self.tell_left_out();
    }
}

/// Whether lines of a level are logged at all.
pub(crate) fn is_enabled(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: GUEST_LOG, Level::ERROR),
        Level::WARN => tracing::enabled!(target: GUEST_LOG, Level::WARN),
        Level::DEBUG => tracing::enabled!(target: GUEST_LOG, Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: GUEST_LOG, Level::TRACE),
        _ => tracing::enabled!(target: GUEST_LOG, Level::INFO),
    }
}

/// Lines of one stream, and what was written since the last line break.
#[derive(Debug)]
pub(crate) struct Lines {
    level: Level,
    stream: &'static str,
    call: Option<DisplayValue<CallId>>,
    begun: Vec<u8>,
}

impl Lines {
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

    /// Adds to the line, logging what is too long of it.
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

    /// Logs a line that was not ended.
    pub(crate) fn end(&mut self, log: &GuestLog) {
        if !self.begun.is_empty() {
            self.emit(log);
        }
    }
}

/// How many of these bytes end with a whole character, or all when they are no text.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}
