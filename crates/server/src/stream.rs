//! Socket of a connection, TCP or Unix.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::server::TlsStream;

/// Socket of a connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Turns off Nagle's algorithm, so that small responses are sent at once.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
        }
    }
}

/// A connection that can report pending input.
pub(crate) trait PendingInput {
    /// True if unread input, or its end, has arrived. Asks the socket itself, since tokio only knows the input that
    /// was reported so far.
    fn has_pending_input(&self) -> bool;
}

impl PendingInput for Stream {
    fn has_pending_input(&self) -> bool {
        let socket = match self {
            Self::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream),
        };
        socket.peek(&mut [MaybeUninit::uninit()]).is_ok()
    }
}

impl PendingInput for TlsStream<Stream> {
    fn has_pending_input(&self) -> bool {
        self.get_ref().0.has_pending_input()
    }
}

/// Calls a method of either socket.
macro_rules! either {
    ($this:ident.$method:ident($($arg:expr),*)) => {
        match $this.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($arg),*),
            #[cfg(unix)]
            Stream::Unix(stream) => Pin::new(stream).$method($($arg),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        // Both sockets support vectored writes.
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.poll_shutdown(cx))
    }
}
