//! Limits of a service and their effect on sockets, also after a change.

use std::time::Duration;

use crate::support::{Started, TestResult, ask, raw, request, rest, seen, service, start};
use crisol_server::{Server, Service};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const ROUTES: &[&str] = &["GET /add/{a}/{b} -> add", "GET /wait -> wait"];

fn served() -> (u16, String) {
    (200, "3".to_owned())
}

/// Status of a request with this many headers besides `host`, over HTTP/1.1 and HTTP/2.
async fn with_headers(started: &Started, count: usize) -> TestResult<[u16; 2]> {
    let mut one = "GET /add/1/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".to_owned();
    let mut two = request("GET http://localhost/add/1/2", "")?;
    two.headers_mut().clear();
    // An HTTP/1.1 head also has `host` and `connection`.
    two.headers_mut().insert("x", "y".parse()?);
    two.headers_mut().append("x", "y".parse()?);
    for n in 2..count {
        one += &format!("x-{n}: y\r\n");
        two.headers_mut().insert(http::HeaderName::try_from(format!("x-{n}"))?, "y".parse()?);
    }
    let answer = raw(started.addr, one + "\r\n").await?;
    let status = answer.get(9..12).unwrap_or_default().parse()?;
    let mut sender = crate::support::http2(TcpStream::connect(started.addr).await?).await?;
    Ok([status, sender.send_request(two).await?.status().as_u16()])
}

#[tokio::test]
async fn headers_are_counted_in_both_versions() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_headers = 5;
    let started = start(service).await?;
    assert_eq!(with_headers(&started, 5).await?, [200, 200]);
    assert_eq!(with_headers(&started, 6).await?, [431, 431]);
    Ok(())
}

#[tokio::test]
async fn a_hundred_headers_are_taken_by_default() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    assert_eq!(with_headers(&started, 100).await?, [200, 200]);
    assert_eq!(with_headers(&started, 101).await?, [431, 431]);
    Ok(())
}

#[tokio::test]
async fn as_many_headers_as_a_service_may_allow_are_taken() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_headers = 16_384;
    service.limits.max_header_bytes = 16 << 20;
    let started = start(service).await?;
    assert_eq!(with_headers(&started, 16_384).await?, [200, 200]);
    assert_eq!(with_headers(&started, 16_385).await?, [431, 431]);
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    Ok(())
}

#[tokio::test]
async fn bytes_of_a_head_are_counted_in_both_versions() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_header_bytes = 9000;
    let started = start(service).await?;
    for (bytes, expected) in [(8000, 200), (9001, 431)] {
        let long = "y".repeat(bytes);
        let head = "GET /add/1/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        let answer = raw(started.addr, format!("{head}x: {long}\r\n\r\n")).await?;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{bytes}: {answer}");
        let mut asked = request("GET http://localhost/add/1/2", "")?;
        asked.headers_mut().insert("x", long.parse()?);
        let mut sender = crate::support::http2(TcpStream::connect(started.addr).await?).await?;
        assert_eq!(sender.send_request(asked).await?.status().as_u16(), expected, "{bytes}");
    }
    Ok(())
}

#[test]
fn limits_that_cannot_work_are_refused() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_headers = 16_385;
    service.limits.max_buffered_bytes = 0;
    service.limits.max_connections_per_client = 0;
    let functions = std::sync::Arc::new(crate::support::Functions::default());
    let errors = Server::new(vec![service], functions).err();
    expect_test::expect![[r#"
        service `main`: invalid `limits.max_connections_per_client` 0: use at least 1
        service `main`: invalid `limits.max_buffered_bytes` 0: use at least 1
        service `main`: invalid `limits.max_headers` 16385: use 1 to 16384"#]]
    .assert_eq(&errors.map(|errors| errors.to_string()).unwrap_or_default());
    Ok(())
}

/// Replaces the limits while the service runs.
async fn change(started: &mut Started, requests: usize, connections: usize) -> TestResult {
    let mut next = limited(requests, connections)?;
    next.name = "main".to_owned();
    let grace = Duration::from_secs(30);
    Ok(started.running.replace(vec![next], started.functions.clone(), grace).await?)
}

fn limited(requests: usize, connections: usize) -> TestResult<Service> {
    let mut service = service(ROUTES)?;
    service.limits.max_requests = requests;
    service.limits.max_connections = connections;
    Ok(service)
}

#[tokio::test]
async fn a_change_of_max_requests_holds_for_the_running_listener() -> TestResult {
    let mut started = start(limited(1, 100)?).await?;
    let addr = started.addr;
    let wait = || tokio::spawn(async move { ask(addr, "GET /wait", "").await });
    let full = async || TestResult::Ok(ask(addr, "GET /add/1/2", "").await?.0);
    let one = wait();
    started.functions.until_waiting(1).await;
    assert_eq!(full().await?, 503);
    change(&mut started, 3, 100).await?;
    let (two, three) = (wait(), wait());
    started.functions.until_waiting(3).await;
    assert_eq!(full().await?, 503);
    // Running requests continue; a new one is admitted only once fewer than the new limit run.
    change(&mut started, 2, 100).await?;
    started.functions.gate.add_permits(1);
    started.functions.until_waiting(2).await;
    assert_eq!(full().await?, 503);
    started.functions.gate.add_permits(2);
    for waiting in [one, two, three] {
        assert_eq!(waiting.await??, (200, "done".to_owned()));
    }
    let (one, two) = (wait(), wait());
    started.functions.until_waiting(2).await;
    assert_eq!(full().await?, 503);
    started.functions.gate.add_permits(2);
    for waiting in [one, two] {
        assert_eq!(waiting.await??.0, 200);
    }
    Ok(())
}

#[tokio::test]
async fn a_raised_max_connections_lets_those_in_that_wait() -> TestResult {
    let mut started = start(limited(100, 1)?).await?;
    let first = crate::support::client(started.addr).await?;
    let mut second = TcpStream::connect(started.addr).await?;
    second.write_all(b"GET /add/1/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
    change(&mut started, 100, 2).await?;
    assert!(rest(second).await?.ends_with('3'));
    drop(first);
    Ok(())
}

#[tokio::test]
async fn a_lowered_max_connections_cuts_nobody() -> TestResult {
    let mut started = start(limited(100, 2)?).await?;
    let mut two =
        [crate::support::client(started.addr).await?, crate::support::client(started.addr).await?];
    for sender in &mut two {
        let response = sender.send_request(request("GET /add/1/2", "")?).await?;
        assert_eq!(seen(response).await?, served());
    }
    change(&mut started, 100, 1).await?;
    for sender in &mut two {
        sender.ready().await?;
        let response = sender.send_request(request("GET /add/1/2", "")?).await?;
        assert_eq!(seen(response).await?, served());
    }
    drop(two);
    assert_eq!(ask(started.addr, "GET /add/1/2", "").await?, served());
    Ok(())
}
