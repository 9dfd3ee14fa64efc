//! Middleware of routers.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Functions, TestResult, client, request, seen, service, start};
use async_trait::async_trait;
use bytes::Bytes;
use crisol_server::{
    Body, Context, Cors, Handler, Middleware, RateLimit, RateLimitBy, Route, RouteTarget, Router,
    Server, Service,
};
use http::{HeaderMap, HeaderName, Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn with(middleware: Vec<Middleware>, routes: &[&str]) -> TestResult<Service> {
    let mut service = service(routes)?;
    for router in &mut service.routers {
        router.middleware = middleware.clone();
    }
    Ok(service)
}

#[tokio::test]
async fn cors_answers_preflights_and_marks_every_response() -> TestResult {
    let cors = Cors {
        origins: vec!["https://a.example".to_owned()],
        methods: vec![Method::POST],
        credentials: true,
        ..Cors::default()
    };
    let started = start(with(vec![Middleware::Cors(cors)], &["POST /add -> add"])?).await?;
    let mut sender = client(started.addr).await?;
    let mut preflight = request("OPTIONS /add", "")?;
    preflight.headers_mut().insert("origin", "https://a.example".parse()?);
    preflight.headers_mut().insert("access-control-request-method", "POST".parse()?);
    let response = sender.send_request(preflight).await?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-methods"], "POST");
    assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example");
    seen(response).await?;
    for (line, status) in [("POST /add?a=1&b=2", 200), ("POST /add", 400), ("GET /no", 404)] {
        let mut plain = request(line, "")?;
        plain.headers_mut().insert("origin", "https://a.example".parse()?);
        sender.ready().await?;
        let response = sender.send_request(plain).await?;
        assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example");
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(seen(response).await?.0, status, "{line}");
    }
    Ok(())
}

/// Fields of the response to a request with these fields, ordered by name.
async fn shared(cors: Cors, line: &str, fields: &[(&'static str, &str)]) -> TestResult<String> {
    let routes = ["GET /add -> add", "ANY /any -> nothing"];
    let started = start(with(vec![Middleware::Cors(cors)], &routes)?).await?;
    let mut asked = request(line, "")?;
    for (name, value) in fields {
        asked.headers_mut().append(*name, value.parse()?);
    }
    let response = client(started.addr).await?.send_request(asked).await?;
    let mut text = vec![response.status().as_u16().to_string()];
    for (name, value) in response.headers() {
        let name = name.as_str();
        if name.starts_with("access-control-") || matches!(name, "vary" | "allow") {
            let name = name.strip_prefix("access-control-").unwrap_or(name);
            text.push(format!("{name}: {}", value.to_str()?));
        }
    }
    text.get_mut(1..).unwrap_or_default().sort();
    Ok(text.join("; "))
}

const ORIGIN: (&str, &str) = ("origin", "https://a.example");
const METHOD: (&str, &str) = ("access-control-request-method", "PATCH");
const ASKED: &str = "access-control-request-headers";

fn listed() -> Cors {
    Cors {
        origins: vec!["https://a.example".to_owned(), "https://b.example".to_owned()],
        headers: vec![HeaderName::from_static("x-a"), HeaderName::from_static("x-b")],
        methods: vec![Method::GET, Method::PUT],
        expose: vec![HeaderName::from_static("etag")],
        credentials: true,
        max_age: Some(Duration::from_secs(60)),
    }
}

#[tokio::test]
async fn cors_echoes_requested_values_for_wildcards() -> TestResult {
    let star = Cors { headers: vec![HeaderName::from_static("*")], ..Cors::default() };
    for cors in [Cors::default(), star] {
        let fields = [ORIGIN, METHOD, (ASKED, "authorization,x-a"), (ASKED, " X-B, not a name")];
        let answer = shared(cors, "OPTIONS /add", &fields).await?;
        expect_test::expect![[r#"200; allow-headers: authorization, x-a, x-b; allow-methods: PATCH; allow-origin: *; vary: access-control-request-headers; vary: access-control-request-method; vary: origin"#]].assert_eq(&answer);
    }
    let answer = shared(listed(), "OPTIONS /no", &[ORIGIN, METHOD, (ASKED, "x-c")]).await?;
    expect_test::expect![[r#"200; allow-credentials: true; allow-headers: x-a, x-b; allow-methods: GET, PUT; allow-origin: https://a.example; max-age: 60; vary: access-control-request-headers; vary: access-control-request-method; vary: origin"#]].assert_eq(&answer);
    let any = Cors { headers: Vec::new(), methods: Vec::new(), ..listed() };
    let answer = shared(any, "OPTIONS /add", &[ORIGIN, METHOD]).await?;
    expect_test::expect![[r#"200; allow-credentials: true; allow-methods: PATCH; allow-origin: https://a.example; max-age: 60; vary: access-control-request-headers; vary: access-control-request-method; vary: origin"#]].assert_eq(&answer);
    let other = ("origin", "https://a.example.evil.example");
    let answer = shared(listed(), "OPTIONS /add", &[other, METHOD]).await?;
    expect_test::expect![[r#"200; vary: access-control-request-headers; vary: access-control-request-method; vary: origin"#]].assert_eq(&answer);
    Ok(())
}

#[tokio::test]
async fn plain_options_request_reaches_the_route() -> TestResult {
    for fields in [
        &[][..],
        &[ORIGIN],
        &[METHOD],
        &[ORIGIN, ("access-control-request-method", "")],
        &[ORIGIN, ("access-control-request-method", "not a method")],
        &[ORIGIN, METHOD, METHOD],
    ] {
        let any = shared(Cors::default(), "OPTIONS /any", fields).await?;
        assert_eq!(any, "204; allow-origin: *", "{fields:?}");
        let get = shared(Cors::default(), "OPTIONS /add", fields).await?;
        assert_eq!(get, "204; allow-origin: *; allow: GET, HEAD, OPTIONS", "{fields:?}");
        let no = shared(Cors::default(), "OPTIONS /no", fields).await?;
        assert_eq!(no, "404; allow-origin: *", "{fields:?}");
    }
    let preflight = shared(Cors::default(), "OPTIONS /any", &[ORIGIN, METHOD]).await?;
    assert!(preflight.starts_with("200; "), "{preflight}");
    let get = shared(Cors::default(), "GET /any", &[ORIGIN, METHOD]).await?;
    assert_eq!(get, "204; allow-origin: *");
    Ok(())
}

#[tokio::test]
async fn a_response_for_listed_origins_depends_on_the_origin() -> TestResult {
    let marked = "204; allow-credentials: true; allow-origin: https://a.example; expose-headers: etag; vary: origin";
    assert_eq!(shared(listed(), "GET /any", &[ORIGIN]).await?, marked);
    assert_eq!(shared(listed(), "GET /any", &[]).await?, "204; vary: origin");
    for other in ["null", "http://a.example", "https://a.example:444", "https://A.example"] {
        let answer = shared(listed(), "GET /any", &[("origin", other)]).await?;
        assert_eq!(answer, "204; vary: origin", "{other}");
    }
    Ok(())
}

#[tokio::test]
async fn rate_limited_client_gets_retry_after() -> TestResult {
    let rate = RateLimit {
        requests: 1,
        per: Duration::from_secs(3600),
        burst: 2,
        by: RateLimitBy::Client,
    };
    let routes = ["POST /add -> add"];
    let started = start(with(vec![Middleware::RateLimit(rate)], &routes)?).await?;
    let mut sender = client(started.addr).await?;
    for expected in [200, 200, 429] {
        sender.ready().await?;
        let response = sender.send_request(request("POST /add?a=1&b=2", "")?).await?;
        let wait = response.headers().get("retry-after").cloned();
        assert_eq!(wait.is_some(), expected == 429);
        if let Some(wait) = wait {
            assert!((1800..=3600).contains(&wait.to_str()?.parse::<u32>()?), "{wait:?}");
        }
        assert_eq!(seen(response).await?.0, expected);
    }
    Ok(())
}

#[tokio::test]
async fn request_id_uses_the_configured_header() -> TestResult {
    let id = Middleware::RequestId(HeaderName::from_static("x-trace"));
    let started = start(with(vec![id], &["GET /trap -> trap"])?).await?;
    for line in ["GET /trap", "POST /trap", "GET /no"] {
        let mut asked = request(line, "")?;
        asked.headers_mut().insert("x-trace", "mine-1".parse()?);
        let response = client(started.addr).await?.send_request(asked).await?;
        assert_eq!(response.headers()["x-trace"], "mine-1", "{line}");
        assert!(!response.headers().contains_key("x-request-id"), "{line}");
        assert!(seen(response).await?.1.contains("mine-1"), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_route_at_the_top_of_a_router_is_the_routers_prefix() -> TestResult {
    let mut served = service(&["GET / -> nothing"])?;
    for router in &mut served.routers {
        router.prefix = "/api".to_owned();
    }
    let started = start(served).await?;
    assert_eq!(crate::support::ask(started.addr, "GET /api", "").await?.0, 204);
    assert_eq!(crate::support::ask(started.addr, "GET /api/", "").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_rate_for_all_counts_every_client() -> TestResult {
    let hour = Duration::from_secs(3600);
    let rate = RateLimit { requests: 1, per: hour, burst: 1, by: RateLimitBy::All };
    let routes = ["POST /add -> add"];
    let started = start(with(vec![Middleware::RateLimit(rate)], &routes)?).await?;
    for (local, expected) in [([127, 0, 0, 1], 200), ([127, 0, 0, 2], 429)] {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((local, 0).into())?;
        let stream = socket.connect(started.addr).await?;
        let mut sender = crate::support::http1(stream).await?;
        let response = sender.send_request(request("POST /add?a=1&b=2", "")?).await?;
        assert_eq!(seen(response).await?.0, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_timeout_answers_and_cancels() -> TestResult {
    let timeout = Middleware::Timeout(Duration::from_millis(50));
    let started = start(with(vec![timeout], &["GET /wait -> wait"])?).await?;
    let (status, body) = crate::support::ask(started.addr, "GET /wait", "").await?;
    assert_eq!(status, 504);
    assert!(body.contains("the request was not answered in time"), "{body}");
    started.functions.until_waiting(0).await;
    Ok(())
}

/// Responds with the request it sees, then with the body piece by piece, then with trailers.
struct Mirror;

#[async_trait]
impl Handler for Mirror {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let id = request.headers().get("x-request-id").cloned();
        let shown = format!("{:?} {}|", context.params(), context.id());
        let first = Frame::data(Bytes::from(shown));
        let mut trailers = HeaderMap::new();
        if let Some(id) = id {
            trailers.insert("x-seen", id);
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let mut body = request.into_body();
        tokio::spawn(async move {
            let _ = sender.send(first).await;
            while let Some(Ok(frame)) = body.frame().await {
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
            let _ = sender.send(Frame::trailers(trailers)).await;
        });
        let frames = Frames(receiver);
        Response::new(Body::stream(frames))
    }
}

struct Frames(tokio::sync::mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn mirror(middleware: Vec<Middleware>) -> TestResult<Service> {
    let target = RouteTarget::Handler(Arc::new(Mirror));
    let (name, pattern) = ("mirror".to_owned(), "/{rest...}".to_owned());
    let routes = vec![Route { name, method: None, pattern, target }];
    let router = Router { prefix: "/m".to_owned(), middleware, routes, ..Router::default() };
    Ok(service(&[])?.with_router(router))
}

#[tokio::test]
async fn a_handler_streams_both_ways_with_trailers() -> TestResult {
    for middleware in [
        vec![Middleware::RequestId(X_REQUEST_ID)],
        vec![
            Middleware::Cors(Cors::default()),
            Middleware::RequestId(X_REQUEST_ID),
            Middleware::Compress,
            Middleware::Timeout(Duration::from_secs(60)),
        ],
    ] {
        let started = start(mirror(middleware)?).await?;
        let stream = tokio::net::TcpStream::connect(started.addr).await?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await?;
        tokio::spawn(connection);
        let (pieces, body) = tokio::sync::mpsc::channel(1);
        let request = Request::post("http://localhost/m/a/b")
            .header("x-request-id", "seen-1")
            .body(Frames(body))?;
        let mut response = sender.send_request(request).await?;
        let mut next = async || match response.frame().await {
            Some(Ok(frame)) => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some(frame)),
            Some(Err(error)) => Err(error.into()),
            None => Ok(None),
        };
        let first = next().await?.and_then(|frame| frame.into_data().ok());
        assert_eq!(first.as_deref(), Some(&br#"[("rest", "a/b")] seen-1|"#[..]));
        // Each piece returns before the next one is sent, so nothing waits for the end.
        for piece in ["one", "two"] {
            pieces.send(Frame::data(Bytes::from(piece))).await?;
            let back = next().await?.and_then(|frame| frame.into_data().ok());
            assert_eq!(back.as_deref(), Some(piece.as_bytes()));
        }
        drop(pieces);
        let trailers = next().await?.and_then(|frame| frame.into_trailers().ok());
        assert_eq!(trailers.ok_or("no trailers")?["x-seen"], "seen-1");
    }
    Ok(())
}

#[tokio::test]
async fn a_streamed_body_is_limited_too() -> TestResult {
    let mut service = mirror(vec![])?;
    service.limits.max_body_bytes = 4;
    let started = start(service).await?;
    let stream = tokio::net::TcpStream::connect(started.addr).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let (pieces, body) = tokio::sync::mpsc::channel(2);
    for piece in ["abc", "def"] {
        pieces.send(Frame::data(Bytes::from(piece))).await?;
    }
    drop(pieces);
    let request = Request::post("/m/a").header("host", "a").body(Frames(body))?;
    let response = sender.send_request(request).await?;
    let (_, text) = seen(response).await?;
    assert!(text.ends_with("|abc") || text.ends_with("|"), "{text}");
    Ok(())
}

#[test]
fn invalid_settings_are_refused_at_build_time() -> TestResult {
    let rate =
        RateLimit { requests: 0, per: Duration::from_secs(1), burst: 1, by: RateLimitBy::All };
    let cookies = Cors { credentials: true, ..Cors::default() };
    let origin = Cors { origins: vec!["example.com".to_owned()], ..Cors::default() };
    let all = vec![
        Middleware::RateLimit(rate),
        Middleware::Cors(cookies),
        Middleware::Cors(origin),
        Middleware::Timeout(Duration::ZERO),
    ];
    let errors = Server::new(vec![with(all, &[])?], Arc::new(Functions::default())).err();
    expect_test::expect![[r#"
        router `routes`: `timeout` is zero: use more than zero
        router `routes`: `cors`: invalid origin `example.com`: expected a form like `https://example.com`
        router `routes`: `cors` with `credentials`: list the allowed `origins`
        router `routes`: `ratelimit` allows no request: set `requests`, `per` and `burst` above zero"#]]
    .assert_eq(&errors.map(|errors| errors.to_string()).unwrap_or_default());
    Ok(())
}
