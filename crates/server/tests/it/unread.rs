//! Responses to requests with unread bodies: no response is lost, and the connection continues if it can.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Started, TestResult, http2, request, rest, seen, service, start};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crisol_server::{
    FileOptions, Middleware, RateLimit, RateLimitBy, Route, RouteTarget, Service, StaticFiles,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Larger than the buffers of two sockets.
const LARGE: usize = 24 << 20;
/// Maximum body of the service in these tests.
const LIMIT: usize = 2 << 20;

/// A service with a route for each early response: `greet` waits for its body, the file does not read it.
fn early(files: &Dir) -> TestResult<Service> {
    let mut service =
        service(&["POST /greet -> greet", "POST /busy -> busy", "GET /nothing -> nothing"])?;
    service.limits.max_body_bytes = LIMIT as u64;
    let target = RouteTarget::Handler(Arc::new(StaticFiles::new(
        Arc::new(files.try_clone()?),
        FileOptions::default(),
    )));
    let pattern = "/files/{path...}".to_owned();
    let route = Route { name: "files".to_owned(), method: None, pattern, target };
    let mut limited = crate::support::router(&["POST /none -> greet"])?;
    limited.prefix = "/limited".to_owned();
    let per = Duration::from_secs(3600);
    let rate = RateLimit { requests: 1, per, burst: 1, by: RateLimitBy::All };
    limited.middleware.push(Middleware::RateLimit(rate));
    if let Some(router) = service.routers.first_mut() {
        router.routes.push(route);
    }
    Ok(service.with_router(limited))
}

async fn started() -> TestResult<(tempfile::TempDir, Started)> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("big.txt"), "b".repeat(1 << 20))?;
    let files = Dir::open_ambient_dir(folder.path(), ambient_authority())?;
    let started = start(early(&files)?).await?;
    // The only request that the limit admits.
    let (status, _) = crate::support::ask(started.addr, "POST /limited/none", "x").await?;
    assert_eq!(status, 200);
    Ok((folder, started))
}

/// Requests that are answered before their bodies arrive, with their statuses.
const EARLY: &[(&str, u16)] = &[
    ("POST /nope", 404),
    ("PUT /greet", 405),
    ("POST /limited/none", 429),
    ("POST /files/big.txt", 405),
    ("GET /files/big.txt", 200),
    ("GET /nothing", 204),
];

/// Sends a whole request before it reads the response, like many clients.
async fn whole(stream: &mut TcpStream, head: &str, body: &[u8]) -> TestResult<(u16, String)> {
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    answer(stream).await
}

/// Reads one response, head and body, by its length.
async fn answer(stream: &mut TcpStream) -> TestResult<(u16, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap_or("0").parse()?];
    stream.read_exact(&mut body).await?;
    Ok((status, head))
}

fn with_length(line: &str, length: usize) -> String {
    format!("{line} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")
}

/// True if the connection serves one more request.
async fn goes_on(stream: &mut TcpStream) -> TestResult<bool> {
    let (status, _) = whole(stream, &with_length("POST /greet", 3), b"Ana").await?;
    Ok(status == 200)
}

#[tokio::test]
async fn an_unread_body_within_the_limit_leaves_the_connection_open() -> TestResult {
    let (_folder, started) = started().await?;
    for (line, status) in EARLY {
        for size in [2, LIMIT] {
            let mut stream = TcpStream::connect(started.addr).await?;
            let head = with_length(line, size);
            let (found, head) = whole(&mut stream, &head, &vec![b'x'; size]).await?;
            assert_eq!(found, *status, "{line}, {size} bytes");
            assert!(!head.contains("connection: close"), "{line}: {head}");
            assert!(goes_on(&mut stream).await?, "{line}, {size} bytes");
        }
    }
    Ok(())
}

