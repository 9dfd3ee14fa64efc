//! From a request as it comes off a connection to its response: id, span, limits, route.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use crisol_transport::{Cause, Problem};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tracing::{Instrument, debug, error_span};

use crate::activity::Activity;
use crate::body::{Body, Timed};
use crate::client::Peer;
use crate::context::{Context, RequestId};
use crate::site::Site;
use crate::streams::Progress;
use crate::tree::Outcome;

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
    pub(crate) async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let busy = self.activity.begin();
        let version = request.version();
        if version <= Version::HTTP_11 {
            self.activity.claim(length(&request));
        }
        let site = self.site.load_full();
        let outcome = site.find(request.method(), request.uri().path());
        let named = site.id_header(&outcome, request.uri().path()).clone();
        let id = RequestId::of(request.headers(), &named);
        // Of the highest level, so that no log that has lines of this request is without its id.
        let span = error_span!("request", id = %id, method = %request.method(), path = request.uri().path());
        async move {
            let head = request.method() == Method::HEAD;
            let stamp = id.header_value();
            let mut response = self.serve(&site, (id, outcome), request).await;
            response.headers_mut().insert(named, stamp);
            if head {
                response = without_body(response);
            }
            if self.is_last() {
                response = closing(version, response);
            }
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
        request: Request<Incoming>,
    ) -> Response<Body> {
        let method = request.method();
        let context = Context {
            id,
            peer: self.peer,
            secure: self.secure,
            outcome,
            deadline: None,
            read_timeout: site.timeouts.read,
        };
        let Ok(permit) = Arc::clone(&self.requests).try_acquire_owned() else {
            let detail = "the service has all the requests that it takes at once";
            return context.problem(Problem::new(Cause::Unavailable, detail));
        };
        if request.body().size_hint().lower() > site.limits.max_body_bytes {
            let detail = "the body is larger than this service takes";
            let refusal = context.problem(Problem::new(Cause::TooLarge, detail));
            return closing(request.version(), refusal);
        }
        if method == Method::OPTIONS && request.uri().path() == "*" {
            return server_options();
        }
        let response = site.answer(context, request.map(|body| bounded(body, site))).await;
        response.map(|body| body.holding(Box::new(permit)))
    }
}

/// Bytes of a request of HTTP/1.1 as clients write it: one space after each colon, and a body of known
/// length. Of any other it is too small a number.
fn length(request: &Request<Incoming>) -> u64 {
    let uri = request.uri();
    let origin = uri.scheme_str().zip(uri.authority());
    let origin =
        origin.map_or(0, |(scheme, host)| scheme.len() + "://".len() + host.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let line = request.method().as_str().len() + "  HTTP/1.1\r\n".len() + origin + path;
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let head = line + headers + "\r\n".len();
    head as u64 + request.body().size_hint().exact().unwrap_or(0)
}

/// A request's body within the service's limits.
fn bounded(body: Incoming, site: &Site) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let limit = usize::try_from(site.limits.max_body_bytes).unwrap_or(usize::MAX);
    Body::stream(Limited::new(Timed::new(body, site.timeouts.read), limit))
}

/// `OPTIONS *` asks for the server as a whole.
fn server_options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The last response of its connection. (HTTP/2 has frames of its own for that.)
fn closing(version: Version, mut response: Response<Body>) -> Response<Body> {
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The head that the same request with `GET` would have.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let no_content = parts.status == StatusCode::NO_CONTENT;
    if let Some(length) = body.size_hint().exact().filter(|_| !no_content) {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}
