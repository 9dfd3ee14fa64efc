//! Conversion of a router's middleware to that of `crisol-server`.

use crisol_schema::{HttpMethod, RateLimitBy};
use crisol_server::{Cors, Middleware, RateLimit};
use http::{HeaderName, Method};

/// Converts one middleware. Skips invalid names of headers and methods, which a validated registry does not contain.
pub(super) fn convert(step: &crisol_schema::Middleware) -> Option<Middleware> {
    Some(match step {
        crisol_schema::Middleware::Cors(cors) => Middleware::Cors(self::cors(cors)),
        crisol_schema::Middleware::Compress => Middleware::Compress,
        crisol_schema::Middleware::RateLimit(rate) => Middleware::RateLimit(RateLimit {
            requests: rate.requests,
            per: rate.per,
            burst: rate.burst,
            by: match rate.by {
                RateLimitBy::Ip => crisol_server::RateLimitBy::Client,
                RateLimitBy::All => crisol_server::RateLimitBy::All,
            },
        }),
        crisol_schema::Middleware::RequestId { header } => {
            Middleware::RequestId(HeaderName::try_from(header.as_str()).ok()?)
        }
        crisol_schema::Middleware::Timeout(time) => Middleware::Timeout(*time),
    })
}

fn cors(cors: &crisol_schema::Cors) -> Cors {
    let any = cors.origins.iter().any(|origin| origin == "*");
    Cors {
        origins: if any { Vec::new() } else { cors.origins.clone() },
        methods: cors.methods.iter().filter_map(|one| method(*one)).collect(),
        headers: cors.headers.iter().filter_map(|name| name.parse().ok()).collect(),
        expose: Vec::new(),
        credentials: cors.credentials,
        max_age: cors.max_age,
    }
}

/// Converts a method; none means any method.
pub(super) fn method(method: HttpMethod) -> Option<Method> {
    match method {
        HttpMethod::Any => None,
        named => named.as_str().parse().ok(),
    }
}
