//! Where a guest's standard streams lead: to the log, line by line, or to the terminal.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use crisol_core::{EntryId, LogRate, LogVerdict};
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use tracing::Level;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::calls::call;

/// The target of the log events that hold a guest's output, for filters.
pub const GUEST_LOG: &str = "crisol::guest";

/// The longest line that is logged as one, in bytes; a longer one is logged in pieces.
const MAX_LINE: usize = 8 * 1024;

/// Lines that one function may log in one [`LogRate::WINDOW`].
const MAX_LINES: u32 = 1000;

/// How much a guest may write at once, in bytes.
const PERMIT: usize = 64 * 1024;

/// Where the standard streams of a guest lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stdio {
    /// Output goes to the log line by line, with the target [`GUEST_LOG`] and the fields `function`,
    /// `stream` and, during a call, `call`; input is empty. At most 1000 lines a second of one function
    /// are logged, and how many were not.
    Log,
    /// The process's own, for commands.
    Terminal,
}

/// Where each standard stream of a guest leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Streams {
    /// Input.
    pub stdin: Stdio,
    /// Output.
    pub stdout: Stdio,
    /// Errors.
    pub stderr: Stdio,
}

impl From<Stdio> for Streams {
    fn from(all: Stdio) -> Self {
        Self { stdin: all, stdout: all, stderr: all }
    }
}

impl Streams {
    pub(crate) fn apply(self, builder: &mut WasiCtxBuilder, function: &EntryId, rate: &Arc<Rate>) {
        // Input that is not given is empty.
        if self.stdin == Stdio::Terminal {
            builder.inherit_stdin();
        }
        match self.stdout {
            Stdio::Log => builder.stdout(LogStream::new(function, "stdout", rate)),
            Stdio::Terminal => builder.inherit_stdout(),
        };
        match self.stderr {
            Stdio::Log => builder.stderr(LogStream::new(function, "stderr", rate)),
            Stdio::Terminal => builder.inherit_stderr(),
        };
    }
}

/// The rate of one function's lines, over all its instances.
#[derive(Debug)]
pub(crate) struct Rate(Mutex<LogRate>);

impl Default for Rate {
    fn default() -> Self {
        Self(Mutex::new(LogRate::new(MAX_LINES)))
    }
}

impl Rate {
    fn judge(&self, now: Instant) -> LogVerdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).judge(now.into_std())
    }

    fn take_left_out(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take_left_out()
    }
}

/// One output of one guest. Every stream that the guest opens on it continues the same line.
#[derive(Debug, Clone)]
struct LogStream(Arc<Mutex<Line>>);

/// What was written since the last line break.
#[derive(Debug)]
struct Line {
    function: EntryId,
    stream: &'static str,
    rate: Arc<Rate>,
    begun: Vec<u8>,
}

impl LogStream {
    fn new(function: &EntryId, stream: &'static str, rate: &Arc<Rate>) -> Self {
        let (function, rate) = (function.clone(), Arc::clone(rate));
        Self(Arc::new(Mutex::new(Line { function, stream, rate, begun: Vec::new() })))
    }

    fn push(&self, bytes: &[u8]) {
        if tracing::enabled!(target: GUEST_LOG, Level::INFO) {
            // A subscriber that panicked has left a line that is as good as any.
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }
}

impl Line {
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.grow(line);
            self.emit();
        }
        self.grow(bytes);
    }

    /// Adds to the line, logging what is too long of it.
    fn grow(&mut self, mut bytes: &[u8]) {
        while self.begun.len() + bytes.len() > MAX_LINE {
            let (piece, rest) = bytes.split_at(MAX_LINE.saturating_sub(self.begun.len()));
            self.begun.extend_from_slice(piece);
            bytes = rest;
            let cut = whole_characters(&self.begun);
            let tail = self.begun.split_off(cut);
            self.emit();
            self.begun = tail;
        }
        self.begun.extend_from_slice(bytes);
    }

    fn emit(&mut self) {
        let Self { function, stream, rate, .. } = self;
        if let LogVerdict::Log { left_out } = rate.judge(Instant::now()) {
            tell_left_out(function, left_out);
            let text = String::from_utf8_lossy(&self.begun);
            let line = plain(text.trim_end_matches('\r'));
            tracing::info!(target: GUEST_LOG, %function, call = call(), stream, "{line}");
        }
        self.begun.clear();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            self.emit();
        }
        tell_left_out(&self.function, self.rate.take_left_out());
    }
}

fn tell_left_out(function: &EntryId, lines: u64) {
    if lines > 0 {
        tracing::warn!(target: GUEST_LOG, %function, lines, "the guest wrote too many lines a second: some are not here");
    }
}

/// How many of these bytes end with a whole character, or all when they are no text.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// The text with control characters spelled out: a guest that writes terminal codes or carriage returns
/// must not be able to forge or hide lines of a log.
fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let odd = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(odd) {
        return text.into();
    }
    let spell = |c: char| if odd(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(spell).collect::<String>().into()
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    // Not a line's end: standard libraries flush after each piece that they write.
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = bytes.get(..PERMIT).unwrap_or(bytes);
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// Counts the events of a guest's output.
    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<String>>>);

    impl tracing::field::Visit for Events {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{value:?}"));
            }
        }
    }

    impl tracing::Subscriber for Events {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == GUEST_LOG
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[tokio::test]
    async fn both_kinds_of_stream_continue_one_line_and_the_last_ends_when_all_are_gone()
    -> Result<(), Box<dyn std::error::Error>> {
        let events = Events::default();
        let _guard = tracing::subscriber::set_default(events.clone());
        let seen = || events.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = LogStream::new(&"a:f".parse()?, "stdout", &Arc::default());
        let mut first = stream.p2_stream();
        let mut second = Pin::from(stream.async_stream());
        first.write(Bytes::from_static(b"one "))?;
        second.write_all(b"line\nand ").await?;
        second.shutdown().await?;
        assert_eq!(seen(), ["one line"]);
        drop((stream, first));
        assert_eq!(seen(), ["one line"]);
        drop(second);
        assert_eq!(seen(), ["one line", "and "]);
        Ok(())
    }
}
