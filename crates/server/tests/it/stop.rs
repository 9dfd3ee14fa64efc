//! Stop and replacement while requests run.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Functions, Started, TestResult, ask, client, request, rest, route, seen, service, start,
};
use crisol_server::{Router, Service, Stopped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A grace period longer than any test.
const AMPLE: Duration = Duration::from_secs(60);

const ROUTES: &[&str] = &["GET /wait -> wait", "GET /add/{a}/{b} -> add"];

/// A service at an address without other tests, so that its port refuses connections once it has stopped.
fn service_of_its_own(routes: &[&str]) -> TestResult<Service> {
    let mut service = service(routes)?;
    service.addr = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0)).into();
    Ok(service)
}

#[tokio::test]
async fn running_requests_finish_and_new_ones_are_refused() -> TestResult {
    let Started { running, addr, functions } = start(service_of_its_own(ROUTES)?).await?;
    let mut busy = client(addr).await?;
    let answer = tokio::spawn(busy.send_request(request("GET /wait", "")?));
    let idle = TcpStream::connect(addr).await?;
    let mut rested = TcpStream::connect(addr).await?;
    rested.write_all(b"GET /add/1/2 HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let mut answered = Vec::new();
    while !answered.ends_with(b"\r\n\r\n3") {
        rested.read_buf(&mut answered).await?;
    }
    functions.until_waiting(1).await;
    let stopping = tokio::spawn(running.stop(AMPLE));
    // Idle connections are closed at once …
    assert_eq!(rest(idle).await?, "");
    assert_eq!(rest(rested).await?, "");
    // … new ones are refused …
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    // … and running requests are answered.
    functions.gate.add_permits(1);
    assert_eq!(seen(answer.await??).await?, (200, "done".to_owned()));
    let stopped = stopping.await?;
    assert_eq!(stopped.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn unfinished_requests_are_cut_and_their_calls_cancelled() -> TestResult {
    let Started { running, addr, functions } = start(service(ROUTES)?).await?;
    let mut busy = client(addr).await?;
    let answer = tokio::spawn(busy.send_request(request("GET /wait", "")?));
    functions.until_waiting(1).await;
    let stopped = running.stop(Duration::from_millis(20)).await;
    assert_eq!(stopped, Stopped { finished: 0, aborted: 1 });
    functions.until_waiting(0).await;
    assert!(answer.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn dropping_the_server_cuts_everything() -> TestResult {
    let Started { running, addr, functions } = start(service(ROUTES)?).await?;
    let mut busy = client(addr).await?;
    let answer = tokio::spawn(busy.send_request(request("GET /wait", "")?));
    functions.until_waiting(1).await;
    drop(running);
    functions.until_waiting(0).await;
    assert!(answer.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn routes_are_replaced_under_connections_and_requests() -> TestResult {
    let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
    let mut open = client(addr).await?;
    assert_eq!(seen(open.send_request(request("GET /add/1/2", "")?).await?).await?.0, 200);
    let mut busy = client(addr).await?;
    let answer = tokio::spawn(busy.send_request(request("GET /wait", "")?));
    functions.until_waiting(1).await;

    let replaced = service(&["GET /sum/{a}/{b} -> add", "GET /wait -> wait"])?;
    let others = Arc::new(Functions::default());
    running.replace(vec![replaced], others.clone(), AMPLE).await?;
    open.ready().await?;
    assert_eq!(seen(open.send_request(request("GET /sum/1/2", "")?).await?).await?.0, 200);
    open.ready().await?;
    assert_eq!(seen(open.send_request(request("GET /add/1/2", "")?).await?).await?.0, 404);
    // Running calls finish in the old `invoke`; new ones use the new one.
    functions.gate.add_permits(1);
    assert_eq!(seen(answer.await??).await?, (200, "done".to_owned()));
    let answer = tokio::spawn(client(addr).await?.send_request(request("GET /wait", "")?));
    others.until_waiting(1).await;
    others.gate.add_permits(1);
    assert_eq!(seen(answer.await??).await?, (200, "done".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_replacement_that_is_wrong_changes_nothing() -> TestResult {
    let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
    let wrong = service(&["GET nowhere -> add"])?;
    assert!(running.replace(vec![wrong], functions.clone(), AMPLE).await.is_err());
    let mut taken = service(ROUTES)?;
    let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    taken.name = "second".to_owned();
    taken.addr = socket.local_addr()?.into();
    let elsewhere = taken.addr.clone();
    let both = vec![service(&["GET /new -> add"])?, taken];
    let error = running.replace(both, functions, AMPLE).await.err().map(|error| error.to_string());
    assert_eq!(error, Some(format!("service `second` cannot listen on {elsewhere}")));
    assert_eq!(ask(addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}

#[tokio::test]
async fn services_come_and_go_with_a_replacement() -> TestResult {
    let Started { mut running, addr, functions } = start(service_of_its_own(ROUTES)?).await?;
    let mut second = service(&[])?;
    second.name = "second".to_owned();
    let routes = vec![route("GET /sum/{a}/{b} -> add")?];
    second.routers = vec![Router { routes, ..Router::default() }];
    running.replace(vec![second], functions, AMPLE).await?;
    let now: Vec<_> =
        running.addresses().map(|(name, addr)| (name.to_owned(), addr.tcp())).collect();
    let [(name, Some(second))] = now.as_slice() else { return Err("one service".into()) };
    assert_eq!(name, "second");
    assert_eq!(ask(*second, "GET /sum/1/2", "").await?, (200, "3".to_owned()));
    // The first one has stopped in the background; its port refuses connections.
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    Ok(())
}
