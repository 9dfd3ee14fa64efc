//! Responses whose body a guest is still making: reading one is what lets the guest go on.

use std::pin::Pin;
use std::task::{Context as Wakers, Poll};

use bytes::Bytes;
use crisol_core::{BoxError, CallError, EntryId};
use crisol_engine::ProxyBody;
use crisol_server::{Body, FailureLog};
use http::{Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The cause of failures that no client sees, in the log.
const AFTER: &str = "after-response";

/// The guest, running: it is over when it has returned.
pub(super) type Run = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

/// The response, with the guest that makes its body.
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

/// Failures of a guest whose response has begun.
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

/// A response's body that a guest is making still: reading it is what lets the guest go on.
struct Driven {
    /// None when the guest has returned.
    run: Option<Run>,
    body: ProxyBody,
    /// What is left of the promised length.
    left: Option<u64>,
    /// Whether the body has come to its end.
    ended: bool,
    failures: Failures,
}

impl Driven {
    /// Lets the guest go on.
    ///
    /// # Errors
    /// When it failed.
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
        // What is there already goes out first: a guest that then fails has sent it.
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

/// A guest whose response is complete may work on until its deadline, as on other servers; one whose
/// client has gone is dropped with it.
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
