//! Output streams of the process, for commands. A guest waits for them asynchronously, so its deadline holds even while
//! nothing reads them.

use std::io::{self, ErrorKind, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Bytes of one write: a pipe that is ready takes this many without blocking.
const PIECE: usize = 4096;

/// Bytes after which the task yields.
const TURN: usize = 64 * 1024;

/// Output stream of the process.
#[derive(Debug)]
pub(crate) struct Terminal {
    stream: Stream,
    /// Bytes written since the last yield.
    written: usize,
    /// True after a flush, which has nothing to wait for: output is written at once.
    is_flushed: bool,
    /// Signal from a thread that waits until the stream is writable.
    waiting: Option<oneshot::Receiver<()>>,
}

/// Stream of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Terminal {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, written: 0, is_flushed: false, waiting: None }
    }

    fn again(&self) -> Self {
        Self::new(self.stream)
    }

    /// Waits until the stream is writable, and yields after each turn.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.written >= TURN {
            self.written = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if std::mem::take(&mut self.is_flushed) {
            return Poll::Ready(());
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                // Without a thread there is no signal to wait for, and the write may block.
                let Poll::Ready(_) = Pin::new(waiting).poll(cx) else { return Poll::Pending };
                self.waiting = None;
                return Poll::Ready(());
            }
            if self.stream.is_ready() {
                return Poll::Ready(());
            }
            self.waiting = Some(self.stream.wait());
        }
    }

    /// Writes what the stream takes at once. Nothing is buffered for a later write.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = self.written.saturating_add(bytes.len());
        self.is_flushed = false;
        match self.stream {
            Stream::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Stream::Stderr => io::stderr().write_all(bytes),
        }
    }
}

#[cfg(unix)]
mod wait {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use tokio::sync::oneshot::{self, Receiver};

    use super::Stream;

    /// Interval at which a waiting thread checks that its receiver still exists.
    const BREATH: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

    /// Returns true if a stream becomes writable, fails or is closed within a time.
    fn is_ready(stream: BorrowedFd<'_>, within: &Timespec) -> bool {
        let mut events = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
        match poll(&mut events, Some(within)) {
            Ok(ready) => ready > 0,
            Err(rustix::io::Errno::INTR) => false,
            // A stream that cannot be polled is written to.
            Err(_) => true,
        }
    }

    impl Stream {
        fn is_ready_within(self, time: &Timespec) -> bool {
            match self {
                Self::Stdout => is_ready(io::stdout().as_fd(), time),
                Self::Stderr => is_ready(io::stderr().as_fd(), time),
            }
        }

        pub(super) fn is_ready(self) -> bool {
            self.is_ready_within(&AT_ONCE)
        }

        /// Waits on a thread that may block, until the receiver is dropped.
        pub(super) fn wait(self) -> Receiver<()> {
            let (ready, waiting) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                while !ready.is_closed() && !self.is_ready_within(&BREATH) {}
                let _ = ready.send(());
            });
            waiting
        }
    }
}

#[cfg(not(unix))]
mod wait {
    use tokio::sync::oneshot::{self, Receiver};

    use super::Stream;

    impl Stream {
        /// Not supported here: a write may block.
        pub(super) fn is_ready(self) -> bool {
            true
        }

        pub(super) fn wait(self) -> Receiver<()> {
            oneshot::channel().1
        }
    }
}

impl IsTerminal for Terminal {
    fn is_terminal(&self) -> bool {
        match self.stream {
            Stream::Stdout => io::IsTerminal::is_terminal(&io::stdout()),
            Stream::Stderr => io::IsTerminal::is_terminal(&io::stderr()),
        }
    }
}

impl StdoutStream for Terminal {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.again())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.again())
    }
}

impl OutputStream for Terminal {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.put(&bytes).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => StreamError::Closed,
            _ => StreamError::LastOperationFailed(error.into()),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.is_flushed = true;
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.stream.is_ready() { PIECE } else { 0 })
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Terminal {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(()) = self.poll_ready(cx) else { return Poll::Pending };
        let bytes = bytes.get(..PIECE).unwrap_or(bytes);
        Poll::Ready(self.put(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
