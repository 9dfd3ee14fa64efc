//! HTTP messages as plain data, bodies in memory.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// A request whose body has arrived in full.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as the client sent it, percent-encoded, without the query.
    pub path: String,
    /// What stands after `?`, as the client sent it; `None` without a `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The parameters of the route's pattern, decoded, in the order of the pattern.
    pub params: Vec<(String, String)>,
    /// The body, complete.
    pub body: Bytes,
}

/// A response, complete.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those that belong to the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A status and nothing else.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// A `200` with a body of the given media type.
    #[must_use]
    pub fn ok(media: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Self { body: body.into(), ..Self::default() };
        response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        response
    }
}
