//! A stream that can be recovered after its owner has dropped it.
//!
//! The protocol drops its stream without closing it if the last request asked for an upgrade that was not granted.
//! A socket dropped with unread input loses the response.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that goes to its slot on drop.
pub(crate) struct Recoverable<T> {
    stream: Option<T>,
    slot: RecoverySlot<T>,
}

/// Slot that a dropped stream is recovered from.
pub(crate) struct RecoverySlot<T>(Arc<Mutex<Option<T>>>);

impl<T> Recoverable<T> {
    pub(crate) fn new(stream: T) -> (Self, RecoverySlot<T>) {
        let slot = Arc::new(Mutex::new(None));
        (Self { stream: Some(stream), slot: RecoverySlot(Arc::clone(&slot)) }, RecoverySlot(slot))
    }
}

impl<T> RecoverySlot<T> {
    /// The stream, if it was dropped.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Drop for Recoverable<T> {
    fn drop(&mut self) {
        *self.slot.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

/// Result of an operation after the drop, which cannot occur.
fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl<T: AsyncRead + Unpin> AsyncRead for Recoverable<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().map_or_else(gone, |stream| Pin::new(stream).poll_read(cx, buffer))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Recoverable<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().map_or_else(gone, |stream| Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.stream.as_mut();
        stream.map_or_else(gone, |stream| Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().map_or_else(gone, |stream| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().map_or_else(gone, |stream| Pin::new(stream).poll_shutdown(cx))
    }
}
