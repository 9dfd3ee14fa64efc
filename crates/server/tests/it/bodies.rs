//! Bodies in memory: bounded over all connections of a service, and not read for a function that refuses calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{TestResult, client, http2, raw, request, service};
use async_trait::async_trait;
use crisol_core::{
    Args, CallContext, CallError, EntryId, Field, Invoke, Overload, Reply, Signature, Type, Value,
};
use crisol_server::{Running, Server, Service};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

/// Body budget of the service in these tests, in bytes.
const BUDGET: usize = 64 << 10;

/// Takes bytes, waits for a permit, and returns their number.
struct Counting {
    gate: Semaphore,
    inside: AtomicUsize,
    changed: Notify,
    full: AtomicBool,
    asked: AtomicUsize,
}

impl Counting {
    async fn until_inside(&self, calls: usize) {
        loop {
            let changed = self.changed.notified();
            if self.inside.load(Ordering::SeqCst) == calls {
                return;
            }
            changed.await;
        }
    }

    fn moved(&self, by: isize) {
        self.inside.fetch_add(by.cast_unsigned(), Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

struct Inside<'a>(&'a Counting);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.moved(-1);
    }
}

#[async_trait]
impl Invoke for Counting {
    async fn invoke(
        &self,
        id: &EntryId,
        _: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        let values = args.into_values().map_err(|error| CallError::invalid_input(id, error))?;
        self.moved(1);
        let _inside = Inside(self);
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        match values.as_slice() {
            [Value::Bytes(bytes)] => Ok(Reply::new(bytes.len().to_string())),
            [Value::List(bytes)] => Ok(Reply::new(bytes.len().to_string())),
            other => Err(CallError::trap(id, format!("{other:?}"))),
        }
    }

    fn signature(&self, _: &EntryId) -> Option<Arc<Signature>> {
        let bytes = Type::List(Box::new(Type::U8));
        let params = vec![Field { name: "bytes".to_owned(), ty: bytes }];
        Some(Arc::new(Signature { params, result: Some(Type::String) }))
    }

    fn admits(&self, id: &EntryId) -> Result<(), CallError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.full.load(Ordering::SeqCst) {
            true => Err(CallError::saturated(id, Overload::Queue { waiting: 2 })),
            false => Ok(()),
        }
    }
}

struct Started {
    _running: Running,
    addr: SocketAddr,
    function: Arc<Counting>,
}

async fn start(change: impl FnOnce(&mut Service)) -> TestResult<Started> {
    let mut service = service(&["POST /count -> count", "GET /count -> count"])?;
    service.limits.max_buffered_bytes = BUDGET as u64;
    change(&mut service);
    let function = Arc::new(Counting {
        gate: Semaphore::new(0),
        inside: AtomicUsize::new(0),
        changed: Notify::new(),
        full: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
    });
    let running = Server::new(vec![service], function.clone())?.start().await?;
    let addr = running.addresses().next().and_then(|(_, addr)| addr.tcp()).ok_or("no address")?;
    Ok(Started { _running: running, addr, function })
}

type Answer = (StatusCode, HeaderMap, String);

async fn post(addr: SocketAddr, size: usize, two: bool) -> TestResult<Answer> {
    let line = if two { "POST http://localhost/count" } else { "POST /count" };
    let mut request = request(line, vec![b'a'; size])?;
    request.headers_mut().insert("content-type", "application/octet-stream".parse()?);
    let response = if two {
        http2(TcpStream::connect(addr).await?).await?.send_request(request).await?
    } else {
        client(addr).await?.send_request(request).await?
    };
    let (head, body) = response.into_parts();
    let body = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    Ok((head.status, head.headers, body))
}

fn is_refusal((status, headers, body): &Answer, detail: &str) -> bool {
    *status == StatusCode::SERVICE_UNAVAILABLE
        && headers.contains_key("retry-after")
        && headers.get("content-type").is_some_and(|kind| kind == "application/problem+json")
        && body.contains(detail)
}

