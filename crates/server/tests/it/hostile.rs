//! Slow, broken or hostile clients harm only themselves: another client is always served.

use std::time::Duration;

use crate::support::{
    MINUTE, TestResult, ask, dripping, in_minutes, raw, rest, service, skip, start,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ROUTES: &[&str] =
    &["POST /greet -> greet", "GET /add/{a}/{b} -> add", "ANY /wait -> wait", "POST /echo -> echo"];

fn served() -> (u16, String) {
    (200, "3".to_owned())
}

#[tokio::test]
async fn bytes_other_than_http_are_refused() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let cases: [(&[u8], &str); 11] = [
        (b"\r\n\r\n\x00\x01\x02\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /a b HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /greet HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 400 "),
        (
            b"POST /greet HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "HTTP/1.1 400 ",
        ),
        (
            b"POST /greet HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 400 ",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "HTTP/1.1 "),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\xff\xff\xff\xff\xff\xff\xff", ""),
        (long.as_bytes(), "HTTP/1.1 4"),
    ];
    for (request, expected) in cases {
        let mut stream = TcpStream::connect(started.addr).await?;
        // The server may have responded and closed before the client has sent everything.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let answer = rest(stream).await?;
        let shown = String::from_utf8_lossy(request.get(..40.min(request.len())).unwrap_or(b""));
        assert!(answer.starts_with(expected), "{shown:?}: {answer:?}");
        assert!(!answer.contains(" 200 "), "{shown:?}: {answer:?}");
        assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served(), "after {shown:?}");
    }
    Ok(())
}

#[tokio::test]
async fn both_lengths_at_once_never_become_two_requests() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        let smuggled = format!(
            "POST /greet HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n0\r\n\r\n\
             GET /add/1/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(started.addr, smuggled).await?;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{framing}: {answer}");
    }
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    Ok(())
}

#[tokio::test]
async fn framing_that_two_servers_would_read_differently_is_refused() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for head in [
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "content-length: +3",
        "content-length: 3, 3",
        "content-length: 0x3",
        "content-length: -3",
        "x: y\r\n folded: z",
        "content-length: 18446744073709551616",
    ] {
        let request = format!("POST /greet HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\nAna");
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(request.as_bytes()).await?;
        let _ = stream.shutdown().await;
        let answer = rest(stream).await?;
        assert!(!answer.contains(" 200 "), "{head}: {answer}");
    }
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    Ok(())
}

#[tokio::test]
async fn heads_are_bounded() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_header_bytes = 8 << 10;
    service.limits.max_headers = 10;
    let started = start(service).await?;
    let huge = format!("GET /add/1/2 HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let answer = raw(started.addr, huge).await?;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");
    let many = format!("GET /add/1/2 HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(11));
    let answer = raw(started.addr, many).await?;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    Ok(())
}

