//! Addresses: overlapping ones that replace each other, Unix sockets, and admission at the limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{
    Functions, Started, TestResult, ask, client, raw, request, rest, seen, service, start,
};
use crisol_server::{Address, Server, Service, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A grace period longer than any test.
const AMPLE: Duration = Duration::from_secs(60);

const ROUTES: &[&str] = &["GET /wait -> wait", "GET /add/{a}/{b} -> add"];

const ADD: &str = "GET /add/1/2 HTTP/1.1\r\nhost: a\r\n\r\n";

/// A service named `main` at an address.
fn at(addr: &str) -> TestResult<Service> {
    let mut service = service(ROUTES)?;
    service.addr = Address::Tcp(addr.parse()?);
    Ok(service)
}

/// Clients that open one connection after another until they are stopped.
struct Clients {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<TestResult>>,
}

impl Clients {
    fn start(addr: SocketAddr) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let one = || {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(ask(addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let clients = (0..8).map(|_| one()).collect();
        Self { over, answered, clients }
    }

    /// Waits until `more` further requests have been answered.
    async fn answered(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        while self.answered.load(Ordering::Relaxed) < until
            && !self.clients.iter().any(tokio::task::JoinHandle::is_finished)
        {
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) -> TestResult {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_addresses_are_swapped_without_a_refusal() -> TestResult {
    let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
    let port = addr.port();
    let clients = Clients::start(addr);
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let mut hosts = vec!["0.0.0.0", "127.0.0.1"];
    if has_v6 {
        hosts.extend(["[::]", "0.0.0.0", "[::]", "127.0.0.1", "[::ffff:127.0.0.1]", "127.0.0.1"]);
    }
    for host in hosts.repeat(5) {
        running.replace(vec![at(&format!("{host}:{port}"))?], functions.clone(), AMPLE).await?;
        clients.answered(10).await;
    }
    clients.end().await
}

#[tokio::test]
async fn port_stays_exclusive_after_its_address_widens() -> TestResult {
    let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
    let wide = format!("0.0.0.0:{}", addr.port());
    let second = |addr: &str| TestResult::Ok(Server::new(vec![at(addr)?], functions.clone())?);
    running.replace(vec![at(&wide)?], functions.clone(), AMPLE).await?;
    for addr in [&wide, &addr.to_string()] {
        let error = second(addr)?.start().await.err();
        let Some(StartError::Bind { source, .. }) = error else { return Err("it started".into()) };
        assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    }
    Ok(())
}

#[tokio::test]
async fn a_failed_change_keeps_an_overlapping_address() -> TestResult {
    let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut other = at(&taken.local_addr()?.to_string())?;
    other.name = "other".to_owned();
    let wide = at(&format!("0.0.0.0:{}", addr.port()))?;
    let change = vec![wide.clone(), other.clone()];
    for change in [change.clone(), change.into_iter().rev().collect()] {
        let error = running.replace(change, functions.clone(), AMPLE).await.err();
        assert!(matches!(error, Some(StartError::Bind { service, .. }) if service == "other"));
        assert_eq!(ask(addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
        let now: Vec<_> = running.addresses().map(|(_, addr)| addr.tcp()).collect();
        assert_eq!(now, [Some(addr)]);
    }
    drop(taken);
    running.replace(vec![wide, other], functions, AMPLE).await?;
    assert_eq!(ask(addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
    Ok(())
}

#[tokio::test]
async fn two_services_swap_their_addresses() -> TestResult {
    let (mut one, mut two) = (service(&["GET /one -> wait"])?, service(&["GET /two -> wait"])?);
    two.name = "other".to_owned();
    let functions = Arc::new(Functions::default());
    functions.gate.add_permits(4);
    let mut running =
        Server::new(vec![one.clone(), two.clone()], functions.clone())?.start().await?;
    let of = |running: &crisol_server::Running| -> Vec<SocketAddr> {
        running.addresses().filter_map(|(_, addr)| addr.tcp()).collect()
    };
    let before = of(&running);
    let [first, second] = before.as_slice() else { return Err("two".into()) };
    assert_eq!(ask(*first, "GET /one", "").await?.0, 200);
    (one.addr, two.addr) = ((*second).into(), (*first).into());
    running.replace(vec![one, two], functions, AMPLE).await?;
    assert_eq!(ask(*first, "GET /two", "").await?.0, 200);
    assert_eq!(ask(*second, "GET /one", "").await?.0, 200);
    assert_eq!(ask(*second, "GET /two", "").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn chosen_port_is_kept_when_configured_explicitly() -> TestResult {
    let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
    let mut open = client(addr).await?;
    running.replace(vec![at(&addr.to_string())?], functions, AMPLE).await?;
    assert_eq!(seen(open.send_request(request("GET /add/1/2", "")?).await?).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn overlapping_addresses_of_two_services_are_an_error() -> TestResult {
    let mut other = at("0.0.0.0:1")?;
    other.name = "other".to_owned();
    let error = Server::new(vec![at("127.0.0.1:1")?, other], Arc::new(Functions::default())).err();
    assert_eq!(
        error.map(|error| error.to_string()),
        Some(
            "services `main` and `other` both listen on 0.0.0.0:1: change the address of one"
                .into()
        )
    );
    Ok(())
}

/// A keep-alive connection that is idle after its response.
async fn idle(addr: SocketAddr) -> TestResult<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    answered(&mut stream).await?;
    Ok(stream)
}

/// Sends a request on a keep-alive connection and reads the response.
async fn answered(stream: &mut TcpStream) -> TestResult {
    stream.write_all(ADD.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n3") {
        assert_ne!(stream.read_buf(&mut answer).await?, 0, "{}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

#[tokio::test]
async fn longest_idle_connection_is_closed_first() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_connections = 3;
    let Started { running, addr, functions } = start(service).await?;
    let mut busy = TcpStream::connect(addr).await?;
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    functions.until_waiting(1).await;
    let (mut first, mut second) = (idle(addr).await?, idle(addr).await?);
    // By now the older connection has been idle for less time.
    answered(&mut first).await?;
    let mut third = idle(addr).await?;
    assert_eq!(second.read(&mut [0; 8]).await?, 0, "it was closed, and not reset");
    answered(&mut first).await?;
    answered(&mut third).await?;
    functions.gate.add_permits(1);
    let mut answer = [0; 15];
    busy.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop((busy, first, third));
    assert_eq!(running.stop(AMPLE).await.aborted, 0);
    Ok(())
}

#[tokio::test]
async fn connections_without_a_request_and_of_http2_make_room_too() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_connections = 1;
    let Started { running: _running, addr, .. } = start(service).await?;
    for _ in 0..3 {
        let silent = TcpStream::connect(addr).await?;
        let mut second = crate::support::http2(TcpStream::connect(addr).await?).await?;
        assert_eq!(rest(silent).await?, "");
        let add = || request("GET http://localhost/add/1/2", "");
        assert_eq!(seen(second.send_request(add()?).await?).await?, (200, "3".to_owned()));
        // It sends GOAWAY, and its earlier response is intact.
        assert_eq!(ask(addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
        assert!(second.ready().await.is_err() || second.send_request(add()?).await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_others_have_theirs() -> TestResult {
    let mut service = service(ROUTES)?;
    service.limits.max_connections_per_client = 2;
    let Started { running: _running, addr, .. } = start(service).await?;
    let (mut one, two) = (idle(addr).await?, idle(addr).await?);
    assert_eq!(raw(addr, ADD).await.unwrap_or_default(), "");
    // Another address of this machine.
    let other = tokio::net::TcpSocket::new_v4()?;
    other.bind("127.0.0.2:0".parse()?)?;
    let mut other = other.connect(addr).await?;
    answered(&mut other).await?;
    drop(two);
    while !raw(addr, ADD.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
        .await
        .unwrap_or_default()
        .ends_with('3')
    {}
    answered(&mut one).await
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use tokio::net::UnixStream;

    use super::*;

    fn on(path: &Path) -> TestResult<Service> {
        let mut service = service(ROUTES)?;
        service.addr = path.to_owned().into();
        Ok(service)
    }

    async fn asked(path: &Path) -> TestResult<(u16, String)> {
        let mut client = crate::support::http1(UnixStream::connect(path).await?).await?;
        seen(client.send_request(request("GET /add/1/2", "")?).await?).await
    }

    async fn serve(service: Service) -> TestResult<crisol_server::Running> {
        Ok(Server::new(vec![service], Arc::new(Functions::default()))?.start().await?)
    }

    #[tokio::test]
    async fn a_socket_file_is_served_and_removed_at_the_end() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.sock");
        let running = serve(on(&path)?).await?;
        let address = running.addresses().next().map(|(_, addr)| addr.to_string());
        assert_eq!(address, Some(format!("unix:{}", path.display())));
        assert_eq!(asked(&path).await?, (200, "3".to_owned()));
        assert_eq!(running.stop(AMPLE).await.aborted, 0);
        assert!(!path.exists());
        let running = serve(on(&path)?).await?;
        drop(running);
        while path.exists() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn stale_socket_file_is_replaced_and_live_one_kept() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.sock");
        let other = UnixListener::bind(&path)?;
        let refused = serve(on(&path)?).await.err().map(|error| error.to_string());
        assert_eq!(
            refused,
            Some(format!("service `main` cannot listen on unix:{}", path.display()))
        );
        drop(other);
        assert!(path.exists(), "std leaves the file");
        let running = serve(on(&path)?).await?;
        assert_eq!(asked(&path).await?, (200, "3".to_owned()));
        // The second server of a path finds the first.
        assert!(serve(on(&path)?).await.is_err());
        assert_eq!(asked(&path).await?, (200, "3".to_owned()));
        // A file of another program that replaced ours is not removed.
        std::fs::remove_file(&path)?;
        let other = UnixListener::bind(&path)?;
        running.stop(AMPLE).await;
        assert!(path.exists());
        drop(other);
        Ok(())
    }

    #[tokio::test]
    async fn non_socket_file_is_kept() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("precious");
        std::fs::write(&path, "data")?;
        let error = serve(on(&path)?).await.err().ok_or("it started")?;
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(source.contains("not a socket"), "{error}: {source}");
        assert_eq!(std::fs::read(&path)?, b"data");
        assert!(serve(on(&dir.path().join("no/such/folder.sock"))?).await.is_err());
        Ok(())
    }

    #[tokio::test]
    async fn its_clients_are_one_client() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.sock");
        let mut service = on(&path)?;
        service.limits.max_connections_per_client = 1;
        let _running = serve(service).await?;
        let mut first = crate::support::http1(UnixStream::connect(&path).await?).await?;
        let add = || request("GET /add/1/2", "");
        assert_eq!(seen(first.send_request(add()?).await?).await?.0, 200);
        assert!(asked(&path).await.is_err());
        first.ready().await?;
        assert_eq!(seen(first.send_request(add()?).await?).await?.0, 200);
        Ok(())
    }

    #[tokio::test]
    async fn a_service_moves_between_tcp_and_a_path() -> TestResult {
        let dir = tempfile::tempdir()?;
        let (one, two) = (dir.path().join("1.sock"), dir.path().join("2.sock"));
        let Started { mut running, addr, functions } = start(service(ROUTES)?).await?;
        running.replace(vec![on(&one)?], functions.clone(), AMPLE).await?;
        assert_eq!(asked(&one).await?, (200, "3".to_owned()));
        running.replace(vec![on(&two)?], functions.clone(), AMPLE).await?;
        assert_eq!(asked(&two).await?, (200, "3".to_owned()));
        assert!(!one.exists());
        running.replace(vec![on(&one)?], functions.clone(), AMPLE).await?;
        running.replace(vec![at(&addr.to_string())?], functions, AMPLE).await?;
        assert_eq!(ask(addr, "GET /add/1/2", "").await?, (200, "3".to_owned()));
        assert!(!one.exists() && !two.exists());
        Ok(())
    }
}
