//! A request's path to its response: id, span, limits, route.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use crisol_transport::{Cause, Problem};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tracing::{Instrument, debug, error, error_span};

use crate::activity::{Activity, BusyGuard};
use crate::body::Body;
use crate::checked_service::{CheckedService, ResponseFuture};
use crate::client::Peer;
use crate::context::{Context, RequestId};
use crate::failures::FailureLog;
use crate::handler::send;
use crate::request_body::{self, BodyOutcome};
use crate::request_head;
use crate::response_head::{self, RequestInfo, ResponseError};
use crate::stream_executor::StreamProgress;
use crate::tree::{Leaf, RouteMatch};

/// State shared by the requests of one connection.
pub(crate) struct Connection {
    pub(crate) service: Arc<ArcSwap<CheckedService>>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) peer: Peer,
    pub(crate) secure: bool,
}

impl Connection {
    /// Responds to one request.
    ///
    /// Not an `async fn`, which would store the request twice: the protocol moves this future for each request.
    pub(crate) fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        busy: BusyGuard,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send {
        let service = self.service.load_full();
        let route_match = service.find(request.method(), request.uri().path());
        let named = service.id_header(&route_match, request.uri().path()).clone();
        let id = RequestId::of(request.headers(), &named);
        // At the highest level, so that every log line of this request has its id.
        let span = error_span!("request", id = %id, method = %request.method(), path = request.uri().path());
        async move {
            let leaf = route_match.leaf().cloned();
            let info =
                RequestInfo { head: request.method() == Method::HEAD, version: request.version() };
            let is_kept = request_body::is_kept(&request);
            let declared = request.body().size_hint().lower();
            let (request, body_outcome) =
                request_body::bounded(request, is_kept, &service, &self.activity);
            let permit = Arc::clone(&self.requests).try_acquire_owned().ok();
            let context = self.context(&service, id.clone(), route_match);
            let answering = serve(&service, permit.is_some(), (context, declared), request);
            let response = answering.await;
            let normalized = match response_head::normalize(info, response) {
                Ok((response, Some(promised))) => {
                    Box::pin(response_head::enforce_length(promised, response)).await
                }
                Ok((response, None)) => Ok(response),
                Err(reason) => Err(reason),
            };
            let mut response = normalized.unwrap_or_else(|reason| {
                unsendable(info, &reason, (leaf.as_deref(), &service.failures), &id)
            });
            self.close(is_kept, info.version, body_outcome.as_deref(), &mut response);
            response.headers_mut().insert(named, id.header_value());
            debug!(status = response.status().as_u16(), "answered");
            // Both are held until the body was sent.
            let held = Box::new((permit, busy));
            Ok(response
                .map(|body| body.holding(held).reporting_to(StreamProgress::of_this_stream())))
        }
        .instrument(span)
    }

    fn context(&self, service: &CheckedService, id: RequestId, route_match: RouteMatch) -> Context {
        Context {
            id,
            peer: self.peer,
            secure: self.secure,
            route_match,
            deadline: None,
            read_timeout: service.timeouts.read,
            failures: service.failures.clone(),
        }
    }

    /// True if clients are to go elsewhere and no further request of this client was read.
    fn is_last(&self) -> bool {
        (self.activity.state.is_closing() || self.draining.load(Ordering::Relaxed))
            && !self.activity.state.is_ahead()
    }

    /// Announces over HTTP/1.1 that the connection closes, if no further request can follow on it.
    fn close(
        &self,
        is_kept: bool,
        version: Version,
        body_outcome: Option<&BodyOutcome>,
        response: &mut Response<Body>,
    ) {
        if !is_kept || response.headers().contains_key(header::CONNECTION) {
            self.activity.linger();
        }
        if self.is_last() || body_outcome.is_some_and(BodyOutcome::must_close) {
            announce_close(version, response);
        }
    }
}

/// Announces over HTTP/1.1 that no further request is accepted. (HTTP/2 ends streams instead.)
fn announce_close(version: Version, response: &mut Response<Body>) {
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Responds to a request, or refuses it.
fn serve(
    service: &CheckedService,
    is_permitted: bool,
    (context, declared): (Context, u64),
    mut request: Request<Body>,
) -> ResponseFuture<'_> {
    if !is_permitted {
        let detail = "the service has reached its limit of concurrent requests";
        return now(context.problem(Problem::new(Cause::Unavailable, detail)));
    }
    // Over HTTP/1.1 the parser has counted them.
    if request.headers().len() > service.limits.max_headers {
        let detail = "the request has more headers than the service accepts";
        return now(context.problem(Problem::new(Cause::HeadersTooLarge, detail)));
    }
    if let Err(problem) = request_head::normalize(&mut request) {
        // After an invalid head, the start of the next one is not certain.
        let mut response = context.problem(problem);
        announce_close(request.version(), &mut response);
        return now(response);
    }
    if declared > service.limits.max_body_bytes {
        let detail = "the body exceeds the size limit of the service";
        return now(context.problem(Problem::new(Cause::TooLarge, detail)));
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return now(server_options());
    }
    service.answer(context, request)
}

/// Wraps a response that is ready.
fn now(response: Response<Body>) -> ResponseFuture<'static> {
    Box::pin(ready(response))
}

/// The `500` response in place of one that cannot be sent.
#[cold]
fn unsendable(
    info: RequestInfo,
    reason: &ResponseError,
    (leaf, failures): (Option<&Leaf>, &FailureLog),
    id: &RequestId,
) -> Response<Body> {
    let route = leaf.map(|leaf| &*leaf.name);
    let entry = route.and_then(|name| name.parse().ok());
    if failures.admits(entry.as_ref(), "response") {
        error!(route, %reason, "the response cannot be sent");
    }
    let problem = Problem::new(Cause::Failed, "the function's response cannot be sent");
    let refusal = send(problem.into_response(Some(id.as_str())));
    if info.head { response_head::head_alone(refusal) } else { refusal }
}

/// Responds to `OPTIONS *`, which asks about the server as a whole.
fn server_options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_a_request_is_small() {
        let size = size(Connection::respond);
        assert!(size <= 1024, "{size} bytes");
    }
}
