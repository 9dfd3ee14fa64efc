//! Streamed responses of HTTP handlers: polling the body drives the guest that produces it.

use std::pin::Pin;
use std::task::{Context as Wakers, Poll};

use bytes::Bytes;
use crisol_core::{BoxError, CallError, EntryId};
use crisol_engine::ProxyBody;
use crisol_server::{Body, FailureLog};
use http::{Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Log cause of failures after a complete response, which no client sees.
const AFTER: &str = "after-response";

/// Future of the running guest; ends with the guest's call.
pub(super) type Run = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

/// Builds the response whose body drives the guest.
pub(super) fn streamed(
    response: Response<ProxyBody>,
    run: Run,
    failures: Failures,
) -> Response<Body> {
    let left = content_length(&response);
    response.map(|body| {
        let run = Some(run);
        Body::stream(Driven { run, body, left, ended: false, failures })
    })
}

fn content_length(response: &Response<ProxyBody>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Log of failures of a guest whose response has begun.
#[derive(Clone)]
pub(super) struct Failures {
    pub(super) log: FailureLog,
    pub(super) function: EntryId,
}

impl Failures {
    fn log(&self, cause: &'static str, failure: &CallError, message: &str) {
        if self.log.admits(Some(&self.function), cause) {
            let error = failure as &dyn std::error::Error;
            tracing::error!(function = %self.function, error, "{message}");
        }
    }
}

/// Response body that a guest is still producing; polling it drives the guest.
struct Driven {
    /// The running guest; none after its call has ended.
    run: Option<Run>,
    body: ProxyBody,
    /// Bytes left of `content-length`; none without that header.
    left: Option<u64>,
    /// True once the body is complete.
    ended: bool,
    failures: Failures,
}

impl Driven {
    /// Polls the guest.
    ///
    /// # Errors
    /// The failure of its call.
    fn go_on(&mut self, cx: &mut Wakers<'_>) -> Result<(), CallError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Poll::Ready(over) = run.as_mut().poll(cx) else { return Ok(()) };
        self.run = None;
        over
    }

    fn poll_body(&mut self, cx: &mut Wakers<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.left = self.left.map(|left| left.saturating_sub(sent));
                self.ended = frame.is_trailers() || self.left == Some(0);
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }
}

impl HttpBody for Driven {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Wakers<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Frames that are ready go out first, even if the guest fails afterwards.
        let frame = self.poll_body(cx);
        if frame.is_ready() && !self.ended {
            return frame;
        }
        if let Err(failure) = self.go_on(cx) {
            if self.ended {
                self.failures.log(AFTER, &failure, "it failed after its response");
                return frame;
            }
            self.failures.log("broken-response", &failure, "the response broke off");
            return Poll::Ready(Some(Err(failure.into())));
        }
        if frame.is_ready() { frame } else { self.poll_body(cx) }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Lets a guest whose response is complete run to its end in a task of its own, within its deadline. Drops a guest
/// whose client left before that.
impl Drop for Driven {
    fn drop(&mut self) {
        let Some(run) = self.run.take().filter(|_| self.ended) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let failures = self.failures.clone();
            drop(runtime.spawn(async move {
                if let Err(failure) = run.await {
                    failures.log(AFTER, &failure, "it failed after its response");
                }
            }));
        }
    }
}
