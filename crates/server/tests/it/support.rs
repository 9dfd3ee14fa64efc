//! A server over fake functions, and clients that send raw bytes or regular requests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crisol_core::{
    Args, CallContext, CallError, EntryId, ErrorDetails, Field, Invoke, Overload, Reply, Signature,
    Spent, Type, Value,
};
use crisol_server::{Route, RouteTarget, Router, Running, Server, Service};
use crisol_transport::WasiHttp;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Functions without a guest: `greet`, `add`, `echo`, and others that fail or wait.
pub(crate) struct Functions {
    /// Each permit lets one call of `wait` finish.
    pub(crate) gate: Semaphore,
    /// Running calls of `wait`.
    pub(crate) waiting: AtomicUsize,
    /// Notified of each change of `waiting`.
    pub(crate) changed: Notify,
}

impl Default for Functions {
    fn default() -> Self {
        let (gate, waiting) = (Semaphore::new(0), AtomicUsize::new(0));
        Self { gate, waiting, changed: Notify::new() }
    }
}

impl Functions {
    fn signature_of(name: &str) -> Option<Signature> {
        let param = |name: &str, ty| Field { name: name.to_owned(), ty };
        let (params, result) = match name {
            "greet" => (vec![param("name", Type::String)], Some(Type::String)),
            "add" => (vec![param("a", Type::S32), param("b", Type::S32)], Some(Type::S64)),
            "echo" => {
                let bytes = Type::List(Box::new(Type::U8));
                (vec![param("bytes", bytes.clone())], Some(bytes))
            }
            "trap" | "busy" | "refuse" | "slow" | "nothing" => (Vec::new(), None),
            "wait" => (Vec::new(), Some(Type::String)),
            _ => return None,
        };
        Some(Signature { params, result })
    }

    /// Waits until that many calls of `wait` are running.
    pub(crate) async fn until_waiting(&self, calls: usize) {
        loop {
            let changed = self.changed.notified();
            if self.waiting.load(Ordering::SeqCst) == calls {
                return;
            }
            changed.await;
        }
    }

    async fn wait(&self) -> Result<Reply, CallError> {
        struct Waiting<'a>(&'a Functions);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.waiting.fetch_sub(1, Ordering::SeqCst);
                self.0.changed.notify_waiters();
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        let _waiting = Waiting(self);
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        Ok(Reply::new("done"))
    }
}

#[async_trait]
impl Invoke for Functions {
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        let values = args.into_values().map_err(|source| CallError::invalid_input(id, source))?;
        match (id.name(), values.as_slice()) {
            ("greet", [Value::Text(name)]) => Ok(Reply::new(format!("hola, {name}"))),
            ("add", [Value::Int(a), Value::Int(b)]) => Ok(Reply::new(a + b)),
            ("echo", [bytes]) => Ok(Reply::new(bytes.clone())),
            ("nothing", _) => Ok(Reply::new(())),
            ("trap", _) => Err(CallError::trap(id, "secret at /srv/x.wasm")),
            ("refuse", _) => {
                let error = Value::Map(vec![(Value::from("status"), Value::Int(410))]);
                Err(CallError::function(id, error))
            }
            ("busy", _) => Err(CallError::saturated(id, Overload::Queue { waiting: 4 })),
            ("slow", _) => {
                let limit = context.deadline().map(|_| Duration::from_millis(1));
                Err(CallError::new(id, ErrorDetails::Deadline { limit, spent: Spent::default() }))
            }
            ("wait", _) => self.wait().await,
            (name, _) if Self::signature_of(name).is_none() => {
                Err(CallError::not_found(id.as_str(), None))
            }
            (_, other) => Err(CallError::invalid_input(id, format!("unexpected {other:?}"))),
        }
    }

    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>> {
        Self::signature_of(id.name()).map(Arc::new)
    }
}

