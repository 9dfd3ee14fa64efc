//! From a request as it comes off a connection to its response: id, span, limits, route.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use crisol_transport::{Cause, Problem};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tracing::{Instrument, debug, error, error_span};

use crate::activity::{Activity, Busy};
use crate::body::Body;
use crate::client::Peer;
use crate::context::{Context, RequestId};
use crate::failures::FailureLog;
use crate::handler::send;
use crate::request_body::{self, Ending};
use crate::request_head;
use crate::response_head::{self, Asked};
use crate::site::Site;
use crate::streams::Progress;
use crate::tree::{Leaf, Outcome};

/// What the requests of one connection share.
pub(crate) struct Connection {
    pub(crate) site: Arc<ArcSwap<Site>>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) peer: Peer,
    pub(crate) secure: bool,
}

impl Connection {
    /// Answers one request.
    pub(crate) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        busy: Busy,
    ) -> Response<Body> {
        let site = self.site.load_full();
        let outcome = site.find(request.method(), request.uri().path());
        let named = site.id_header(&outcome, request.uri().path()).clone();
        let id = RequestId::of(request.headers(), &named);
        // Of the highest level, so that no log that has lines of this request is without its id.
        let span = error_span!("request", id = %id, method = %request.method(), path = request.uri().path());
        async move {
            let stamp = (named, id.header_value());
            let leaf = outcome.leaf().cloned();
            let asked =
                Asked { head: request.method() == Method::HEAD, version: request.version() };
            let is_kept = request_body::is_kept(&request);
            let declared = request.body().size_hint().lower();
            let (request, ending) = request_body::bounded(request, &site, &self.activity);
            let response = self.serve(&site, (id, outcome), declared, request).await;
            let log = (leaf.as_deref(), &site.failures);
            let mut response = sendable(asked, response, log, &stamp.1).await;
            self.close(is_kept, asked.version, ending.as_deref(), &mut response);
            response.headers_mut().insert(stamp.0, stamp.1);
            debug!(status = response.status().as_u16(), "answered");
            // The connection is busy until the body has left.
            response.map(|body| body.holding(Box::new(busy)).told_to(Progress::of_this_stream()))
        }
        .instrument(span)
        .await
    }

    /// Whether clients are to go elsewhere, and no further request of this one has been read.
    fn is_last(&self) -> bool {
        (self.activity.is_closing() || self.draining.load(Ordering::Relaxed))
            && !self.activity.is_ahead()
    }

    async fn serve(
        &self,
        site: &Site,
        (id, outcome): (RequestId, Outcome),
        declared: u64,
        mut request: Request<Body>,
    ) -> Response<Body> {
        let context = Context {
            id,
            peer: self.peer,
            secure: self.secure,
            outcome,
            deadline: None,
            read_timeout: site.timeouts.read,
            failures: site.failures.clone(),
        };
        let Ok(permit) = Arc::clone(&self.requests).try_acquire_owned() else {
            let detail = "the service has all the requests that it takes at once";
            return context.problem(Problem::new(Cause::Unavailable, detail));
        };
        // Over HTTP/1.1 they have been counted as they came.
        if request.headers().len() > site.limits.max_headers {
            let detail = "the request has more headers than this service takes";
            return context.problem(Problem::new(Cause::HeadersTooLarge, detail));
        }
        if let Err(problem) = request_head::settle(&mut request) {
            // Where one head is not understood, the next may not be one.
            let mut response = context.problem(problem);
            announce_close(request.version(), &mut response);
            return response;
        }
        if declared > site.limits.max_body_bytes {
            let detail = "the body is larger than this service takes";
            return context.problem(Problem::new(Cause::TooLarge, detail));
        }
        if request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return server_options();
        }
        let response = site.answer(context, request).await;
        response.map(|body| body.holding(Box::new(permit)))
    }

    /// Announces the end of a connection that no further request can follow on, over HTTP/1.1.
    fn close(
        &self,
        is_kept: bool,
        version: Version,
        ending: Option<&Ending>,
        response: &mut Response<Body>,
    ) {
        if !is_kept || response.headers().contains_key(header::CONNECTION) {
            self.activity.linger();
        }
        if self.is_last() || ending.is_some_and(Ending::is_cut) {
            announce_close(version, response);
        }
    }
}

/// Announces over HTTP/1.1 that no further request is taken. (HTTP/2 has streams to end instead.)
fn announce_close(version: Version, response: &mut Response<Body>) {
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The response, or a `500` in its place when it cannot be sent.
async fn sendable(
    asked: Asked,
    response: Response<Body>,
    (leaf, failures): (Option<&Leaf>, &FailureLog),
    id: &HeaderValue,
) -> Response<Body> {
    match response_head::settle(asked, response).await {
        Ok(response) => response,
        Err(reason) => {
            let route = leaf.map(|leaf| &*leaf.name);
            let entry = route.and_then(|name| name.parse().ok());
            if failures.admits(entry.as_ref(), "response") {
                error!(route, %reason, "the response cannot be sent");
            }
            let problem = Problem::new(Cause::Failed, "the function's response cannot be sent");
            let refusal = send(problem.into_response(id.to_str().ok()));
            if asked.head { response_head::head_alone(refusal) } else { refusal }
        }
    }
}

/// `OPTIONS *` asks for the server as a whole.
fn server_options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