/// Retries until the whole budget is free again; the server notices a client's departure with a delay.
async fn until_all_is_given_back(started: &Started) -> TestResult {
    started.function.gate.add_permits(1);
    let asking = async {
        loop {
            let answer = post(started.addr, BUDGET, false).await?;
            match answer.0 {
                StatusCode::OK => return TestResult::Ok(answer.2),
                // A busy machine may miss a short timeout.
                StatusCode::REQUEST_TIMEOUT => {}
                _ => {
                    assert!(is_refusal(&answer, "limit of request bodies in memory"), "{answer:?}")
                }
            }
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(60), asking).await??;
    assert_eq!(seen, BUDGET.to_string());
    Ok(())
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_refused_until_a_call_ends() -> TestResult {
    for two in [false, true] {
        let started = start(|_| ()).await?;
        let first = tokio::spawn(post(started.addr, 40 << 10, two));
        started.function.until_inside(1).await;
        let second = post(started.addr, 40 << 10, two).await?;
        assert!(is_refusal(&second, "limit of request bodies in memory"), "{second:?}");
        let third = tokio::spawn(post(started.addr, 20 << 10, two));
        started.function.until_inside(2).await;
        started.function.gate.add_permits(2);
        for (running, size) in [(first, 40 << 10), (third, 20 << 10)] {
            let answer = running.await??;
            assert_eq!((answer.0, answer.2), (StatusCode::OK, i32::to_string(&size)));
        }
        until_all_is_given_back(&started).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_larger_than_the_whole_budget_is_too_large() -> TestResult {
    let started = start(|_| ()).await?;
    for two in [false, true] {
        let (status, headers, body) = post(started.addr, BUDGET + 1, two).await?;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
        assert!(!headers.contains_key("retry-after"));
    }
    // Before any of it is sent.
    let announced = BUDGET + 1;
    let head = format!("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: {announced}\r\n\r\n");
    let mut stream = TcpStream::connect(started.addr).await?;
    stream.write_all(head.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    assert_eq!(status, *b"HTTP/1.1 413");
    let half = "a".repeat(BUDGET / 2 + 1);
    let chunk = format!("{:x}\r\n{half}\r\n", half.len());
    let head = "POST /count HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = raw(started.addr, format!("{head}{chunk}{chunk}0\r\n\r\n")).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    until_all_is_given_back(&started).await
}

#[tokio::test]
async fn an_announced_length_takes_nothing_of_the_budget() -> TestResult {
    let started = start(|_| ()).await?;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(started.addr).await?;
        let head = format!("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: {BUDGET}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        waiting.push(stream);
    }
    until_all_is_given_back(&started).await
}

#[tokio::test]
async fn bodies_that_come_to_nothing_give_all_back() -> TestResult {
    let started = start(|service| {
        service.limits.max_body_bytes = BUDGET as u64;
        service.timeouts.read = Duration::from_millis(300);
    })
    .await?;
    let half = "x".repeat(BUDGET / 2);
    let announced = format!("content-length: {BUDGET}\r\n\r\n{half}");
    let head = "POST /count HTTP/1.1\r\nhost: a\r\n";
    let gone = format!("{head}{announced}");
    let chunk = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n", half.len());
    let second = format!("{:x}\r\n{half}xx\r\n0\r\n\r\n", half.len() + 2);
    for (what, rest) in [
        ("half a body", announced),
        ("a body that is too large", format!("{chunk}{second}")),
        ("a chunk that is none", format!("{chunk}zz\r\n")),
    ] {
        let mut stream = TcpStream::connect(started.addr).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(rest.as_bytes()).await?;
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await?;
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{what}: {}", String::from_utf8_lossy(&answer));
        until_all_is_given_back(&started).await?;
    }
    let mut client = TcpStream::connect(started.addr).await?;
    client.write_all(gone.as_bytes()).await?;
    drop(client);
    until_all_is_given_back(&started).await
}

#[tokio::test]
async fn a_full_pool_refuses_before_it_reads_a_body() -> TestResult {
    let started = start(|_| ()).await?;
    started.function.full.store(true, Ordering::SeqCst);
    for head in ["content-length: 50000\r\n", "transfer-encoding: chunked\r\n"] {
        for expect in ["", "expect: 100-continue\r\n"] {
            let mut stream = TcpStream::connect(started.addr).await?;
            let head = format!("POST /count HTTP/1.1\r\nhost: a\r\n{head}{expect}\r\n");
            stream.write_all(head.as_bytes()).await?;
            // The body is never sent, so a response that waits for it never arrives.
            let mut answer = [0; 13];
            stream.read_exact(&mut answer).await?;
            assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503 ", "{head}");
        }
    }
    let refused = post(started.addr, 10, true).await?;
    assert!(is_refusal(&refused, "too many calls are waiting"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_body_goes_to_the_pool_itself() -> TestResult {
    let started = start(|_| ()).await?;
    started.function.full.store(true, Ordering::SeqCst);
    started.function.gate.add_permits(1);
    let (status, _) = crate::support::ask(started.addr, "GET /count?bytes=YQ", "").await?;
    assert_ne!(status, 503);
    assert_eq!(started.function.asked.load(Ordering::SeqCst), 0);
    Ok(())
}
