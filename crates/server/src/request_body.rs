//! Request bodies within the service's limits, and the rest of bodies that a handler does not read.
//!
//! A client may not read a response before it has sent its whole body, and closing a socket with unread input loses
//! the response. Unread input is therefore discarded up to a limit; beyond the limit, the connection announces its
//! close and lingers (see module `io`).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use crisol_core::BoxError;
use http::{Request, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::activity::Activity;
use crate::body::{Body, BodyTimeout};
use crate::checked_service::CheckedService;
use crate::io::LINGER_BYTES;

/// Outcome of an exchange, as far as its request's body determines it.
#[derive(Debug, Default)]
pub(crate) struct BodyOutcome(AtomicBool);

impl BodyOutcome {
    /// True if input stays unread, so that no further request can follow on this connection.
    pub(crate) fn must_close(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body as it arrives: bounded in time, with its rest discarded if it is dropped early.
struct RequestBody {
    /// `None` once it was read to its end or failed.
    incoming: Option<Incoming>,
    within: Duration,
    /// Created at the first wait for the body; most bodies arrive with their headers.
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that the service accepts beyond those read.
    left: u64,
    over_http2: bool,
    /// True if another request may follow once the rest is discarded.
    kept: bool,
    /// The client waits for `100 Continue`, which the first read sends.
    expects: bool,
    activity: Arc<Activity>,
    outcome: Arc<BodyOutcome>,
}

/// Bounds a request's body by the service's limits; with `kept`, another request may follow. The second value
/// reports the outcome of the exchange; `None` without a body.
pub(crate) fn bounded(
    request: Request<Incoming>,
    kept: bool,
    service: &CheckedService,
    activity: &Arc<Activity>,
) -> (Request<Body>, Option<Arc<BodyOutcome>>) {
    if request.body().is_end_stream() {
        return (request.map(|_| Body::empty()), None);
    }
    let outcome = Arc::new(BodyOutcome::default());
    let limit = service.limits.max_body_bytes;
    let expects = request.headers().contains_key(header::EXPECT);
    let over_http2 = request.version() == Version::HTTP_2;
    let request = request.map(|incoming| {
        let body = RequestBody {
            incoming: Some(incoming),
            within: service.timeouts.read,
            timer: None,
            left: limit,
            over_http2,
            kept,
            expects,
            activity: Arc::clone(activity),
            outcome: Arc::clone(&outcome),
        };
        Body::stream(Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)))
    });
    (request, Some(outcome))
}

/// True if another request may follow on the same connection.
pub(crate) fn is_kept<B>(request: &Request<B>) -> bool {
    let says = |token: &str| {
        let mut lines = request.headers().get_all(header::CONNECTION).iter();
        lines.any(|line| {
            let mut tokens = line.to_str().unwrap_or_default().split(',');
            tokens.any(|one| one.trim().eq_ignore_ascii_case(token))
        })
    };
    match request.version() {
        Version::HTTP_2 => true,
        Version::HTTP_11 => !says("close"),
        _ => says("keep-alive"),
    }
}

impl RequestBody {
    /// Counts a piece that was read.
    fn read(&mut self, piece: &Frame<Bytes>) {
        let bytes = piece.data_ref().map_or(0, Bytes::len);
        self.left = self.left.saturating_sub(bytes as u64);
        self.expects = false;
    }

    /// Maximum bytes to discard; `None` if the connection cannot continue.
    fn allowance(&self, rest: &Incoming) -> Option<u64> {
        // A stream of HTTP/2 cannot linger after its response like a connection can.
        if self.over_http2 {
            return Some(LINGER_BYTES);
        }
        let goes_on = self.kept && !self.expects && self.left > 0;
        let allowed = match rest.size_hint().exact() {
            Some(length) => (length <= self.left).then_some(length),
            // The response may already be sent by the time the body proves long.
            None => Some(LINGER_BYTES),
        };
        allowed.filter(|_| goes_on)
    }

    /// Ends the connection after this response.
    fn cut(&self) {
        self.outcome.0.store(true, Ordering::Relaxed);
        self.activity.linger();
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            match &frame {
                Some(Ok(piece)) => this.read(piece),
                Some(Err(_)) => {
                    this.incoming = None;
                    this.cut();
                }
                None => this.incoming = None,
            }
            if let Some(timer) = &mut this.timer {
                timer.as_mut().reset(Instant::now() + this.within);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let within = this.within;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(within)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                // After a stall, the client is not waited for again.
                this.incoming = None;
                this.cut();
                Poll::Ready(Some(Err(Box::new(BodyTimeout { within }))))
            }
            Poll::Pending => {
                this.expects = false;
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.incoming.take().filter(|incoming| !incoming.is_end_stream());
        let Some(incoming) = rest else { return };
        let (Some(allowance), Ok(runtime)) = (self.allowance(&incoming), Handle::try_current())
        else {
            return self.cut();
        };
        let (within, activity) = (self.within, Arc::clone(&self.activity));
        let busy = self.activity.occupy();
        runtime.spawn(async move {
            let _busy = busy;
            let all = timeout(within, discard(incoming, allowance)).await;
            if !matches!(all, Ok(true)) {
                activity.linger();
            }
        });
    }
}

/// Reads a body to its end; false if it exceeds the allowance or breaks off.
async fn discard(mut incoming: Incoming, mut allowance: u64) -> bool {
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else { return false };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = allowance.checked_sub(bytes) else { return false };
        allowance = left;
    }
    true
}
