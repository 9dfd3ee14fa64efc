//! A connection's bytes: what was read ahead, when something came in, when nothing can go out, and when
//! nothing more is to come in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::activity::Activity;
use crate::stream::Arrival;

/// A stream that reports its reads and fails when the other side takes nothing for too long.
pub(crate) struct Watched<S> {
    stream: S,
    /// Bytes that were read to tell the protocol.
    ahead: Bytes,
    activity: Arc<Activity>,
    patience: Duration,
    /// Made at the first write that has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Watched<S> {
    pub(crate) fn new(
        stream: S,
        ahead: Bytes,
        activity: Arc<Activity>,
        patience: Duration,
    ) -> Self {
        Self { stream, ahead, activity, patience, timer: None, waiting: false }
    }

    /// Passes a write's outcome on, or a timeout when writes have been waiting for too long.
    fn patiently<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if std::mem::take(&mut self.waiting) {
                self.activity.sent();
                if self.activity.is_closing() {
                    // Nothing else asks for more input, which may be over now.
                    cx.waker().wake_by_ref();
                }
            }
            return outcome;
        }
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            self.activity.sending();
            timer.as_mut().reset(Instant::now() + patience);
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Arrival + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(this.ahead.get(..length).unwrap_or_default());
            this.ahead.advance(length);
            this.activity.received(length);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let length = buffer.filled().len() - before;
        if length > 0 {
            this.activity.received(length);
        } else if outcome.is_pending() && this.activity.is_done() && !this.stream.has_arrived() {
            // All that had arrived is served and sent: to the protocol, the client has left.
            return Poll::Ready(Ok(()));
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patiently(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.patiently(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.patiently(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.patiently(outcome, cx)
    }
}
