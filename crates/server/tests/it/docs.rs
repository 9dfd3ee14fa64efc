//! Checks that the limits in `docs/http.md` equal the defaults. `BLESS=1` updates them.

use std::path::Path;
use std::time::Duration;

use crisol_server::{Limits, Timeouts};

/// Row of the table: setting, default, scope and effect.
type Row = (&'static str, String, &'static str);

fn limits() -> [Row; 8] {
    // Without `..`, so that a new limit needs a row.
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
    [
        (
            "`limits.max_body_bytes`",
            max_body_bytes.to_string(),
            "the body of a request; above: `413`",
        ),
        (
            "`limits.max_header_bytes`",
            max_header_bytes.to_string(),
            "the line and headers of a request, at least 8192; above: `431`",
        ),
        (
            "`limits.max_headers`",
            max_headers.to_string(),
            "headers of a request, at most 16384; above: `431`",
        ),
        (
            "`limits.max_connections`",
            max_connections.to_string(),
            "concurrent connections; above, the longest-idle one closes; while none is idle, new ones wait unread",
        ),
        (
            "`limits.max_connections_per_client`",
            max_connections_per_client.to_string(),
            "concurrent connections of one client address (IPv6: one /64); new ones close immediately",
        ),
        (
            "`limits.max_requests`",
            max_requests.to_string(),
            "concurrent requests over all connections; above: immediate `503` with `Retry-After`",
        ),
        (
            "`limits.max_buffered_bytes`",
            max_buffered_bytes.to_string(),
            "bytes of request bodies in memory over all connections; above: immediate `503` with `Retry-After`; a single larger body: `413`",
        ),
        (
            "`limits.max_streams`",
            max_streams.to_string(),
            "concurrent requests of one HTTP/2 connection; further ones wait at the client",
        ),
    ]
}

fn timeouts() -> [Row; 3] {
    let Timeouts { read, write, idle } = Timeouts::default();
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    [
        (
            "`timeouts.read`",
            seconds(read),
            "a TLS handshake; the head of a request from its first byte; a whole body that is bound to parameters; the pause between two pieces of a streamed body. Then `408` for a body, else the connection closes",
        ),
        (
            "`timeouts.write`",
            seconds(write),
            "time in which the client reads nothing of a response; then the connection closes",
        ),
        (
            "`timeouts.idle`",
            seconds(idle),
            "time between two requests and before the first; then the connection closes",
        ),
    ]
}

#[test]
fn documented_limits_equal_the_defaults() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    let before = std::fs::read_to_string(&path)?;
    let (open, close) = ("<!-- table: limits -->\n", "<!-- end -->");
    let start = before.find(open).ok_or("no table of limits")? + open.len();
    let end = start + before.get(start..).and_then(|rest| rest.find(close)).ok_or("no end")?;
    let rows = limits()
        .into_iter()
        .chain(timeouts())
        .map(|(name, value, text)| format!("| {name} | {value} | {text} |\n"));
    let table =
        format!("\n| setting | default | bounds |\n|---|---|---|\n{}\n", rows.collect::<String>());
    let mut document = before.clone();
    document.replace_range(start..end, &table);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &document)?;
    } else {
        assert!(before == document, "docs/http.md is out of date: run this test with BLESS=1");
    }
    Ok(())
}
