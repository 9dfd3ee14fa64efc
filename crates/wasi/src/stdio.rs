//! Standard streams of a guest: to the log, line by line, or to the terminal.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::guest_log::{GuestLog, LineBuffer, is_enabled};
use crate::terminal::{Stream, Terminal};

/// Most bytes that a guest may write at once.
const PERMIT: usize = 64 * 1024;

/// Bytes after which the task yields: to escape and log as many takes milliseconds.
const TURN: usize = 16 * 1024;

/// Destination of a guest's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stdio {
    /// Writes output to the log line by line, with the target [`GUEST_LOG`](crate::GUEST_LOG) and the fields
    /// `function`, `stream` and, during a call, `call`; input is empty. Logs at most 1000 lines a second of one
    /// function, and the number of those left out.
    Log,
    /// Uses the process's own stream, for commands.
    Terminal,
}

/// Destination of each standard stream of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Streams {
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
}

impl From<Stdio> for Streams {
    fn from(all: Stdio) -> Self {
        Self { stdin: all, stdout: all, stderr: all }
    }
}

impl Streams {
    pub(crate) fn apply(self, builder: &mut WasiCtxBuilder, log: &Arc<GuestLog>) {
        // Without a terminal, input is empty.
        if self.stdin == Stdio::Terminal {
            builder.inherit_stdin();
        }
        match self.stdout {
            Stdio::Log => builder.stdout(LogStream::new("stdout", log)),
            Stdio::Terminal => builder.stdout(Terminal::new(Stream::Stdout)),
        };
        match self.stderr {
            Stdio::Log => builder.stderr(LogStream::new("stderr", log)),
            Stdio::Terminal => builder.stderr(Terminal::new(Stream::Stderr)),
        };
    }
}

/// Output stream of one guest. All handles to it continue the same line.
#[derive(Debug, Clone)]
struct LogStream {
    line: Arc<Mutex<Line>>,
    /// Bytes written since the last yield. One call of a guest may write all of its memory.
    written: usize,
}

/// Text of one output since the last line break, with its log.
#[derive(Debug)]
struct Line {
    log: Arc<GuestLog>,
    lines: LineBuffer,
}

impl LogStream {
    fn new(stream: &'static str, log: &Arc<GuestLog>) -> Self {
        let line = Line { log: Arc::clone(log), lines: LineBuffer::new(stream) };
        Self { line: Arc::new(Mutex::new(line)), written: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.written = self.written.saturating_add(bytes.len());
        if is_enabled(Level::INFO) {
            // A subscriber that panicked leaves a usable line.
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            let Line { log, lines } = &mut *line;
            lines.push(log, bytes);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.end(&self.log);
        self.log.report_omitted();
    }
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

    // A flush does not end a line: standard libraries flush after each piece.
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    /// Yields after that many bytes, which is also when the deadline of the call is checked.
    async fn ready(&mut self) {
        if self.written >= TURN {
            self.written = 0;
            tokio::task::yield_now().await;
        }
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.written >= TURN {
            self.written = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
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
    use crate::guest_log::GUEST_LOG;
    use tokio::io::AsyncWriteExt;

    /// Collects the events of a guest's output.
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
    async fn stdout_and_stderr_share_an_open_line() -> Result<(), Box<dyn std::error::Error>> {
        let events = Events::default();
        let _guard = tracing::subscriber::set_default(events.clone());
        let seen = || events.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = LogStream::new("stdout", &Arc::new(GuestLog::new("a:f".parse()?)));
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

    /// A guest that writes megabytes in one call yields, by each of the two kinds of stream.
    #[tokio::test]
    async fn much_output_lets_others_run() -> Result<(), Box<dyn std::error::Error>> {
        let stream = LogStream::new("stdout", &Arc::new(GuestLog::new("a:f".parse()?)));
        let bytes = Bytes::from(vec![b'x'; PERMIT]);
        let turns = std::cell::Cell::new(0);
        let other = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let writing = async {
            let mut sync = stream.p2_stream();
            for _ in 0..8 {
                let permit = sync.write_ready().await?;
                assert!(permit <= PERMIT);
                sync.write(bytes.clone())?;
            }
            let by_pieces = turns.get();
            Pin::from(stream.async_stream()).write_all(&bytes.repeat(8)).await?;
            Ok::<_, Box<dyn std::error::Error>>([by_pieces, turns.get() - by_pieces])
        };
        tokio::select! {
            biased;
            written = writing => assert!(written?.iter().all(|turns| *turns >= 7)),
            () = other => {}
        }
        Ok(())
    }
}