#[tokio::test]
async fn late_body_is_not_parsed_as_a_request() -> TestResult {
    let (_folder, started) = started().await?;
    // A function is called once its body has arrived.
    for (line, status) in EARLY.iter().filter(|(line, _)| *line != "GET /nothing") {
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(with_length(line, 25).as_bytes()).await?;
        assert_eq!(answer(&mut stream).await?.0, *status, "{line}");
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r").await?;
        assert!(goes_on(&mut stream).await?, "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_chunked_body_is_discarded_likewise() -> TestResult {
    let (_folder, started) = started().await?;
    for (line, status) in EARLY {
        let mut stream = TcpStream::connect(started.addr).await?;
        let head = format!("{line} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        let body = format!("100000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10_0000));
        assert_eq!(whole(&mut stream, &head, body.as_bytes()).await?.0, *status, "{line}");
        assert!(goes_on(&mut stream).await?, "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_long_chunked_body_leaves_the_connection_open() -> TestResult {
    let (_folder, started) = started().await?;
    let body = format!("{LARGE:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(LARGE));
    for line in ["POST /nope", "POST /files/big.txt", "POST /limited/none"] {
        let mut stream = TcpStream::connect(started.addr).await?;
        let head = format!("{line} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        let (status, head) = whole(&mut stream, &head, body.as_bytes()).await?;
        assert!(
            (404..430).contains(&status) && !head.contains("connection: close"),
            "{line}: {head}"
        );
        assert!(goes_on(&mut stream).await?, "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_in_broken_chunks_ends_its_connection_with_an_answer() -> TestResult {
    let (_folder, started) = started().await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    let head = "POST /greet HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let (status, head) = whole(&mut stream, head, b"what is this\r\n").await?;
    assert!(status == 400 && head.contains("connection: close"), "{head}");
    assert_eq!(rest(stream).await?, "");
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_and_the_close_announced() -> TestResult {
    let (_folder, started) = started().await?;
    let over = EARLY.iter().map(|(line, _)| *line).chain(["POST /greet"]);
    for line in over {
        let mut stream = TcpStream::connect(started.addr).await?;
        let (status, head) =
            whole(&mut stream, &with_length(line, LARGE), &vec![b'x'; LARGE]).await?;
        assert_eq!(status, 413, "{line}");
        assert!(head.contains("connection: close"), "{line}: {head}");
        assert_eq!(rest(stream).await?, "");
    }
    Ok(())
}

#[tokio::test]
async fn a_chunked_body_that_grows_over_the_limit_is_answered() -> TestResult {
    let (_folder, started) = started().await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    let head = "POST /greet HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("{LARGE:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(LARGE));
    let (status, head) = whole(&mut stream, head, body.as_bytes()).await?;
    assert_eq!(status, 413);
    assert!(head.contains("connection: close"), "{head}");
    Ok(())
}

#[tokio::test]
async fn a_refused_expectation_ends_the_connection_without_the_body() -> TestResult {
    let (_folder, started) = started().await?;
    for line in ["POST /nope", "POST /greet"] {
        let mut stream = TcpStream::connect(started.addr).await?;
        let length = if line == "POST /greet" { LARGE } else { 3 };
        let head = format!(
            "{line} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let (status, head) = answer(&mut stream).await?;
        assert!(status == 404 || status == 413, "{line}: {head}");
        assert!(head.contains("connection: close"), "{line}: {head}");
        stream.shutdown().await?;
        assert_eq!(rest(stream).await?, "");
    }
    Ok(())
}

#[tokio::test]
async fn last_request_is_answered_before_trailing_bytes() -> TestResult {
    let (_folder, started) = started().await?;
    for head in [
        "GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /nothing HTTP/1.0\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 25165824\r\n\r\n",
        "what is this\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 25165824\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(started.addr).await?;
        let sent = [head.as_bytes(), &vec![b'x'; LARGE]].concat();
        stream.write_all(&sent).await?;
        stream.shutdown().await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        assert!(text.starts_with("HTTP/1."), "{head:?}: {text:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ignored_upgrade_is_answered_normally() -> TestResult {
    let (_folder, started) = started().await?;
    let fields =
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    for (size, status) in [(3, 404), (LIMIT, 404), (LARGE, 413)] {
        let mut stream = TcpStream::connect(started.addr).await?;
        let head =
            format!("POST /nope HTTP/1.1\r\nhost: a\r\n{fields}content-length: {size}\r\n\r\n");
        assert_eq!(whole(&mut stream, &head, &vec![b'x'; size]).await?.0, status, "{size} bytes");
        match status {
            413 => assert_eq!(rest(stream).await?, ""),
            _ => assert!(goes_on(&mut stream).await?, "{size} bytes"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_of_http2_is_drained_likewise() -> TestResult {
    let (_folder, started) = started().await?;
    let mut client = http2(TcpStream::connect(started.addr).await?).await?;
    for (line, status) in EARLY {
        let (method, path) = line.split_once(' ').ok_or("no path")?;
        for (size, status) in [(LIMIT, *status), (LARGE, 413)] {
            let line = format!("{method} http://localhost{path}");
            let response = client.send_request(request(&line, vec![b'x'; size])?).await?;
            let (found, body) = seen(response).await?;
            assert_eq!(found, status, "{line}, {size} bytes: {body:.200}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn requests_that_are_too_many_are_refused_without_a_reset() -> TestResult {
    let mut service = service(&["POST /greet -> greet", "GET /wait -> wait"])?;
    service.limits.max_requests = 1;
    let started = start(service).await?;
    let waits = tokio::spawn(crate::support::ask(started.addr, "GET /wait", ""));
    started.functions.until_waiting(1).await;
    let mut stream = TcpStream::connect(started.addr).await?;
    let size = 1 << 20;
    let head = with_length("POST /greet", size);
    assert_eq!(whole(&mut stream, &head, &vec![b'x'; size]).await?.0, 503);
    started.functions.gate.add_permits(1);
    assert_eq!(waits.await??.0, 200);
    assert!(goes_on(&mut stream).await?);
    Ok(())
}

#[tokio::test]
async fn stalled_client_gets_408_and_is_closed() -> TestResult {
    let mut service = service(&["POST /greet -> greet"])?;
    service.timeouts.read = Duration::from_millis(50);
    let started = start(service).await?;
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.write_all(with_length("POST /greet", 10).as_bytes()).await?;
    let (status, head) = answer(&mut stream).await?;
    assert_eq!(status, 408);
    assert!(head.contains("connection: close"), "{head}");
    stream.write_all(b"xxxxxxxxxx").await?;
    assert_eq!(rest(stream).await?, "");
    Ok(())
}
