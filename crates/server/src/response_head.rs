//! Checks on a response's head before it is sent. A response that HTTP cannot carry becomes a `500` and a log line,
//! never a silently closed connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use crisol_core::BoxError;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tracing::{Span, error};

use crate::body::Body;

/// Bytes of a body that are read before its head is sent.
const PEEK_BYTES: usize = 64 << 10;

/// Reason why a response cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("invalid status {0}: expected 200 to 599")]
    Status(StatusCode),
    #[error("invalid `content-length`: expected one number")]
    NoLength,
    #[error("`content-length` is {promised}, but the body has {found} bytes")]
    Length { promised: u64, found: u64 },
    #[error("`content-length` is {promised}, but the body broke off after {found} bytes: {reason}")]
    Broken { promised: u64, found: u64, reason: String },
}

/// Parts of the request that determine the response's head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestInfo {
    pub(crate) head: bool,
    pub(crate) version: Version,
}

/// Checks a response, and removes parts that its status or its request do not allow. If the body is still being
/// produced, also returns the length that [`enforce_length`] must hold it to.
///
/// # Errors
/// Fails if the response cannot be sent.
pub(crate) fn normalize(
    info: RequestInfo,
    response: Response<Body>,
) -> Result<(Response<Body>, Option<u64>), ResponseError> {
    let status = response.status();
    if !(200..600).contains(&status.as_u16()) {
        return Err(ResponseError::Status(status));
    }
    let length = length(response.headers())?;
    if has_no_content(status) {
        return Ok((without_content(info, response, length), None));
    }
    if info.head {
        return Ok((head_alone(response), None));
    }
    match (length, response.body().size_hint().exact()) {
        (Some(promised), Some(found)) if promised != found => {
            Err(ResponseError::Length { promised, found })
        }
        (Some(promised), None) => Ok((response, Some(promised))),
        _ => Ok((response, None)),
    }
}

/// True if responses with this status have no content (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5).
pub(crate) fn has_no_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length that a head announces.
fn length(headers: &HeaderMap) -> Result<Option<u64>, ResponseError> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let digits = line.to_str().unwrap_or_default();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let length = digits.parse().ok().filter(|_| is_number && lines.next().is_none());
    length.map(Some).ok_or(ResponseError::NoLength)
}

/// A response without content. Only `304` keeps a length: that of the content it stands for.
fn without_content(
    info: RequestInfo,
    response: Response<Body>,
    length: Option<u64>,
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    body.drain();
    let is_kept = parts.status == StatusCode::NOT_MODIFIED;
    let body = match length {
        // For HTTP/1.1, the head is written with the length of its body only.
        Some(length) if is_kept && info.version <= Version::HTTP_11 && !info.head => {
            Body::stream(OmittedContent(length))
        }
        _ => Body::empty(),
    };
    if !is_kept {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Response::from_parts(parts, body)
}

/// The head that the same request with `GET` would get.
pub(crate) fn head_alone(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    body.drain();
    Response::from_parts(parts, Body::empty())
}

/// Holds a response's body to the length announced by its head. The available part of the body is read first, while
/// the head can still be replaced.
///
/// # Errors
/// Fails if that part shows another length.
pub(crate) async fn enforce_length(
    promised: u64,
    response: Response<Body>,
) -> Result<Response<Body>, ResponseError> {
    let (parts, mut body) = response.into_parts();
    let mut ahead: VecDeque<Frame<Bytes>> = VecDeque::with_capacity(2);
    let mut found: u64 = 0;
    loop {
        let next = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        let frame = match next {
            Poll::Pending => break,
            Poll::Ready(None) if found == promised => {
                if let [piece] = ahead.make_contiguous()
                    && let Some(bytes) = piece.data_ref()
                {
                    // The body is complete.
                    return Ok(Response::from_parts(parts, Body::from(bytes.clone())));
                }
                break;
            }
            Poll::Ready(None) => return Err(ResponseError::Length { promised, found }),
            Poll::Ready(Some(Err(error))) => {
                return Err(ResponseError::Broken { promised, found, reason: error.to_string() });
            }
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        found += frame.data_ref().map_or(0, Bytes::len) as u64;
        ahead.push_back(frame);
        if found > promised {
            return Err(ResponseError::Length { promised, found });
        }
        if found >= PEEK_BYTES as u64 || ahead.len() >= 16 {
            break;
        }
    }
    let body = LengthChecked { body, ahead, promised, left: promised, span: Span::current() };
    Ok(Response::from_parts(parts, Body::stream(body)))
}

/// A body that ends with an error if its length differs from the announced one.
struct LengthChecked {
    body: Body,
    /// Pieces that were read before the head is sent.
    ahead: VecDeque<Frame<Bytes>>,
    promised: u64,
    left: u64,
    /// Span of the request, for the log.
    span: Span,
}

impl LengthChecked {
    fn broken(&self, found: u64) -> BoxError {
        let error = ResponseError::Length { promised: self.promised, found };
        self.span.in_scope(|| error!(%error, "the response broke off"));
        error.into()
    }
}

impl HttpBody for LengthChecked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let next = match this.ahead.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut this.body).poll_frame(cx),
        };
        let sent = this.promised - this.left;
        match &next {
            Poll::Ready(None) if this.left > 0 => Poll::Ready(Some(Err(this.broken(sent)))),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                match this.left.checked_sub(bytes) {
                    Some(left) => this.left = left,
                    None => return Poll::Ready(Some(Err(this.broken(sent + bytes)))),
                }
                next
            }
            _ => next,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Content that is announced in the head and not sent.
struct OmittedContent(u64);

impl HttpBody for OmittedContent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

impl Body {
    /// Reads a body that is not sent to its end, in a separate task: a guest makes progress by producing its body.
    /// The guest's own deadline bounds the task.
    fn drain(self) {
        if self.is_end_stream() || self.size_hint().exact().is_some() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let mut body = self;
                while let Some(Ok(_)) = body.frame().await {}
            });
        }
    }
}
