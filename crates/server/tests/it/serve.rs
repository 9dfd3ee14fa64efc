//! Functions over real sockets, as a well-behaved client sees them.

use std::time::Duration;

use crate::support::{TestResult, ask, client, http2, raw, request, route, seen, service, start};
use crisol_server::{Address, Router, Server, Service};
use tokio::net::TcpStream;

const ROUTES: &[&str] = &[
    "POST /api/greet -> greet",
    "GET /greet/{name} -> greet",
    "GET /add/{a}/{b} -> add",
    "POST /add -> add",
    "POST /echo -> echo",
    "ANY /trap -> trap",
    "GET /busy -> busy",
    "GET /slow -> slow",
    "DELETE /nothing -> nothing",
    "GET /gone -> gone",
];

#[tokio::test]
async fn a_request_is_bound_called_and_answered() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let ask = |line: &'static str, body: &'static str| ask(started.addr, line, body);
    assert_eq!(ask("POST /api/greet", "Ana").await?, (200, "hola, Ana".to_owned()));
    assert_eq!(ask("GET /greet/An%C3%A1", "").await?, (200, "hola, Aná".to_owned()));
    assert_eq!(ask("GET /add/40/2", "").await?, (200, "42".to_owned()));
    assert_eq!(ask("POST /add?a=1", r#"{"b":2}"#).await?, (200, "3".to_owned()));
    assert_eq!(ask("DELETE /nothing", "").await?, (204, String::new()));
    Ok(())
}

#[tokio::test]
async fn failures_have_a_status_without_internals() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let cases = [
        ("GET /add/x/2", "", 400, "path parameter `a`: expected s32, found `x`"),
        ("GET /add/%ff/2", "", 400, "the path is not percent-encoded UTF-8"),
        ("POST /add", "{", 400, "EOF while parsing an object at line 1 column 1"),
        ("GET /nowhere", "", 404, "no route matches `/nowhere`"),
        ("GET /gone", "", 404, "unknown function"),
        ("GET /api/greet", "", 405, "method `GET` is not allowed: use OPTIONS, POST"),
        ("GET /trap", "", 500, "the function failed"),
        ("GET /busy", "", 503, "too many calls are waiting"),
        ("GET /slow", "", 504, "the function did not answer in time"),
    ];
    for (line, body, status, detail) in cases {
        let (found, text) = ask(started.addr, line, body).await?;
        assert_eq!(found, status, "{line}: {text}");
        assert!(text.contains(detail), "{line}: {text}");
        assert!(!text.contains("secret"), "{line}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn body_is_json_or_form_and_others_are_refused() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut sender = client(started.addr).await?;
    let mut form = request("POST /add", "a=1&b=2")?;
    form.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse()?);
    let response = sender.send_request(form).await?;
    assert_eq!(seen(response).await?, (200, "3".to_owned()));
    let mut other = request("POST /add", "a=1&b=2")?;
    other.headers_mut().insert("content-type", "multipart/form-data; boundary=x".parse()?);
    sender.ready().await?;
    let response = sender.send_request(other).await?;
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(seen(response).await?.0, 415);
    Ok(())
}

#[tokio::test]
async fn overload_and_wrong_methods_have_their_headers() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut sender = client(started.addr).await?;
    let busy = sender.send_request(request("GET /busy", "")?).await?;
    assert_eq!(busy.headers()["retry-after"], "1");
    seen(busy).await?;
    let wrong = sender.send_request(request("PUT /greet/x", "")?).await?;
    assert_eq!(wrong.headers()["allow"], "GET, HEAD, OPTIONS");
    Ok(())
}

#[tokio::test]
async fn one_id_joins_request_response_and_problem() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut sender = client(started.addr).await?;
    let mut given = request("GET /trap", "")?;
    given.headers_mut().insert("x-request-id", "mine-7".parse()?);
    let response = sender.send_request(given).await?;
    assert_eq!(response.headers()["x-request-id"], "mine-7");
    assert!(seen(response).await?.1.contains(r#""request_id":"mine-7""#));
    let mut hostile = request("GET /add/1/2", "")?;
    hostile.headers_mut().insert("x-request-id", "a\" forged=\"b".parse()?);
    let response = sender.send_request(hostile).await?;
    let made = response.headers()["x-request-id"].to_str()?.to_owned();
    assert!(!made.contains("forged") && made.len() > 16, "{made}");
    Ok(())
}

#[tokio::test]
async fn head_is_get_without_the_body_and_options_lists_methods() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let close = "host: a\r\nconnection: close\r\n\r\n";
    let head = raw(started.addr, format!("HEAD /add/40/2 HTTP/1.1\r\n{close}")).await?;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-length: 2\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let options = raw(started.addr, format!("OPTIONS /add HTTP/1.1\r\n{close}")).await?;
    assert!(options.starts_with("HTTP/1.1 204 No Content\r\n"), "{options}");
    assert!(options.contains("allow: OPTIONS, POST\r\n"), "{options}");
    let all = raw(started.addr, format!("OPTIONS * HTTP/1.1\r\n{close}")).await?;
    assert!(all.starts_with("HTTP/1.1 204 No Content\r\n"), "{all}");
    let mut two = http2(TcpStream::connect(started.addr).await?).await?;
    let head = request("HEAD http://localhost/add/40/2", "")?;
    let response = two.send_request(head).await?;
    assert_eq!(response.headers()["content-length"], "2");
    assert_eq!(seen(response).await?, (200, String::new()));
    Ok(())
}

