//! I/O of a connection: bytes read ahead, reported reads, write timeouts, the end of input, and a close that does
//! not lose responses (RFC 9112, section 9.6).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::activity::Activity;
use crate::framing::Framing;
use crate::stream::PendingInput;

/// Maximum number of bytes that a closing connection discards.
pub(crate) const LINGER_BYTES: u64 = 256 << 20;

/// Maximum duration of a close.
const LINGER: Duration = Duration::from_secs(30);

/// Time after which a silent client that does not close is taken to have its response.
const LINGER_IDLE: Duration = Duration::from_secs(5);

/// A stream that reports its reads, and fails if the other side does not read for too long.
pub(crate) struct MonitoredIo<S> {
    stream: S,
    /// Bytes that were read to detect the protocol.
    ahead: Bytes,
    activity: Arc<Activity>,
    /// Framing of requests, for HTTP/1.1.
    framing: Option<Framing>,
    write_timeout: Duration,
    /// Created at the first write that has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    closing: Closing,
}

/// Progress of a close.
enum Closing {
    /// Not begun.
    Open,
    /// Nothing more is sent.
    Shut,
    /// Bytes that the client still sends are discarded until it closes too.
    Lingering(Linger),
    Done,
}

/// Limits of a close that waits for the client.
struct Linger {
    left: u64,
    end: Instant,
    idle: Pin<Box<Sleep>>,
}

impl Linger {
    fn new() -> Self {
        Self {
            left: LINGER_BYTES,
            end: Instant::now() + LINGER,
            idle: Box::pin(sleep(LINGER_IDLE)),
        }
    }

    /// Counts discarded bytes; false once a limit is reached.
    fn goes_on_after(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        self.left = self.left.saturating_sub(bytes as u64);
        self.idle.as_mut().reset((now + LINGER_IDLE).min(self.end));
        self.left > 0 && now < self.end
    }
}

impl<S> MonitoredIo<S> {
    pub(crate) fn new(
        stream: S,
        ahead: Bytes,
        activity: Arc<Activity>,
        (framing, write_timeout): (Option<Framing>, Duration),
    ) -> Self {
        Self {
            stream,
            ahead,
            activity,
            framing,
            write_timeout,
            timer: None,
            waiting: false,
            closing: Closing::Open,
        }
    }

    /// Passes on a write's result, or a timeout if writes have waited for too long.
    fn with_write_timeout<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            if std::mem::take(&mut self.waiting) {
                self.activity.sent();
                if self.activity.state.is_closing() {
                    // No other code asks for more input, which may have ended now.
                    cx.waker().wake_by_ref();
                }
            }
            return result;
        }
        let write_timeout = self.write_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        if !self.waiting {
            self.waiting = true;
            self.activity.sending();
            timer.as_mut().reset(Instant::now() + write_timeout);
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> MonitoredIo<S> {
    /// Discards bytes that the client still sends, until it closes or a limit is reached. If no more bytes are
    /// expected, only those that have already arrived keep the connection open.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 8 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match (Pin::new(&mut self.stream).poll_read(cx, &mut buffer), &mut self.closing) {
                (Poll::Ready(Ok(())), closing) if !buffer.filled().is_empty() => {
                    if !matches!(closing, Closing::Lingering(_)) {
                        *closing = Closing::Lingering(Linger::new());
                    }
                    let read = buffer.filled().len();
                    if let Closing::Lingering(linger) = closing
                        && !linger.goes_on_after(read)
                    {
                        return Poll::Ready(());
                    }
                }
                (Poll::Ready(_), _) => return Poll::Ready(()),
                (Poll::Pending, Closing::Lingering(linger)) => {
                    return linger.idle.as_mut().poll(cx);
                }
                (Poll::Pending, closing) if self.activity.lingers() => {
                    *closing = Closing::Lingering(Linger::new());
                }
                (Poll::Pending, _) => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + PendingInput + Unpin> AsyncRead for MonitoredIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let parsed = &this.activity.state.parsed;
        if let Some(framing) = &mut this.framing
            && framing.read(parsed, buffer)
        {
            this.activity.received(framing.is_ahead());
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = if this.ahead.is_empty() {
            Pin::new(&mut this.stream).poll_read(cx, buffer)
        } else {
            let length = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead.split_to(length));
            Poll::Ready(Ok(()))
        };
        if buffer.filled().len() > before {
            if let Some(framing) = &mut this.framing {
                framing.pass(parsed, buffer, before);
                this.activity.received(framing.is_ahead());
            }
        } else if result.is_pending() && this.activity.is_done() && !this.stream.has_pending_input()
        {
            // Everything that arrived was served and sent, so the protocol sees the end of input.
            return Poll::Ready(Ok(()));
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MonitoredIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.record_sent();
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.with_write_timeout(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.record_sent();
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.with_write_timeout(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        if result.is_ready() {
            self.activity.record_flushed();
        }
        self.with_write_timeout(result, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.activity.end();
        if matches!(this.closing, Closing::Open) {
            let result = Pin::new(&mut this.stream).poll_shutdown(cx);
            match this.with_write_timeout(result, cx) {
                Poll::Ready(Ok(())) => this.closing = Closing::Shut,
                other => return other,
            }
        }
        if !matches!(this.closing, Closing::Done) && this.poll_linger(cx).is_pending() {
            return Poll::Pending;
        }
        this.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Timeouts;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn watched(lingers: bool) -> (MonitoredIo<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(1 << 10);
        let activity = Arc::new(Activity::new(Timeouts::default(), Arc::default()));
        if lingers {
            activity.linger();
        }
        (MonitoredIo::new(server, Bytes::new(), activity, (None, Duration::from_secs(30))), client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_waits_for_a_client_that_may_be_sending() -> io::Result<()> {
        let (mut server, _client) = watched(true);
        let start = Instant::now();
        server.shutdown().await?;
        assert_eq!(start.elapsed(), LINGER_IDLE);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_with_nothing_to_wait_for_is_at_once() -> io::Result<()> {
        let (mut server, _client) = watched(false);
        let start = Instant::now();
        server.shutdown().await?;
        assert_eq!(start.elapsed(), Duration::ZERO);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn input_that_has_arrived_is_read_before_the_close() -> io::Result<()> {
        let (mut server, mut client) = watched(false);
        client.write_all(b"more").await?;
        let closing = tokio::spawn(async move { server.shutdown().await.map(|()| server) });
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await?;
        assert_eq!(client.write(b"and more").await?, 8);
        drop(client);
        closing.await??;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn endless_sender_is_closed_at_the_timeout() -> io::Result<()> {
        let (mut server, mut client) = watched(true);
        let start = Instant::now();
        let sending = tokio::spawn(async move {
            while client.write_all(b"drop").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        server.shutdown().await?;
        assert_eq!(start.elapsed(), LINGER);
        drop(server);
        let _ = sending.await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_discards_a_bounded_number_of_bytes() -> io::Result<()> {
        let (server, client) = duplex(1 << 20);
        let activity = Arc::new(Activity::new(Timeouts::default(), Arc::default()));
        activity.linger();
        let mut server =
            MonitoredIo::new(server, Bytes::new(), activity, (None, Duration::from_secs(30)));
        let sending = tokio::spawn(async move {
            let (mut client, piece, mut sent) = (client, vec![0; 1 << 20], 0);
            while client.write_all(&piece).await.is_ok() {
                sent += piece.len() as u64;
            }
            sent
        });
        server.shutdown().await?;
        drop(server);
        let sent = sending.await?;
        assert!((LINGER_BYTES..LINGER_BYTES + (2 << 20)).contains(&sent), "{sent}");
        Ok(())
    }
}
