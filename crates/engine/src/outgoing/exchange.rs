//! One request and its response over a stream of its own, with timeouts and size limits.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody};

use super::connect::Stream;
use super::{Processed, SendResult};

/// Maximum bytes of a response head. Hyper checks after each read, so up to twice as much may pass.
const MAX_HEAD: usize = 64 << 10;

/// Timeouts of a request, with defaults; the deadline of the call applies as well.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Timeouts {
    pub(super) fn new(options: RequestOptions) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect: options.connect_timeout.unwrap_or(Duration::from_secs(10)),
            first_byte: options.first_byte_timeout.unwrap_or(minute),
            between_bytes: options.between_bytes_timeout.unwrap_or(minute),
        }
    }

    pub(super) async fn connecting<T>(
        self,
        opening: impl Future<Output = Result<T, HttpError>>,
    ) -> Result<T, HttpError> {
        timeout(self.connect, opening).await.unwrap_or(Err(HttpError::ConnectionTimeout))
    }
}

/// Sends the request and waits for the response head. The returned future must be polled for the body to
/// arrive, and holds the permit while the connection is open.
pub(super) async fn run(
    stream: Box<dyn Stream>,
    mut request: Request<WasiBody>,
    timeouts: Timeouts,
    max_bytes: u64,
    permit: OwnedSemaphorePermit,
) -> SendResult {
    // The `host` header names the peer; a server takes an absolute URI for a proxy request.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| HttpError::HttpRequestUriInvalid)?;
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
    let mut connection = Box::pin(connection);
    let mut open = true;
    let head = {
        let mut answered = pin!(timeout(timeouts.first_byte, sender.send_request(request)));
        tokio::select! {
            biased;
            answered = &mut answered => answered,
            // The connection may end with the response already received.
            ended = &mut connection => match ended {
                Ok(()) => {
                    open = false;
                    answered.await
                }
                Err(error) => return Err(error.into()),
            },
        }
    };
    let response = head.map_err(|_| HttpError::ConnectionReadTimeout)??;
    let response = response.map(|body| {
        let (pause, left) = (timeouts.between_bytes, max_bytes);
        Answer { body, left, max_bytes, pause, waiting: Box::pin(sleep(pause)) }.boxed_unsync()
    });
    let io: Processed = Box::new(async move {
        let _held = permit;
        // The connection is not reused: it ends with this exchange.
        drop(sender);
        if open && let Err(error) = connection.await {
            // The reader of the body gets this error, so a warning here would only repeat it.
            tracing::debug!(?error, "the connection of an outgoing HTTP request broke");
        }
        Ok(())
    });
    Ok((response, io))
}

/// A response body with a timeout and a size limit.
struct Answer {
    body: Incoming,
    left: u64,
    max_bytes: u64,
    pause: Duration,
    waiting: Pin<Box<Sleep>>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => frame?,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                ready!(self.waiting.as_mut().poll(cx));
                return Poll::Ready(Some(Err(HttpError::ConnectionReadTimeout)));
            }
        };
        let pause = self.pause;
        self.waiting.as_mut().reset(Instant::now() + pause);
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        Poll::Ready(Some(match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                Ok(frame)
            }
            None => Err(HttpError::HttpResponseBodySize(Some(self.max_bytes))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