/// A route to a function, written `METHOD /pattern -> function` and named for the function.
pub(crate) fn route(line: &str) -> TestResult<Route> {
    let (head, function) = line.split_once(" -> ").ok_or("no arrow")?;
    let (method, pattern) = head.split_once(' ').ok_or("no method")?;
    let method = if method == "ANY" { None } else { Some(method.parse()?) };
    let id = format!("t:{function}").parse()?;
    let target = RouteTarget::Function { id, transport: Arc::new(WasiHttp) };
    Ok(Route { name: line.to_owned(), method, pattern: pattern.to_owned(), target })
}

pub(crate) fn router(routes: &[&str]) -> TestResult<Router> {
    let routes = routes.iter().map(|line| route(line)).collect::<TestResult<_>>()?;
    Ok(Router { name: "routes".to_owned(), routes, ..Router::default() })
}

/// A service on a free port of this machine.
pub(crate) fn service(routes: &[&str]) -> TestResult<Service> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Service::new("main", addr).with_router(router(routes)?))
}

pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) addr: SocketAddr,
    pub(crate) functions: Arc<Functions>,
}

pub(crate) async fn start(service: Service) -> TestResult<Started> {
    let functions = Arc::new(Functions::default());
    let running = Server::new(vec![service], functions.clone())?.start().await?;
    let addr = running.addresses().next().and_then(|(_, addr)| addr.tcp()).ok_or("no address")?;
    Ok(Started { running, addr, functions })
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn raw(addr: SocketAddr, request: impl AsRef<[u8]>) -> TestResult<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_ref()).await?;
    rest(stream).await
}

/// A time that passes only if a test advances the clock.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Advances the time at once, for all timers of the test's own runtime.
pub(crate) async fn skip(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Advances the time by minutes until a future completes. A server that does not wait for it yet starts its timer
/// in one minute and times out in the next.
pub(crate) async fn in_minutes<T>(ends: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            skip(MINUTE).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        ended = ends => ended,
        () = passing => unreachable!("minutes pass without end"),
    }
}

/// Sends the same bytes every second until the server closes, and returns its output.
pub(crate) async fn dripping(mut stream: TcpStream, drop: &[u8]) -> TestResult<String> {
    let mut answer = Vec::new();
    for _ in 0..1000 {
        skip(Duration::from_secs(1)).await;
        let is_over = match stream.try_read_buf(&mut answer) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        if is_over || stream.write_all(drop).await.is_err() {
            // The server resets a connection with unread input; earlier output counts.
            let _ = stream.read_to_end(&mut answer).await;
            return Ok(String::from_utf8_lossy(&answer).into_owned());
        }
    }
    Err("it is open after a thousand seconds".into())
}

/// Reads until the server closes; output before a reset counts.
pub(crate) async fn rest(mut stream: TcpStream) -> TestResult<String> {
    let mut answer = Vec::new();
    // Longer than all minutes that tests advance, for a server that never closes.
    let read = tokio::time::timeout(MINUTE * 100_000, stream.read_to_end(&mut answer));
    match read.await? {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Status and body of a response.
pub(crate) async fn seen(response: Response<hyper::body::Incoming>) -> TestResult<(u16, String)> {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A request written `METHOD /target`, with a body.
pub(crate) fn request(line: &str, body: impl Into<Bytes>) -> TestResult<Request<Full<Bytes>>> {
    let (method, target) = line.split_once(' ').ok_or("no method")?;
    let request = Request::builder().method(method).uri(target).header("host", "localhost");
    Ok(request.body(Full::new(body.into()))?)
}

pub(crate) type Http1 = http1::SendRequest<Full<Bytes>>;
pub(crate) type Http2 = http2::SendRequest<Full<Bytes>>;

pub(crate) async fn http1<S>(stream: S) -> TestResult<Http1>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub(crate) async fn http2<S>(stream: S) -> TestResult<Http2>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub(crate) async fn client(addr: SocketAddr) -> TestResult<Http1> {
    http1(TcpStream::connect(addr).await?).await
}

/// Sends a request on its own connection.
pub(crate) async fn ask(addr: SocketAddr, line: &str, body: &str) -> TestResult<(u16, String)> {
    let response = client(addr).await?.send_request(request(line, body.to_owned())?).await?;
    seen(response).await
}
