//! Outgoing HTTP of guests: permitted peers, and bounds on hostile responses.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Guest, Tested, soon, stopped};
use async_trait::async_trait;
use crisol_engine::{
    EntrySettings, Failure, InstanceContext, Limits, OutboundPolicy, OutgoingHttp, Unreachable, Val,
};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

/// Resolves every host to one address; records the lookups and the number of requests.
struct At(SocketAddr, Mutex<Vec<String>>, AtomicUsize);

#[async_trait]
impl OutboundPolicy for At {
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        self.1.lock().unwrap().push(format!("{host}:{port}"));
        match host {
            "denied.invalid" => Err(Unreachable::Denied),
            "nobody.invalid" => Err(Unreachable::NoAddress),
            _ => Ok(vec![self.0]),
        }
    }
}

/// Like [`At`], after all other work is done: by then a guest has started all its concurrent requests.
struct AtRest {
    at: Arc<At>,
    is_paused: AtomicBool,
}

#[async_trait]
impl OutboundPolicy for AtRest {
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        if self.is_paused.load(Ordering::Relaxed) {
            // A paused clock advances only then. Sockets follow, which need a running clock.
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.is_paused.swap(false, Ordering::Relaxed) {
                tokio::time::resume();
            }
        }
        self.at.resolve(host, port).await
    }
}

/// Behaviour of a server after a request.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    NeverAnswers,
    NeverEnds,
    LongHead,
    Trickles,
    /// Sends `100 Continue` again and again.
    Continues,
    /// Ends the body, but never the trailers.
    Trailers,
    /// Sends a chunk size with an endless extension.
    Extensions,
    /// Closes the connection in the middle of the body.
    CutShort,
}

async fn behave(mut stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner) -> Tested {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await?);
    }
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    match manner {
        Manner::Answers => {
            let head = String::from_utf8(seen)?;
            let lines: Vec<&str> = head.lines().collect();
            let body = format!("{} {}", lines[0], lines[1]);
            let answer =
                format!("HTTP/1.1 201 Made\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
        }
        Manner::NeverAnswers => std::future::pending().await,
        Manner::NeverEnds => {
            stream.write_all(chunked).await?;
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Manner::LongHead => {
            let head = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n", "x".repeat(300_000));
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(b"content-length: 0\r\n\r\n").await?;
            stream.shutdown().await?;
        }
        Manner::Trickles => {
            stream.write_all(chunked).await?;
            loop {
                stream.write_all(b"1\r\nx\r\n").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Manner::Continues => loop {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            stream.flush().await?;
        },
        Manner::Trailers => {
            stream.write_all(chunked).await?;
            stream.write_all(b"1\r\nx\r\n0\r\n").await?;
            loop {
                stream.write_all(b"x-more: and more\r\n").await?;
            }
        }
        Manner::Extensions => {
            stream.write_all(chunked).await?;
            stream.write_all(b"1;note=").await?;
            loop {
                stream.write_all(&[b'a'; 4096]).await?;
            }
        }
        Manner::CutShort => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello").await?;
            stream.shutdown().await?;
        }
    }
    Ok(())
}

async fn server(manner: Manner) -> Tested<Arc<At>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = Arc::new(At(listener.local_addr()?, Mutex::default(), AtomicUsize::new(0)));
    let served = Arc::clone(&at);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = tokio::io::BufReader::new(stream);
            let served = Arc::clone(&served);
            tokio::spawn(async move {
                let _it_came = stream.fill_buf().await;
                served.2.fetch_add(1, Ordering::Relaxed);
                behave(stream, manner).await
            });
        }
    });
    Ok(at)
}

/// The requesting guests: WASI 0.2, and 0.3.
const GUESTS: [&str; 2] = ["fetch", "probe-p3"];

/// More milliseconds than any test takes.
const AN_HOUR: u64 = 3_600_000;

/// A method of a guest, compiled once for all tests.
fn made(guest: &str, method: &str) -> Tested<Arc<Guest>> {
    static MADE: Mutex<BTreeMap<(String, String), Arc<Guest>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    let key = (guest.to_owned(), method.to_owned());
    if let Some(known) = made.get(&key) {
        return Ok(Arc::clone(known));
    }
    let fresh = Arc::new(Guest::fixture(guest, method, |_| true)?);
    Ok(Arc::clone(made.entry(key).or_insert(fresh)))
}

async fn asked(
    guest: &str,
    outgoing: Option<OutgoingHttp>,
    method: &str,
    args: &[Val],
    ms: u64,
) -> Tested<Result<Val, Failure>> {
    let guest = made(guest, method)?;
    let settings = outgoing.into_iter().fold(EntrySettings::default(), EntrySettings::with);
    let context = InstanceContext::from(crate::support::wasi()).with_settings(settings);
    let mut instance = guest.linked.instantiate(context, Limits::default(), soon(AN_HOUR)).await?;
    Ok(instance.call(args, soon(ms)).await.map(|result| result.unwrap()))
}

