//! What requests pass on the way to a route.

mod compress;
mod cors;
mod rate_limit;
mod request_id;
mod timeout;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use crate::handler::Handler;

/// One thing that requests pass on the way to a route.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Middleware {
    /// Answers preflights (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) and lets scripts of
    /// other origins read responses.
    Cors(Cors),
    /// Compresses responses with gzip for clients that take it, where that makes them smaller: text, JSON, XML,
    /// scripts, WebAssembly, and no event streams. Parts of files, what is encoded already and
    /// `Cache-Control: no-transform` are left alone.
    Compress,
    /// Refuses clients that ask too often, with `429`.
    RateLimit(RateLimit),
    /// Hands the request's id on to the route in this header, which is also the one that the client's
    /// own id is taken from and that the response has it in. (Without it that is `x-request-id`, which
    /// responses and logs have always.)
    RequestId(HeaderName),
    /// Ends a request with `504` when it is not answered by then; what runs is cancelled.
    Timeout(Duration),
}

/// Cross-origin sharing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Origins that may read; empty for any.
    pub origins: Vec<String>,
    /// Methods that may be used; empty for any, which lists the one that the browser asks about.
    pub methods: Vec<Method>,
    /// Request headers that may be sent; empty for any, which lists those that the browser asks about:
    /// `*` would not cover `Authorization`.
    pub headers: Vec<HeaderName>,
    /// Response headers that scripts may see.
    pub expose: Vec<HeaderName>,
    /// Whether cookies go along; only with `origins` listed.
    pub credentials: bool,
    /// How long a preflight's answer holds.
    pub max_age: Option<Duration>,
}

/// How often a router may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests …
    pub requests: u32,
    /// … in this time, evenly.
    pub per: Duration,
    /// Requests that may come at once after a pause; at least one.
    pub burst: u32,
    /// Whose requests count together.
    pub by: RateLimitBy,
}

/// Whose requests count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateLimitBy {
    /// Those of one client address; of IPv6, of one /64.
    #[default]
    Client,
    /// All.
    All,
}

/// Why a middleware cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MiddlewareError {
    /// Browsers refuse cookies for any origin.
    #[error("`cors` with `credentials` needs its `origins` listed")]
    CredentialsForAll,
    /// An origin that cannot stand in a header.
    #[error("`cors`: `{0}` is not an origin: write `https://example.com`")]
    Origin(String),
    /// Zero requests, or no time.
    #[error("`ratelimit` allows nothing: give `requests`, `per` and `burst` above zero")]
    NoRate,
    /// No time.
    #[error("`timeout` is zero: allow some time")]
    NoTime,
}

impl Middleware {
    /// Puts the middleware around a handler.
    pub(crate) fn wrap(
        &self,
        inner: Arc<dyn Handler>,
    ) -> Result<Arc<dyn Handler>, MiddlewareError> {
        Ok(match self {
            Self::Cors(cors) => Arc::new(cors::Shared::new(cors, inner)?),
            Self::Compress => Arc::new(compress::Compressed { inner }),
            Self::RateLimit(rate) => Arc::new(rate_limit::Limited::new(*rate, inner)?),
            Self::RequestId(name) => Arc::new(request_id::Stamped { name: name.clone(), inner }),
            Self::Timeout(time) if time.is_zero() => return Err(MiddlewareError::NoTime),
            Self::Timeout(time) => Arc::new(timeout::Timed { within: *time, inner }),
        })
    }
}
