//! Clients that break off, stall, or send too much after a request's head.

use std::time::Duration;

use crate::support::{MINUTE, TestResult, ask, dripping, raw, request, rest, service, start};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const ROUTES: &[&str] =
    &["POST /greet -> greet", "GET /add/{a}/{b} -> add", "ANY /wait -> wait", "POST /echo -> echo"];

/// Long enough for a server to read as much as its buffers hold. On a slower machine, the test covers less.
const SHORT: Duration = Duration::from_millis(150);

const CHUNKED: &str = "POST /greet HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_client_that_closes_its_side_has_gone() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    started.functions.until_waiting(1).await;
    stream.shutdown().await?;
    // The gate stays closed: the call ends by its cancellation, or the test hangs.
    started.functions.until_waiting(0).await;
    assert_eq!(rest(stream).await?, "");
    Ok(())
}

#[tokio::test]
async fn a_body_that_ends_before_its_length_calls_nothing() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for (head, body) in [
        ("POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n", "abc"),
        ("POST /wait HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", "5\r\nabc"),
        ("POST /wait HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", "3\r\nabc\r\n"),
    ] {
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await?;
        let answer = rest(stream).await?;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
        // A call would wait for a gate that stays closed.
        started.functions.until_waiting(0).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_trickling_body_is_refused_and_its_connection_closed() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.read = MINUTE;
    let started = start(service).await?;
    for head in [CHUNKED, "POST /greet HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n"] {
        let drop = if head == CHUNKED { "1\r\na\r\n" } else { "a" };
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(head.as_bytes()).await?;
        let answer = dripping(stream, drop.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{head:?}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn chunks_and_trailers_are_bounded() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let many = "x: y\r\n".repeat(10_000);
    for (what, body) in [
        ("a size of no number", "fffffffffffffffff\r\nabc\r\n".to_owned()),
        ("a size without end", "0".repeat(100_000)),
        ("a size below zero", "-1\r\nabc\r\n".to_owned()),
        ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("an extension without end", format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(100_000))),
        ("a trailer without end", format!("3\r\nabc\r\n0\r\nx: {}\r\n\r\n", "y".repeat(100_000))),
        ("trailers without end", format!("3\r\nabc\r\n0\r\n{many}\r\n")),
        ("data longer than its size", "3\r\nabcdef\r\n0\r\n\r\n".to_owned()),
    ] {
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(CHUNKED.as_bytes()).await?;
        // The server may have closed before the client has sent everything.
        let _ = stream.write_all(body.as_bytes()).await;
        let _ = stream.shutdown().await;
        let answer = rest(stream).await?;
        assert!(!answer.contains(" 200 "), "{what}: {answer}");
    }
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}

#[tokio::test]
async fn bytes_after_a_broken_request_are_not_another_request() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let good = "GET /add/1/1 HTTP/1.1\r\nhost: a\r\n\r\n";
    for broken in [
        "GET / HTTP/9.9\r\nhost: a\r\n\r\n",
        "POST /greet HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        "POST /greet HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = raw(started.addr, format!("{good}{broken}{good}")).await?;
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{broken:?}: {answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 2, "{broken:?}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_pipelined_behind_one_that_runs_wait_and_are_bounded() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let (_reading, mut writing) = TcpStream::connect(started.addr).await?.into_split();
    writing.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    started.functions.until_waiting(1).await;
    let flood = tokio::spawn(async move {
        let many = "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
        // As many bytes as the server reads, which must not exceed its buffer.
        let mut sent = 0_u32;
        while tokio::time::timeout(SHORT, writing.write_all(many.as_bytes())).await.is_ok() {
            sent += 100;
            assert!(sent < 10_000_000, "the server reads without end");
        }
    });
    flood.await?;
    started.functions.until_waiting(1).await;
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_head_over_http2_is_bounded() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_header_bytes = 8 << 10;
    let started = start(service).await?;
    let mut sender = crate::support::http2(TcpStream::connect(started.addr).await?).await?;
    let mut large = request("GET http://localhost/add/1/2", "")?;
    large.headers_mut().insert("x", "y".repeat(20_000).parse()?);
    if let Ok(response) = sender.send_request(large).await {
        assert_eq!(response.status(), 431);
    }
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}
