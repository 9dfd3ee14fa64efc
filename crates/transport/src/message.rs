//! HTTP messages as plain data, with bodies in memory.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// A complete request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as the client sent it, percent-encoded, without the query.
    pub path: String,
    /// The query, without `?`, as the client sent it; `None` without a `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// Parameters of the route's pattern, decoded, in the order of the pattern.
    pub params: Vec<(String, String)>,
    /// The complete body.
    pub body: Bytes,
}

/// A complete response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A response with only a status.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// A `200` response with a body of the given media type.
    #[must_use]
    pub fn ok(media: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Self { body: body.into(), ..Self::default() };
        response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        response
    }
}