/// Result of a guest that requests `url`: the response, or the error code.
async fn get(guest: &str, outgoing: impl Into<Option<OutgoingHttp>>, url: &str) -> Tested<String> {
    let called =
        asked(guest, outgoing.into(), "get", &[Val::String(url.to_owned())], AN_HOUR).await??;
    match called {
        Val::Result(Ok(Some(told)) | Err(Some(told))) => match *told {
            Val::String(told) => Ok(told),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_go_to_the_checked_address() -> Tested {
    for guest in GUESTS {
        let at = server(Manner::Answers).await?;
        let outgoing = OutgoingHttp::new(Arc::<At>::clone(&at));
        // This name does not resolve in DNS.
        let told = get(guest, outgoing.clone(), "http://api.invalid/a?b").await?;
        assert_eq!(told, "201\n35\nGET /a?b HTTP/1.1 host: api.invalid", "{guest}");
        get(guest, outgoing.clone(), "http://api.invalid:8080").await?;
        let asked = at.1.lock().unwrap();
        assert_eq!(*asked, ["api.invalid:80", "api.invalid:8080"], "{guest}");
    }
    Ok(())
}

#[tokio::test]
async fn unlisted_peers_are_denied() -> Tested {
    for guest in GUESTS {
        let at = server(Manner::Answers).await?;
        let nothing = get(guest, None::<OutgoingHttp>, "http://api.invalid/").await?;
        assert_eq!(nothing, "ErrorCode::HttpRequestDenied", "{guest}");
        let outgoing = OutgoingHttp::new(Arc::<At>::clone(&at));
        let denied = get(guest, outgoing.clone(), "http://denied.invalid/").await?;
        assert_eq!(denied, "ErrorCode::HttpRequestDenied", "{guest}");
        let unknown = get(guest, outgoing.clone(), "http://nobody.invalid/").await?;
        assert!(unknown.starts_with("ErrorCode::DnsError"), "{guest}: {unknown}");
        // User info before a host must not change the host.
        let dressed = get(guest, outgoing, "http://api.invalid@denied.invalid/").await?;
        assert_eq!(dressed, "ErrorCode::HttpRequestUriInvalid", "{guest}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_without_end_stops_at_the_limit() -> Tested {
    for guest in GUESTS {
        let outgoing = OutgoingHttp::new(server(Manner::NeverEnds).await?);
        let outgoing = outgoing.with_max_response_bytes(100_000);
        let told = get(guest, outgoing, "http://api.invalid/").await?;
        let code = "ErrorCode::HttpResponseBodySize(Some(100000))";
        assert!(told.starts_with(code), "{guest}: {told}");
        for manner in [Manner::LongHead, Manner::Trailers, Manner::Extensions] {
            let outgoing = OutgoingHttp::new(server(manner).await?);
            let told = get(guest, outgoing, "http://api.invalid/").await?;
            assert!(told.starts_with("ErrorCode::HttpProtocolError"), "{guest}: {told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn truncated_response_is_an_error() -> Tested {
    for guest in GUESTS {
        let outgoing = OutgoingHttp::new(server(Manner::CutShort).await?);
        let told = get(guest, outgoing, "http://api.invalid/").await?;
        assert!(told.starts_with("ErrorCode::HttpResponseIncomplete"), "{guest}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_deadline_of_the_call() -> Tested {
    let deadline = Duration::from_secs(30);
    for guest in GUESTS {
        for manner in [Manner::NeverAnswers, Manner::Trickles, Manner::Continues] {
            let at = server(manner).await?;
            let outgoing = OutgoingHttp::new(Arc::<At>::clone(&at));
            let url = [Val::String("http://api.invalid/".to_owned())];
            let late = async {
                while at.2.load(Ordering::Relaxed) == 0 {
                    tokio::task::yield_now().await;
                }
                tokio::time::pause();
                tokio::time::advance(deadline).await;
                tokio::time::resume();
            };
            let (ended, ()) =
                tokio::join!(asked(guest, Some(outgoing.clone()), "get", &url, 30_000), late);
            let [_, waiting] = stopped(ended?)?;
            assert!(waiting >= deadline, "{guest}: {waiting:?}");
            // The connection ends with the call.
            while !format!("{outgoing:?}").contains("connections: 64") {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn connections_at_once_are_limited_and_free_again_after_the_call() -> Tested {
    for guest in GUESTS {
        let reach = AtRest { at: server(Manner::Answers).await?, is_paused: true.into() };
        let outgoing = OutgoingHttp::new(Arc::new(reach)).with_max_connections(2);
        let url = Val::String("http://api.invalid/".to_owned());
        let many = [url.clone(), Val::U32(5)];
        tokio::time::pause();
        let told = asked(guest, Some(outgoing.clone()), "get-many", &many, AN_HOUR).await??;
        let told = format!("{told:?}");
        let refused = "3 failed, ErrorCode::ConnectionLimitReached";
        assert!(told.contains(refused), "{guest}: {told}");
        for _ in 0..3 {
            // The connections close in tasks of their own.
            while !format!("{outgoing:?}").contains("connections: 2") {
                tokio::task::yield_now().await;
            }
            let two = [url.clone(), Val::U32(2)];
            let told = asked(guest, Some(outgoing.clone()), "get-many", &two, AN_HOUR).await??;
            assert_eq!(told, Val::Result(Ok(Some(Box::new(Val::U32(0))))), "{guest}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_counts_for_as_long_as_it_is_open() -> Tested {
    for guest in GUESTS {
        let at = server(Manner::NeverAnswers).await?;
        let outgoing = OutgoingHttp::new(Arc::<At>::clone(&at)).with_max_connections(2);
        let url = Val::String("http://api.invalid/".to_owned());
        let (two, one) = ([url.clone(), Val::U32(2)], [url, Val::U32(1)]);
        let waiting = asked(guest, Some(outgoing.clone()), "get-many", &two, AN_HOUR);
        let third = async {
            while at.2.load(Ordering::Relaxed) < 2 {
                tokio::task::yield_now().await;
            }
            asked(guest, Some(outgoing.clone()), "get-many", &one, AN_HOUR).await
        };
        let third = tokio::select! {
            ended = waiting => panic!("nobody answered, and the call ended: {ended:?}"),
            third = third => third,
        };
        let told = format!("{:?}", third??);
        let refused = "1 failed, ErrorCode::ConnectionLimitReached";
        assert!(told.contains(refused), "{guest}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn connection_counts_until_its_response_ends() -> Tested {
    let url = [Val::String("http://api.invalid/".to_owned())];
    for guest in GUESTS {
        let outgoing = OutgoingHttp::new(server(Manner::Trickles).await?).with_max_connections(1);
        let reading = asked(guest, Some(outgoing.clone()), "get", &url, AN_HOUR);
        let others = async {
            while !format!("{outgoing:?}").contains("connections: 0") {
                tokio::task::yield_now().await;
            }
            // Sequential, so that the first already has its response head.
            for _ in 0..20 {
                let told = get(guest, outgoing.clone(), "http://api.invalid/").await?;
                assert_eq!(told, "ErrorCode::ConnectionLimitReached", "{guest}");
            }
            Tested::Ok(())
        };
        tokio::select! {
            ended = reading => panic!("the answer has no end, and the call ended: {ended:?}"),
            refused = others => refused?,
        }
    }
    Ok(())
}

/// Count of log events at warning level or above that a guest causes.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn requests_that_fail_do_not_fill_the_log() -> Tested {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let nobody = At("127.0.0.1:1".parse()?, Mutex::default(), AtomicUsize::new(0));
    let nobody: Arc<dyn OutboundPolicy> = Arc::new(nobody);
    for guest in GUESTS {
        for (url, manner) in [
            ("http://api.invalid/", Some(Manner::CutShort)),
            ("http://api.invalid/", Some(Manner::LongHead)),
            ("https://api.invalid/", Some(Manner::Answers)),
            ("http://api.invalid/", None),
        ] {
            let outgoing = match manner {
                Some(manner) => OutgoingHttp::new(server(manner).await?),
                None => OutgoingHttp::new(Arc::clone(&nobody)),
            };
            let told = get(guest, outgoing, url).await?;
            assert!(told.starts_with("ErrorCode::"), "{guest}: {told}");
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(warnings.0.load(Ordering::Relaxed), 0);
    Ok(())
}

#[tokio::test]
async fn https_verifies_name_and_trusted_root() -> Tested {
    let made = rcgen::generate_simple_self_signed(vec!["api.invalid".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = Arc::new(At(listener.local_addr()?, Mutex::default(), AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _seen_by_the_guest = behave(stream, Manner::Answers).await;
                }
            });
        }
    });
    for guest in GUESTS {
        let strict = OutgoingHttp::new(Arc::<At>::clone(&at));
        let trusting = strict.clone().trusting(made.cert.der());
        let told = get(guest, trusting.clone(), "https://api.invalid/").await?;
        assert!(told.starts_with("201\n"), "{guest}: {told}");
        assert_eq!(std::mem::take(&mut *at.1.lock().unwrap()), ["api.invalid:443"]);
        let other_name = get(guest, trusting, "https://other.invalid/").await?;
        assert_eq!(other_name, "ErrorCode::TlsProtocolError", "{guest}");
        let unknown_root = get(guest, strict, "https://api.invalid/").await?;
        assert_eq!(unknown_root, "ErrorCode::TlsProtocolError", "{guest}");
        at.1.lock().unwrap().clear();
    }
    Ok(())
}
