//! Request heads that are refused or normalized, and response heads that cannot be sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};

use crate::support::{Http1, Http2, TestResult, client, http2, raw, request, seen, service, start};
use async_trait::async_trait;
use bytes::Bytes;
use crisol_server::{Body, Context, Handler, Route, RouteTarget, Router, Service};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::Full;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Responds with the lines of the request's head.
struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, _: Context, request: Request<Body>) -> Response<Body> {
        let line = |(name, value): (&header::HeaderName, &HeaderValue)| {
            format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
        };
        let text: String = request.headers().iter().map(line).collect();
        Response::new(Body::from(Bytes::from(text)))
    }
}

/// Responds by the path `/STATUS/LENGTH/PIECES`. A dash stands for no `content-length`. Letters are one piece of
/// the body, and a dot between two pieces delays the second.
struct Told;

#[async_trait]
impl Handler for Told {
    async fn handle(&self, context: Context, _: Request<Body>) -> Response<Body> {
        let text = |at: usize| context.params().get(at).map_or("", |(_, value)| value.as_str());
        let pieces = text(2).split('.').map(|piece| Bytes::from(piece.to_owned())).collect();
        let body = Pieces { pieces, waits: false };
        let mut response = Response::new(Body::stream(body));
        *response.status_mut() = text(0).parse().unwrap_or(StatusCode::IM_A_TEAPOT);
        if text(1) != "-" {
            let length = text(1).parse().unwrap_or(HeaderValue::from_static("not a value"));
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        response
    }
}

struct Pieces {
    pieces: VecDeque<Bytes>,
    waits: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = self.pieces.pop_front();
        self.waits = !self.pieces.is_empty();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn handler(pattern: &str, handler: impl Handler + 'static) -> Service {
    let addr = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let target = RouteTarget::Handler(Arc::new(handler));
    let route =
        Route { name: "t:told".to_owned(), method: None, pattern: pattern.to_owned(), target };
    let router = Router { name: "routes".to_owned(), routes: vec![route], ..Router::default() };
    Service::new("main", addr).with_router(router)
}

#[tokio::test]
async fn a_host_is_one_and_possible() -> TestResult {
    let started = start(handler("/{path...}", Echo)).await?;
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a b/c@d\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", "400"),
        ("GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
        ("GET /nothing-here HTTP/1.0\r\nhost: [::1\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\n\r\n", "200"),
        ("GET / HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\n\r\n", "200"),
        ("GET http://a/ HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n", "200"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400"),
        ("GET http://a/ HTTP/1.1\r\nhost: u@a\r\n\r\n", "400"),
        ("GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ] {
        let answer = raw(started.addr, head).await?;
        let found = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(found, status, "{head:?}: {answer}");
        if status == "400" {
            assert!(answer.contains("application/problem+json"), "{head:?}: {answer}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn routes_that_are_not_there_want_a_host_too() -> TestResult {
    let started = start(service(&["GET /add/{a}/{b} -> add"])?).await?;
    for target in ["/nope", "/add/1/2", "*"] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let answer = raw(started.addr, format!("{method} {target} HTTP/1.1\r\n\r\n")).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn other_transfer_codings_than_chunked_are_not_implemented() -> TestResult {
    let started = start(handler("/{path...}", Echo)).await?;
    for coding in ["gzip, chunked", "chunked, chunked", "identity, chunked"] {
        let head =
            format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n");
        let answer = raw(started.addr, head).await?;
        assert!(answer.starts_with("HTTP/1.1 501 "), "{coding}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn tunnels_and_huge_lengths_are_refused() -> TestResult {
    let started = start(handler("/{path...}", Echo)).await?;
    for (head, status) in [
        ("CONNECT / HTTP/1.1\r\nhost: a\r\n\r\n", 501),
        ("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551613\r\n\r\n", 413),
    ] {
        let answer = raw(started.addr, head).await?;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {answer}");
        assert!(answer.ends_with('}'), "{head:?}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_head_alone_is_refused_without_a_body() -> TestResult {
    let started = start(handler("/{status}/{length}/{pieces...}", Told)).await?;
    let mut sender = http2(TcpStream::connect(started.addr).await?).await?;
    let (status, headers, body) =
        over_http2(&mut sender, "HEAD /103/-/").await.ok_or("no answer")?;
    assert_eq!((status, body.as_str()), (500, ""));
    assert!(headers.contains_key(header::CONTENT_LENGTH));
    Ok(())
}

#[tokio::test]
async fn heads_of_http2_are_as_those_of_http_1() -> TestResult {
    let started = start(handler("/{path...}", Echo)).await?;
    let mut client = http2(TcpStream::connect(started.addr).await?).await?;
    let request = Request::get("http://example.com:81/x")
        .header("cookie", "session=1")
        .header("cookie", "csrf=2")
        .header("cookie", "a=b; c=d")
        .body(Full::new(Bytes::new()))?;
    let (status, text) = seen(client.send_request(request).await?).await?;
    assert_eq!(status, 200);
    let cookies: Vec<_> = text.lines().filter(|line| line.starts_with("cookie")).collect();
    assert_eq!(cookies, ["cookie: session=1; csrf=2; a=b; c=d"]);
    assert!(text.contains("host: example.com:81\n"), "{text}");
    Ok(())
}

/// Status, head and body of a response; `None` for a connection or stream that broke off.
type Seen = Option<(u16, HeaderMap, String)>;

async fn look(response: Response<hyper::body::Incoming>) -> Seen {
    let headers = response.headers().clone();
    let (status, body) = seen(response).await.ok()?;
    Some((status, headers, body))
}

async fn over_http1(sender: &mut Http1, line: &str) -> Seen {
    look(sender.send_request(request(line, "").ok()?).await.ok()?).await
}

async fn over_http2(sender: &mut Http2, line: &str) -> Seen {
    let line = line.replacen(' ', " http://localhost", 1);
    look(sender.send_request(request(&line, "").ok()?).await.ok()?).await
}

#[tokio::test]
async fn a_head_that_cannot_be_sent_is_a_problem() -> TestResult {
    let started = start(handler("/{status}/{length}/{pieces...}", Told)).await?;
    let bad = [
        "/100/-/",
        "/101/-/",
        "/103/-/",
        "/199/-/ab",
        "/600/-/ab",
        "/999/-/",
        "/200/3/ab",
        "/200/1/ab",
        "/200/0/ab",
        "/200/2/",
        "/200/x/ab",
        "/200/+2/ab",
        "/200/-1/ab",
        "/200/99999999999999999999/ab",
        "/304/x/",
        "/404/1/ab",
    ];
    for target in bad {
        let line = format!("GET {target}");
        let mut sender = client(started.addr).await?;
        let one = over_http1(&mut sender, &line).await;
        let two =
            over_http2(&mut http2(TcpStream::connect(started.addr).await?).await?, &line).await;
        for found in [one, two] {
            let (status, headers, body) = found.ok_or_else(|| format!("{target}: no answer"))?;
            assert_eq!(status, 500, "{target}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{target}");
            assert!(!body.contains("content-length"), "{target}: {body}");
        }
        // The connection still works.
        assert_eq!(over_http1(&mut sender, "GET /200/2/ab").await.ok_or("no answer")?.0, 200);
    }
    Ok(())
}

#[tokio::test]
async fn false_content_length_aborts_the_response() -> TestResult {
    let started = start(handler("/{status}/{length}/{pieces...}", Told)).await?;
    for target in ["/200/5/ab.c", "/200/3/ab.cd"] {
        let line = format!("GET {target}");
        assert_eq!(over_http1(&mut client(started.addr).await?, &line).await, None, "{target}");
        let mut sender = http2(TcpStream::connect(started.addr).await?).await?;
        assert_eq!(over_http2(&mut sender, &line).await, None, "{target}");
        // One stream is cut, not the connection.
        assert!(over_http2(&mut sender, "GET /200/3/ab.c").await.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn bodiless_statuses_have_an_empty_body() -> TestResult {
    let started = start(handler("/{status}/{length}/{pieces...}", Told)).await?;
    for (target, length) in [
        ("/204/-/", None),
        ("/204/5/", None),
        ("/204/2/ab", None),
        ("/204/-/ab.c", None),
        ("/304/-/", None),
        ("/304/10/", Some("10")),
        ("/304/10/ab", Some("10")),
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let line = format!("{method} {target}");
            let mut sender = client(started.addr).await?;
            let one = over_http1(&mut sender, &line).await.ok_or("no answer over HTTP/1.1")?;
            let mut second = http2(TcpStream::connect(started.addr).await?).await?;
            let two = over_http2(&mut second, &line).await.ok_or("no answer over HTTP/2")?;
            for (status, headers, body) in [one, two] {
                assert_eq!(status.to_string(), target[1..4], "{line}");
                let found = headers.get(header::CONTENT_LENGTH).map(|value| value.to_str());
                assert_eq!(found.transpose()?, length, "{line}");
                assert!(!headers.contains_key(header::TRANSFER_ENCODING), "{line}");
                assert_eq!(body, "", "{line}");
            }
            assert!(over_http1(&mut sender, "GET /200/2/ab").await.is_some(), "{line}");
        }
    }
    Ok(())
}

/// A body without bytes that reports when it was read to its end.
struct Last {
    end: Option<oneshot::Sender<()>>,
    waits: bool,
}

impl http_body::Body for Last {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.waits) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let _ = self.end.take().map(|end| end.send(()));
        Poll::Ready(None)
    }
}

/// Responds with the status in the path and a [`Last`] body.
struct BodyOutcome(Mutex<Option<oneshot::Sender<()>>>);

#[async_trait]
impl Handler for BodyOutcome {
    async fn handle(&self, context: Context, _: Request<Body>) -> Response<Body> {
        let end = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut response = Response::new(Body::stream(Last { end, waits: true }));
        let status = context.params().first().map_or("", |(_, value)| value.as_str());
        *response.status_mut() = status.parse().unwrap_or(StatusCode::IM_A_TEAPOT);
        response
    }
}

#[tokio::test]
async fn handler_finishes_when_its_body_is_unsent() -> TestResult {
    for line in ["GET /204", "GET /304", "HEAD /200", "GET /205", "GET /200"] {
        let (end, ended) = oneshot::channel();
        let started = start(handler("/{status}", BodyOutcome(Mutex::new(Some(end))))).await?;
        let answer = over_http1(&mut client(started.addr).await?, line).await;
        assert!(answer.is_some(), "{line}");
        ended.await.map_err(|_| format!("{line}: the body was dropped before its end"))?;
    }
    Ok(())
}
