//! Effects of the limits that an `http.service` sets.

use super::support::{Served, Tested};

/// Serves an HTTP handler with `limits` in flow style.
async fn served(limits: &str) -> Tested<Served> {
    let hash = crisol_fixtures::sha256("proxy");
    Served::start(&format!(
        "  - {{name: web, kind: http.service, addr: \"127.0.0.1:0\", limits: {{{limits}}}}}\n  - {{name: p, kind: function.wasm, fs: guests, path: /proxy.wasm, hash: \"sha256:{hash}\", method: incoming-handler, transport: wasi-http}}\n  - {{name: e, kind: http.endpoint, method: ANY, path: \"/{{rest...}}\", func: p}}\n"
    ))
    .await
}

#[tokio::test]
async fn headers_are_limited_in_number_and_size() -> Tested {
    let served = served("max_headers: 4, max_header_bytes: 8192").await?;
    for (headers, status) in [
        ("x: y\r\n".to_owned(), 200),
        ("x: y\r\nx: y\r\n".to_owned(), 431),
        (format!("x: {}\r\n", "y".repeat(7000)), 200),
        (format!("x: {}\r\n", "y".repeat(9000)), 431),
    ] {
        let answer = served.ask("POST /echo", &headers, b"hi").await?;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{} bytes: {answer}", headers.len());
    }
    Ok(())
}

#[tokio::test]
async fn requests_at_once_are_limited() -> Tested {
    let served = served("max_requests: 1").await?;
    let mut one = served.connect().await?;
    one.send("POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    one.read_to("ready\n\r\n").await?;
    let refused = served.ask("POST /echo", "", b"").await?;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    one.send("0\r\n\r\n").await?;
    one.read_to("\r\n0\r\n\r\n").await?;
    let answer = served.ask("POST /echo", "", b"").await?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn http2_announces_the_stream_limit() -> Tested {
    let served = served("max_streams: 77").await?;
    let mut client = served.connect().await?;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    // `SETTINGS_MAX_CONCURRENT_STREAMS`.
    client.read_to("\0\x03\0\0\0\x4d").await?;
    Ok(())
}
