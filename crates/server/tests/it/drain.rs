//! Draining: requests that have arrived are served, and clients that are notified in time see no failure.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Started, TestResult, request, rest, seen, service, start};
use crisol_server::Tls;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A grace period longer than any test.
const AMPLE: Duration = Duration::from_secs(60);

const ROUTES: &[&str] = &["GET /wait -> wait", "GET /add/{a}/{b} -> add", "POST /echo -> echo"];

const ADD: &str = "GET /add/1/2 HTTP/1.1\r\nhost: a\r\n\r\n";

/// Connects and sends at once, before the server, which runs on this thread, notices.
fn sent(addr: SocketAddr, bytes: &str) -> TestResult<std::net::TcpStream> {
    let mut stream = std::net::TcpStream::connect(addr)?;
    stream.write_all(bytes.as_bytes())?;
    Ok(stream)
}

/// Reads everything until the server closes. A reset is an error.
async fn all(stream: std::net::TcpStream) -> TestResult<String> {
    let read = move || {
        let (mut stream, mut text) = (stream, String::new());
        stream.set_read_timeout(Some(AMPLE))?;
        stream.read_to_string(&mut text)?;
        TestResult::Ok(text)
    };
    tokio::task::spawn_blocking(read).await?
}

/// A keep-alive connection that has received a response.
async fn kept(addr: SocketAddr) -> TestResult<std::net::TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(ADD.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n3") {
        assert_ne!(stream.read_buf(&mut answer).await?, 0);
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Runs every task of this thread until it waits for more than its turn.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn is_last(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ")
        && answer.contains("connection: close\r\n")
        && answer.ends_with("\r\n\r\n3")
}

#[tokio::test]
async fn connections_that_nobody_has_accepted_are_answered() -> TestResult {
    let mut service = service(ROUTES)?;
    // Even if the service accepts fewer at once.
    service.limits.max_connections = 2;
    let Started { running, addr, .. } = start(service).await?;
    let streams: Vec<_> = (0..50).map(|_| sent(addr, ADD)).collect::<TestResult<_>>()?;
    let stopping = tokio::spawn(running.stop(AMPLE));
    for stream in streams {
        let answer = all(stream).await?;
        assert!(is_last(&answer), "{answer}");
    }
    assert_eq!(stopping.await?.aborted, 0);
    assert!(TcpStream::connect(addr).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_connection_has_a_moment_for_its_first_request() -> TestResult {
    let Started { running, addr, .. } = start(service(ROUTES)?).await?;
    let mut late = sent(addr, "")?;
    let silent = sent(addr, "")?;
    let stopping = tokio::spawn(running.stop(AMPLE));
    settled().await;
    late.write_all(ADD.as_bytes())?;
    let answer = all(late).await?;
    assert!(is_last(&answer), "{answer}");
    assert_eq!(all(silent).await?, "");
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn pipelined_requests_that_have_arrived_are_answered() -> TestResult {
    let Started { running, addr, .. } = start(service(ROUTES)?).await?;
    let (mut one, mut several) = (kept(addr).await?, kept(addr).await?);
    let (mut body, idle) = (kept(addr).await?, kept(addr).await?);
    one.write_all(ADD.as_bytes())?;
    several.write_all(ADD.repeat(3).as_bytes())?;
    let text = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n3";
    body.write_all((text.to_owned() + ADD + text).as_bytes())?;
    let stopping = tokio::spawn(running.stop(AMPLE));
    let answer = all(one).await?;
    assert!(is_last(&answer), "{answer}");
    for several in [several, body] {
        let answers = all(several).await?;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
        assert_eq!(answers.matches("connection: close").count(), 1, "the last says so: {answers}");
        assert!(answers.ends_with("\r\n\r\n3"), "{answers}");
    }
    assert_eq!(all(idle).await?, "");
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn a_head_that_has_begun_is_waited_for() -> TestResult {
    let Started { running, addr, .. } = start(service(ROUTES)?).await?;
    let (head, rest) = ADD.split_at(5);
    let mut used = kept(addr).await?;
    let mut fresh = sent(addr, head)?;
    used.write_all(head.as_bytes())?;
    let stopping = tokio::spawn(running.stop(AMPLE));
    settled().await;
    for stream in [&mut fresh, &mut used] {
        stream.write_all(rest.as_bytes())?;
    }
    for stream in [fresh, used] {
        let answer = all(stream).await?;
        assert!(is_last(&answer), "{answer}");
    }
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn a_request_behind_the_one_that_runs_is_answered_too() -> TestResult {
    let Started { running, addr, functions } = start(service(ROUTES)?).await?;
    let both = sent(addr, &("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n".to_owned() + ADD))?;
    let alone = sent(addr, "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")?;
    functions.until_waiting(2).await;
    let stopping = tokio::spawn(running.stop(AMPLE));
    settled().await;
    functions.gate.add_permits(2);
    let answers = all(both).await?;
    let (first, second) = answers.split_once("done").ok_or("no first answer")?;
    assert!(!first.contains("connection: close") && is_last(second), "{answers}");
    let answer = all(alone).await?;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("done"), "{answer}");
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn slow_reader_gets_the_whole_response() -> TestResult {
    let Started { running, addr, .. } = start(service(ROUTES)?).await?;
    let length = 8 << 20;
    let mut stream = TcpStream::connect(addr).await?;
    let head = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b'x'; length]).await?;
    // The response has begun, and the rest of it exceeds the sockets' buffers.
    stream.readable().await?;
    let stopping = tokio::spawn(running.stop(AMPLE));
    settled().await;
    let answer = rest(stream).await?;
    assert_eq!(answer.bytes().rev().take_while(|byte| *byte == b'x').count(), length);
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn requests_of_http2_that_have_arrived_are_answered() -> TestResult {
    let Started { running, addr, .. } = start(service(ROUTES)?).await?;
    let mut client = crate::support::http2(TcpStream::connect(addr).await?).await?;
    let add = || request("GET http://localhost/add/1/2", "");
    assert_eq!(seen(client.send_request(add()?).await?).await?.0, 200);
    let answers: Vec<_> =
        (0..20).map(|_| Ok(client.send_request(add()?))).collect::<TestResult<_>>()?;
    let answers: Vec<_> = answers.into_iter().map(tokio::spawn).collect();
    // The client's task runs before the server stops, so its requests are in the socket.
    tokio::task::yield_now().await;
    let stopping = tokio::spawn(running.stop(AMPLE));
    for answer in answers {
        assert_eq!(seen(answer.await??).await?, (200, "3".to_owned()));
    }
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn a_tls_connection_that_nobody_has_accepted_is_answered() -> TestResult {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = made.signing_key.serialize_pem();
    let mut service = service(ROUTES)?;
    service.tls = Some(Tls::from_pem(made.cert.pem().as_bytes(), key.as_bytes())?);
    let Started { running, addr, .. } = start(service).await?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let held = sent(addr, "")?;
    held.set_nonblocking(true)?;
    let stopping = tokio::spawn(running.stop(AMPLE));
    let stream = TcpStream::from_std(held)?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
    stream.write_all(ADD.as_bytes()).await?;
    let mut answer = String::new();
    // The connection may end without TLS's close notification.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(is_last(&answer), "{answer}");
    assert_eq!(stopping.await?.aborted, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_keep_connections_see_no_failure_over_a_drain() -> TestResult {
    let Started { running, addr, .. } = start(service(ROUTES)?).await?;
    let readiness = running.readiness();
    let answered = Arc::<AtomicUsize>::default();
    // Each client leaves once the server is not ready, as behind a load balancer, but only after its response.
    let one = || {
        let (readiness, answered) = (readiness.clone(), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut told = 0;
            while readiness.is_ready() || told < 5 {
                let mut client = crate::support::client(addr).await?;
                loop {
                    client.ready().await?;
                    let response = client.send_request(request("GET /add/1/2", "")?).await?;
                    assert_eq!(response.status(), 200);
                    let closes = response.headers().get("connection").is_some();
                    assert_eq!(response.into_body().collect().await?.to_bytes(), "3");
                    answered.fetch_add(1, Ordering::Relaxed);
                    if closes {
                        told += 1;
                        break;
                    }
                }
            }
            TestResult::Ok(())
        })
    };
    let clients: Vec<_> = (0..16).map(|_| one()).collect();
    while answered.load(Ordering::Relaxed) < 500 {
        tokio::task::yield_now().await;
    }
    assert!(readiness.is_ready());
    running.drain();
    for client in clients {
        client.await??;
    }
    let stopped = running.stop(AMPLE).await;
    assert_eq!(stopped.aborted, 0);
    Ok(())
}
