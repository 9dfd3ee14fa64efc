//! Middleware of routers.

mod compress;
mod cors;
mod rate_limit;
mod request_id;
mod timeout;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use crate::handler::Handler;

/// Middleware that requests pass before their route.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Middleware {
    /// Responds to preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) and lets scripts of
    /// other origins read responses.
    Cors(Cors),
    /// Compresses responses with gzip, for clients that accept it and if that makes them smaller: text, JSON, XML,
    /// scripts and WebAssembly, but not event streams. Partial content, encoded content and `Cache-Control:
    /// no-transform` are left unchanged.
    Compress,
    /// Refuses clients above a request rate, with `429`.
    RateLimit(RateLimit),
    /// Passes the request's id to the route in this header, and uses the same header for the client's own id and
    /// for the response. (By default that is `x-request-id`; responses and logs always have the id.)
    RequestId(HeaderName),
    /// Ends a request with `504` if it has no response within this time, and cancels its work.
    Timeout(Duration),
}

/// Settings of cross-origin sharing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Origins that may read responses; empty for any.
    pub origins: Vec<String>,
    /// Methods that scripts may use; empty for any, so that a preflight allows the method it asks about.
    pub methods: Vec<Method>,
    /// Request headers that scripts may send; empty for any, so that a preflight allows the headers it asks about:
    /// `*` would not cover `Authorization`.
    pub headers: Vec<HeaderName>,
    /// Response headers that scripts may read.
    pub expose: Vec<HeaderName>,
    /// True to allow cookies; needs a list of `origins`.
    pub credentials: bool,
    /// Time for which a browser may cache a preflight's response.
    pub max_age: Option<Duration>,
}

/// Rate limit of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of requests in each `per`.
    pub requests: u32,
    /// Period for `requests`, which are spread evenly over it.
    pub per: Duration,
    /// Requests that may come at once after a pause; at least one.
    pub burst: u32,
    /// Group of requests that the limit counts together.
    pub by: RateLimitBy,
}

/// Group of requests that a rate limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateLimitBy {
    /// Those of one client address; for IPv6, of one /64.
    #[default]
    Client,
    /// All requests.
    All,
}

/// Error in the settings of a middleware.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MiddlewareError {
    /// Browsers refuse cookies if any origin is allowed.
    #[error("`cors` with `credentials`: list the allowed `origins`")]
    CredentialsForAll,
    /// An origin that is not valid in a header.
    #[error("`cors`: invalid origin `{0}`: expected a form like `https://example.com`")]
    Origin(String),
    /// The rate is zero, or has no period.
    #[error("`ratelimit` allows no request: set `requests`, `per` and `burst` above zero")]
    NoRate,
    /// The timeout is zero.
    #[error("`timeout` is zero: use more than zero")]
    NoTime,
}

impl Middleware {
    /// Wraps a handler in the middleware.
    pub(crate) fn wrap(
        &self,
        inner: Arc<dyn Handler>,
    ) -> Result<Arc<dyn Handler>, MiddlewareError> {
        Ok(match self {
            Self::Cors(cors) => Arc::new(cors::CorsHandler::new(cors, inner)?),
            Self::Compress => Arc::new(compress::CompressHandler { inner }),
            Self::RateLimit(rate) => Arc::new(rate_limit::RateLimitHandler::new(*rate, inner)?),
            Self::RequestId(name) => {
                Arc::new(request_id::RequestIdHandler { name: name.clone(), inner })
            }
            Self::Timeout(time) if time.is_zero() => return Err(MiddlewareError::NoTime),
            Self::Timeout(time) => Arc::new(timeout::TimeoutHandler { within: *time, inner }),
        })
    }
}
