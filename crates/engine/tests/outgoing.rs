//! What guests ask others over HTTP: whom they reach, and what a hostile answer may cost.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use crisol_engine::{Failure, Limits, Outgoing, Reach, Surroundings, Unreachable, Val};
use support::{Guest, Tested, soon};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

/// Answers every question with one address; remembers the questions, and how many requests came.
struct At(SocketAddr, Mutex<Vec<String>>, AtomicUsize);

#[async_trait]
impl Reach for At {
    async fn reach(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        self.1.lock().unwrap().push(format!("{host}:{port}"));
        match host {
            "denied.invalid" => Err(Unreachable::Denied),
            "nobody.invalid" => Err(Unreachable::NoAddress),
            _ => Ok(vec![self.0]),
        }
    }
}

/// How a server behaves once it has been asked.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    NeverAnswers,
    NeverEnds,
    LongHead,
    Trickles,
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

async fn asked(
    outgoing: Option<Outgoing>,
    method: &str,
    args: &[Val],
    ms: u64,
) -> Tested<Result<Val, Failure>> {
    let guest = Guest::fixture("fetch", method, |_| true)?;
    let surroundings = Surroundings { wasi: support::wasi(), outgoing };
    let mut instance =
        guest.linked.instantiate(surroundings, Limits::default(), soon(60_000)).await?;
    Ok(instance.call(args, soon(ms)).await.map(|result| result.unwrap()))
}

/// What a guest that gets `url` tells: what came back, or the error code.
async fn get(outgoing: impl Into<Option<Outgoing>>, url: &str) -> Tested<String> {
    let called = asked(outgoing.into(), "get", &[Val::String(url.to_owned())], 60_000).await??;
    match called {
        Val::Result(Ok(Some(told)) | Err(Some(told))) => match *told {
            Val::String(told) => Ok(told),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_goes_to_the_address_that_was_checked_and_its_name_is_not_looked_up_again()
-> Tested {
    let at = server(Manner::Answers).await?;
    let outgoing = Outgoing::new(Arc::clone(&at) as Arc<dyn Reach>);
    // No name server knows this name.
    let told = get(outgoing.clone(), "http://api.invalid/a?b").await?;
    assert_eq!(told, "201\n35\nGET /a?b HTTP/1.1 host: api.invalid");
    get(outgoing.clone(), "http://api.invalid:8080").await?;
    assert_eq!(*at.1.lock().unwrap(), ["api.invalid:80", "api.invalid:8080"]);
    Ok(())
}

#[tokio::test]
async fn what_may_not_be_reached_is_denied() -> Tested {
    let at = server(Manner::Answers).await?;
    assert_eq!(get(None::<Outgoing>, "http://api.invalid/").await?, "ErrorCode::HttpRequestDenied");
    let outgoing = Outgoing::new(Arc::clone(&at) as Arc<dyn Reach>);
    let denied = get(outgoing.clone(), "http://denied.invalid/").await?;
    assert_eq!(denied, "ErrorCode::HttpRequestDenied");
    let unknown = get(outgoing.clone(), "http://nobody.invalid/").await?;
    assert!(unknown.starts_with("ErrorCode::DnsError"), "{unknown}");
    // What is around a host must not make another of it.
    let dressed = get(outgoing, "http://api.invalid@denied.invalid/").await?;
    assert_eq!(dressed, "ErrorCode::HttpRequestUriInvalid");
    Ok(())
}

#[tokio::test]
async fn an_answer_without_end_stops_at_the_limit() -> Tested {
    let outgoing = Outgoing::new(server(Manner::NeverEnds).await?).with_max_response_bytes(100_000);
    let told = get(outgoing, "http://api.invalid/").await?;
    assert!(told.starts_with("HTTP response body size exceeds limit: 100000 bytes"), "{told}");
    let outgoing = Outgoing::new(server(Manner::LongHead).await?);
    let told = get(outgoing, "http://api.invalid/").await?;
    assert!(told.starts_with("ErrorCode::"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_deadline_of_the_call() -> Tested {
    for manner in [Manner::NeverAnswers, Manner::Trickles] {
        let outgoing = Outgoing::new(server(manner).await?);
        let url = [Val::String("http://api.invalid/".to_owned())];
        match asked(Some(outgoing), "get", &url, 150).await? {
            Err(Failure::Deadline { running, waiting }) => assert!(waiting > running),
            other => panic!("expected a deadline, found {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn connections_at_once_are_limited_and_free_again_after_the_call() -> Tested {
    let outgoing = Outgoing::new(server(Manner::Answers).await?).with_max_connections(2);
    let url = Val::String("http://api.invalid/".to_owned());
    let many = [url.clone(), Val::U32(5)];
    let told = asked(Some(outgoing.clone()), "get-many", &many, 60_000).await??;
    let told = format!("{told:?}");
    assert!(told.contains("3 failed, ErrorCode::ConnectionLimitReached"), "{told}");
    for _ in 0..3 {
        // The connections close in tasks of their own.
        while !format!("{outgoing:?}").contains("connections: 2") {
            tokio::task::yield_now().await;
        }
        let two = [url.clone(), Val::U32(2)];
        let told = asked(Some(outgoing.clone()), "get-many", &two, 60_000).await??;
        assert_eq!(told, Val::Result(Ok(Some(Box::new(Val::U32(0))))));
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_counts_for_as_long_as_it_is_open() -> Tested {
    let at = server(Manner::NeverAnswers).await?;
    let outgoing = Outgoing::new(Arc::clone(&at) as Arc<dyn Reach>).with_max_connections(2);
    let url = Val::String("http://api.invalid/".to_owned());
    let (two, one) = ([url.clone(), Val::U32(2)], [url, Val::U32(1)]);
    let waiting = asked(Some(outgoing.clone()), "get-many", &two, 60_000);
    let third = async {
        while at.2.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        asked(Some(outgoing.clone()), "get-many", &one, 60_000).await
    };
    let third = tokio::select! {
        ended = waiting => panic!("nobody answered, and the call ended: {ended:?}"),
        third = third => third,
    };
    let told = format!("{:?}", third??);
    assert!(told.contains("1 failed, ErrorCode::ConnectionLimitReached"), "{told}");
    Ok(())
}

#[tokio::test]
async fn https_is_for_the_name_and_by_a_root_that_is_trusted() -> Tested {
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
    let strict = Outgoing::new(Arc::clone(&at) as Arc<dyn Reach>);
    let trusting = strict.clone().trusting(made.cert.der());
    let told = get(trusting.clone(), "https://api.invalid/").await?;
    assert!(told.starts_with("201\n"), "{told}");
    assert_eq!(*at.1.lock().unwrap(), ["api.invalid:443"]);
    let other_name = get(trusting, "https://other.invalid/").await?;
    assert_eq!(other_name, "ErrorCode::TlsProtocolError");
    let unknown_root = get(strict, "https://api.invalid/").await?;
    assert_eq!(unknown_root, "ErrorCode::TlsProtocolError");
    Ok(())
}