#[tokio::test]
async fn one_connection_serves_many_requests() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut sender = client(started.addr).await?;
    for at in 0..20 {
        let response = sender.send_request(request(&format!("GET /add/{at}/1"), "")?).await?;
        assert_eq!(seen(response).await?, (200, (at + 1).to_string()));
        sender.ready().await?;
    }
    Ok(())
}

#[tokio::test]
async fn http2_needs_no_upgrade() -> TestResult {
    let started = start(service(ROUTES)?).await?;
    let mut sender = http2(TcpStream::connect(started.addr).await?).await?;
    let answers = (0..20).map(|at| {
        let mut sender = sender.clone();
        async move {
            let line = format!("POST http://localhost/echo?{at}");
            let response = sender.send_request(request(&line, vec![b'x'; at * 5000])?).await?;
            TestResult::Ok((response.version(), seen(response).await?.1.len()))
        }
    });
    let tasks: Vec<_> = answers.map(tokio::spawn).collect();
    for (at, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await??, (http::Version::HTTP_2, at * 5000));
    }
    sender.ready().await?;
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_early_and_while_it_arrives() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_body_bytes = 10;
    let started = start(service).await?;
    assert_eq!(ask(started.addr, "POST /echo", "0123456789").await?.0, 200);
    let early = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n";
    let answer = raw(started.addr, early).await?;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let chunked = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n";
    let mut stream = TcpStream::connect(started.addr).await?;
    tokio::io::AsyncWriteExt::write_all(&mut stream, chunked.as_bytes()).await?;
    let mut head = [0; 13];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut head).await?;
    assert_eq!(&head, b"HTTP/1.1 413 ");
    Ok(())
}

#[tokio::test]
async fn services_have_their_own_addresses_and_routes() -> TestResult {
    let mut other = Service::new("other", service(&[])?.addr);
    let routes = vec![route("GET /sum/{a}/{b} -> add")?];
    let prefix = "/v1/".to_owned();
    other = other.with_router(Router { prefix, routes, ..Router::default() });
    let functions = std::sync::Arc::new(crate::support::Functions::default());
    let server = Server::new(vec![service(ROUTES)?, other], functions)?;
    let running = server.start().await?;
    let addresses: Vec<_> =
        running.addresses().map(|(name, addr)| (name.to_owned(), addr.tcp())).collect();
    let [(main, Some(one)), (other, Some(two))] = addresses.as_slice() else {
        return Err("two".into());
    };
    assert_eq!((main.as_str(), other.as_str()), ("main", "other"));
    assert_eq!(ask(*one, "GET /v1/sum/1/2", "").await?.0, 404);
    assert_eq!(ask(*two, "GET /v1/sum/1/2", "").await?, (200, "3".to_owned()));
    running.stop(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(*one).await.is_err());
    Ok(())
}

#[test]
fn all_route_errors_are_reported_at_once() -> TestResult {
    let mut bad = service(&["GET /a/{x} -> add", "GET /a/{y} -> echo", "GET a -> add"])?;
    bad.limits.max_connections = 0;
    bad.timeouts.read = Duration::ZERO;
    bad.addr = Address::Tcp("127.0.0.1:1".parse()?);
    let other = Service::new("other", bad.addr.clone());
    let twice = Service::new("main", service(&[])?.addr);
    let all = vec![bad, other, twice];
    let errors = Server::new(all, std::sync::Arc::new(crate::support::Functions::default()));
    let text = errors.err().map(|errors| errors.to_string()).unwrap_or_default();
    expect_test::expect![[r#"
        service `main`: invalid `limits.max_connections` 0: use at least 1
        service `main`: invalid `timeouts.read` 0ns: use more than zero
        routes `GET /a/{x} -> add` and `GET /a/{y} -> echo` of service `main` both match GET `/a/{y}`: change the path or method of one
        route `GET a -> add`, path `a`: `a` must begin with `/`
        services `main` and `other` both listen on 127.0.0.1:1: change the address of one
        duplicate service name `main`"#]]
    .assert_eq(&text);
    Ok(())
}
