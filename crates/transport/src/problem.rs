//! Failures as a status and a problem document (RFC 9457).

use bytes::Bytes;
use crisol_core::{CallError, ErrorKind, Value};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::json::Json;
use crate::message::Response;

/// Seconds that a client should wait before it retries an overloaded function.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Cause of a failed request. `docs/http.md` lists the status of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The request does not carry the function's arguments.
    BadRequest,
    /// No route has this path, or its function no longer exists.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The client accepts no content coding that the router can send.
    NotAcceptable,
    /// The client took too long to send its request.
    RequestTimeout,
    /// A condition of the request does not hold for the file.
    PreconditionFailed,
    /// The body exceeds the service's limit.
    TooLarge,
    /// The body's media type, charset or encoding is not supported.
    UnsupportedMedia,
    /// The request asks for a tunnel, or has an unsupported transfer coding.
    NotImplemented,
    /// The range lies outside the file.
    RangeNotSatisfiable,
    /// The client exceeds the router's rate limit.
    RateLimited,
    /// The request has more headers than the service accepts.
    HeadersTooLarge,
    /// The function returned the error side of its result.
    Function,
    /// The function failed.
    Failed,
    /// The service or function is overloaded, or the function is being stopped.
    Unavailable,
    /// The function was stopped while it ran: a retry may repeat its effects.
    Interrupted,
    /// The function's time limit or the router's timeout passed.
    Deadline,
}

impl Cause {
    /// Default status of the cause.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Self::Function | Self::Failed | Self::Interrupted => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<ErrorKind> for Cause {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::InvalidInput => Self::BadRequest,
            ErrorKind::Function => Self::Function,
            ErrorKind::Deadline => Self::Deadline,
            ErrorKind::Saturated | ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// A problem document (RFC 9457), not serialized yet: the server adds the request id.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    cause: Cause,
    status: StatusCode,
    detail: String,
    error: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    log_detail: Option<String>,
}

impl Problem {
    /// Creates a problem with the status of its cause. `detail` is sent to the client: it must hold no internal
    /// detail.
    #[must_use]
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        let mut headers = Vec::new();
        if matches!(cause, Cause::Unavailable | Cause::RateLimited) {
            headers.push((header::RETRY_AFTER, RETRY_AFTER));
        }
        let (status, detail) = (cause.status(), detail.into());
        Self { cause, status, detail, error: None, headers, log_detail: None }
    }

    /// Problem for a path that exists, but not with this method.
    #[must_use]
    pub fn method_not_allowed(method: &Method, allow: HeaderValue) -> Self {
        let allowed = String::from_utf8_lossy(allow.as_bytes()).into_owned();
        let detail = format!("method `{method}` is not allowed: use {allowed}");
        Self::new(Cause::MethodNotAllowed, detail).with_header(header::ALLOW, allow)
    }

    /// Problem for a result that is not a valid response although its type declares one, which is a defect of the
    /// function. `log_detail` goes to the log and not to the client.
    #[must_use]
    pub(crate) fn bad_reply(log_detail: impl Into<String>) -> Self {
        let problem = Self::new(Cause::Failed, "the function failed");
        Self { log_detail: Some(log_detail.into()), ..problem }
    }

    /// Sets a header, replacing one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Sets the status, as requested by a function's own error.
    #[must_use]
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Adds the function's own error as a member.
    #[must_use]
    pub(crate) fn with_error(self, error: Value) -> Self {
        Self { error: Some(error), ..self }
    }

    /// Cause of the problem.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Detail for the log only, if there is any.
    #[must_use]
    pub fn log_detail(&self) -> Option<&str> {
        self.log_detail.as_deref()
    }

    /// Serializes the document, with `request_id` as the reference to the log.
    #[must_use]
    pub fn into_response(self, request_id: Option<&str>) -> Response {
        let document = Document { problem: &self, request_id };
        // A document of text and a `Json` value always has a JSON form.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut headers: HeaderMap = self.headers.into_iter().collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        Response { status: self.status, headers, body: Bytes::from(body) }
    }
}

impl From<&CallError> for Problem {
    fn from(error: &CallError) -> Self {
        Self::new(error.kind().into(), error.public_message())
    }
}

struct Document<'a> {
    problem: &'a Problem,
    request_id: Option<&'a str>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let problem = self.problem;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "about:blank")?;
        map.serialize_entry("title", problem.status.canonical_reason().unwrap_or("Error"))?;
        map.serialize_entry("status", &problem.status.as_u16())?;
        map.serialize_entry("detail", &problem.detail)?;
        if let Some(error) = &problem.error {
            map.serialize_entry("error", &Json(error))?;
        }
        if let Some(id) = self.request_id {
            map.serialize_entry("request_id", id)?;
        }
        map.end()
    }
}