#[tokio::test]
async fn slow_heads_and_silent_connections_are_closed() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.read = MINUTE;
    service.timeouts.idle = MINUTE;
    let started = start(service).await?;
    let mut slow = Vec::new();
    for begun in
        ["", "G", "PRI * HT", "GET /add/1/2 HTTP/1.1\r\nhost: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(begun.as_bytes()).await?;
        slow.push((begun, stream));
    }
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    for (begun, stream) in slow {
        // `rest` ends only once the server closes.
        let answer = in_minutes(rest(stream)).await?;
        assert!(!answer.contains(" 200 "), "{begun:?}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_head_in_drops_is_closed_though_something_always_comes() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.read = MINUTE;
    service.timeouts.idle = MINUTE * 100;
    let started = start(service).await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.write_all(b"GET /add/1/2 HTTP/1.1\r\n").await?;
    let answer = dripping(stream, b"x: y\r\n").await?;
    assert!(answer.is_empty(), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_connection_at_rest_between_requests_is_closed() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.idle = MINUTE;
    let started = start(service).await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.write_all(b"GET /add/1/2 HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let mut head = [0; 15];
    stream.read_exact(&mut head).await?;
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let answer = in_minutes(rest(stream)).await?;
    assert!(answer.ends_with('3'), "{answer}");
    Ok(())
}

#[tokio::test]
async fn slow_body_is_408_and_closed() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.read = MINUTE;
    let started = start(service).await?;
    let begun =
        "POST /greet HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.write_all(begun.as_bytes()).await?;
    // The server has the head and waits for the body.
    let mut head = [0; 25];
    stream.read_exact(&mut head).await?;
    assert_eq!(&head, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ab").await?;
    let answer = in_minutes(rest(stream)).await?;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("the body did not arrive in time"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.write = Duration::from_millis(150);
    service.timeouts.read = MINUTE * 100;
    service.limits.max_body_bytes = 64 << 20;
    service.limits.max_connections = 1;
    let started = start(service).await?;
    let length = 48 << 20;
    let mut stream = TcpStream::connect(started.addr).await?;
    let head = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b'x'; length]).await?;
    // The only slot is held by the client that does not read, until the server drops it.
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    drop(stream);
    Ok(())
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let requests = "GET /add/1/1 HTTP/1.1\r\nhost: a\r\n\r\n\
                    POST /greet HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nAna\
                    GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n\
                    GET /add/2/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = raw(started.addr, requests).await?;
    let places: Vec<_> = ["\r\n\r\n2", "hola, Ana", "404 Not Found", "\r\n\r\n4"]
        .iter()
        .map(|text| answer.find(text))
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {answer}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_call_with_it() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    for version in ["http/1.1", "http/2"] {
        let stream = TcpStream::connect(started.addr).await?;
        let asking = if version == "http/2" {
            let mut sender = crate::support::http2(stream).await?;
            let request = crate::support::request("GET http://localhost/wait", "")?;
            tokio::spawn(async move { sender.send_request(request).await.is_ok() })
        } else {
            let mut stream = stream;
            stream.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await?;
            tokio::spawn(async move { stream.read_u8().await.is_ok() })
        };
        started.functions.until_waiting(1).await;
        asking.abort();
        // The gate stays closed: the call ends by its cancellation, or the test hangs.
        started.functions.until_waiting(0).await;
    }
    Ok(())
}

#[tokio::test]
async fn excess_connections_wait_and_excess_requests_are_refused() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_requests = 2;
    service.limits.max_connections = 3;
    let started = start(service).await?;
    let wait = || async {
        let mut stream = TcpStream::connect(started.addr).await?;
        let request = "GET /wait HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        TestResult::Ok(stream)
    };
    let (one, two) = (wait().await?, wait().await?);
    started.functions.until_waiting(2).await;
    let refused = rest(wait().await?).await?;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    let third = TcpStream::connect(started.addr).await?;
    // The fourth is in the system's backlog: connected, and not read.
    let mut fourth = TcpStream::connect(started.addr).await?;
    fourth.write_all(b"GET /add/1/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
    started.functions.gate.add_permits(2);
    for stream in [one, two] {
        assert!(rest(stream).await?.ends_with("done"));
    }
    assert!(rest(fourth).await?.ends_with('3'));
    drop(third);
    Ok(())
}

#[tokio::test]
async fn an_http2_stream_without_a_window_is_let_go() -> TestResult {
    let mut service = service(ROUTES)?;
    service.timeouts.write = MINUTE;
    // A connection that makes progress has no time limit.
    (service.timeouts.read, service.timeouts.idle) = (MINUTE * 1000, MINUTE * 1000);
    service.limits.max_requests = 1;
    let started = start(service).await?;
    let io = hyper_util::rt::TokioIo::new(TcpStream::connect(started.addr).await?);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(executor)
        .initial_stream_window_size(0)
        .handshake(io)
        .await?;
    tokio::spawn(connection);
    let request = crate::support::request("POST http://localhost/greet", "Ana")?;
    let response = sender.send_request(request).await?;
    assert_eq!(response.status(), 200);
    // Its body cannot be sent, and it uses the service's only request permit.
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?.0, 503);
    while ask(started.addr, "GET /add/1/2", "").await? != served() {
        skip(MINUTE).await;
    }
    assert!(http_body_util::BodyExt::collect(response.into_body()).await.is_err());
    Ok(())
}
