//! Compression of responses with gzip, with the header fields adapted to the new content.

mod accept;
mod gzip;
mod tags;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use crisol_core::BoxError;
use crisol_transport::{Cause, Problem};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;

use crate::body::Body;
use crate::context::Context;
use crate::handler::Handler;
use crate::headers::vary_by;
use crate::media;
use crate::response_head::has_no_content;
use crate::tree::RouteMatch;
use accept::Coding;
use gzip::{BufferedBody, CompleteBody, Gzip};

/// Content up to this size is compressed in memory, and sent unchanged if that did not make it smaller.
const SMALL: usize = 4 << 10;

/// Digests of the exact bytes sent; content with one of them is not encoded.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

pub(super) struct CompressHandler {
    pub(super) inner: Arc<dyn Handler>,
}

#[async_trait]
impl Handler for CompressHandler {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let choice = Coding::of(request.headers());
        let mut response = match choice {
            Coding::Neither if is_found(&context) => refusal(&context),
            _ => self.negotiated(context, request, choice).await,
        };
        vary_by(response.headers_mut(), "accept-encoding");
        response
    }
}

impl CompressHandler {
    async fn negotiated(
        &self,
        context: Context,
        mut request: Request<Body>,
        choice: Coding,
    ) -> Response<Body> {
        let method = request.method().clone();
        let known = tags::decode(&method, request.headers_mut(), choice);
        let mut response = self.inner.handle(context, request).await;
        if let (StatusCode::NOT_MODIFIED, Some(known)) = (response.status(), &known) {
            known.answer(response.headers_mut());
        }
        if choice.is_gzip() && may_be_coded(&response, choice) {
            return compressed(response, method == Method::HEAD, choice).await;
        }
        response
    }
}

fn refusal(context: &Context) -> Response<Body> {
    let detail = "`Accept-Encoding` excludes both `gzip` and `identity`: allow one of them";
    context.problem(Problem::new(Cause::NotAcceptable, detail))
}

/// True if there is a route. Without one, the client gets `404` regardless of `Accept-Encoding`.
fn is_found(context: &Context) -> bool {
    matches!(context.route_match, RouteMatch::Found { .. })
}

/// True if a response has content that may be encoded.
fn may_be_coded(response: &Response<Body>, choice: Coding) -> bool {
    let (status, headers) = (response.status(), response.headers());
    let partial =
        status == StatusCode::PARTIAL_CONTENT || headers.contains_key(header::CONTENT_RANGE);
    let gains = || headers.get(header::CONTENT_TYPE).is_some_and(media::is_compressible);
    !status.is_informational()
        && !has_no_content(status)
        && !partial
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !DIGESTS.iter().any(|name| headers.contains_key(name))
        && !is_no_transform(headers)
        && (choice == Coding::GzipOnly || gains())
}

/// True if `Cache-Control` has `no-transform`.
fn is_no_transform(headers: &HeaderMap) -> bool {
    let has = |line: &HeaderValue| {
        let mut quoted = false;
        // Commas in quoted values do not separate directives.
        let parts = line.as_bytes().split(|byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        });
        parts.into_iter().any(|part| part.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    };
    headers.get_all(header::CACHE_CONTROL).iter().any(has)
}

async fn compressed(response: Response<Body>, head: bool, choice: Coding) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let hint = body.size_hint();
    let length = declared(&parts.headers).or(hint.exact());
    let large = length.unwrap_or(hint.lower()) > SMALL as u64;
    if hint.exact() == Some(0) && !(head && large) {
        // No content, or the response to `HEAD` from a route that does not describe its content.
        return Response::from_parts(parts, body);
    }
    if large {
        return streamed(parts, body, length.is_some());
    }
    match BufferedBody::read(body, SMALL + 1).await.complete() {
        Ok(content) => smaller(parts, content, choice),
        Err(ahead) => streamed(parts, ahead, length.is_some()),
    }
}

/// The response, compressed while it is sent. If the length of its content is known, the compressed bytes depend
/// only on the content.
fn streamed<B>(mut parts: Parts, body: B, known_length: bool) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    coded(&mut parts.headers, known_length);
    Response::from_parts(parts, Body::stream(Gzip::new(body, !known_length)))
}

/// The response in its smaller form.
fn smaller(mut parts: Parts, content: CompleteBody, choice: Coding) -> Response<Body> {
    let only = choice == Coding::GzipOnly && !content.data.is_empty();
    let gains = |bytes: &Bytes| only || bytes.len() < content.data.len();
    let body = match content.compressed().filter(gains) {
        Some(bytes) => {
            coded(&mut parts.headers, true);
            content.with(bytes)
        }
        None => content.unchanged(),
    };
    Response::from_parts(parts, body)
}

/// The length in the head.
fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Adapts a head to compressed content.
fn coded(headers: &mut HeaderMap, reproducible: bool) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(header::CONTENT_LENGTH);
    // Ranges refer to unencoded content.
    headers.remove(header::ACCEPT_RANGES);
    tags::encode(headers, reproducible);
}
