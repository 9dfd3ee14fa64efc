//! Defaults of limits and timeouts, as the documentation prints them.

use std::time::Duration;

use crate::config::{Limits, Timeouts};

/// A limit or timeout: its name, its default, and its scope with the effect of exceeding it.
pub type LimitRow = (&'static str, String, &'static str);

/// Every limit and timeout of a service with its default.
#[must_use]
pub fn limits() -> Vec<LimitRow> {
    let Limits {
        max_body_bytes,
        max_header_bytes,
        max_headers,
        max_connections,
        max_connections_per_client,
        max_requests,
        max_buffered_bytes,
        max_streams,
    } = Limits::default();
    let Timeouts { read, write, idle } = Timeouts::default();
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    vec![
        ("`limits.max_body_bytes`", max_body_bytes.to_string(), "a request's body; beyond: `413`"),
        (
            "`limits.max_header_bytes`",
            max_header_bytes.to_string(),
            "a request's line and headers, at least 8192; beyond: `431`",
        ),
        (
            "`limits.max_headers`",
            max_headers.to_string(),
            "headers of a request, at most 16384; beyond: `431`",
        ),
        (
            "`limits.max_connections`",
            max_connections.to_string(),
            "connections at once; beyond, the longest-idle one is closed, and while none is idle further ones wait unread",
        ),
        (
            "`limits.max_connections_per_client`",
            max_connections_per_client.to_string(),
            "connections at once from one client address (IPv6: one /64); further ones are closed at once",
        ),
        (
            "`limits.max_requests`",
            max_requests.to_string(),
            "requests at once over all connections; beyond: `503` with `Retry-After`, at once",
        ),
        (
            "`limits.max_buffered_bytes`",
            max_buffered_bytes.to_string(),
            "bytes of request bodies held in memory at once, over all connections; beyond: `503` with `Retry-After`, at once; one body that is larger by itself: `413`",
        ),
        (
            "`limits.max_streams`",
            max_streams.to_string(),
            "requests at once on one HTTP/2 connection; further ones wait at the client",
        ),
        (
            "`timeouts.read`",
            seconds(read),
            "a TLS handshake; a request's head from its first byte; a body that is bound to parameters, in all; a streamed body, between two pieces. Beyond: `408` for a body, else the connection is closed",
        ),
        (
            "`timeouts.write`",
            seconds(write),
            "while the client takes nothing of a response; beyond: the connection is closed",
        ),
        (
            "`timeouts.idle`",
            seconds(idle),
            "between two requests, and before the first; beyond: the connection is closed",
        ),
    ]
}
