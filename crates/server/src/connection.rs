//! A connection from handshake to close: protocol detection, then its requests.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::{Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::activity::Activity;
use crate::client::Peer;
use crate::config::Timeouts;
use crate::dispatch::Connection;
use crate::framing::Framing;
use crate::idle::Idle;
use crate::io::Watched;
use crate::returning::Returning;
use crate::site::Site;
use crate::stream::{Arrival, Stream};
use crate::streams::Streams;

/// First bytes of an HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Interval of pings to a silent HTTP/2 client.
const PING: std::time::Duration = std::time::Duration::from_secs(20);

/// Hyper's default limit on headers.
const HYPERS_MAX_HEADERS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// State shared by the connections of one listener.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) site: Arc<ArcSwap<Site>>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) idle: Arc<Idle>,
    /// True while clients are asked to move to another server.
    pub(crate) draining: Arc<AtomicBool>,
    /// True once the listener stops.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Unexpected end of a connection, for the log.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the client sent no request in time")]
    Silent,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the connection broke")]
    Http(#[from] hyper::Error),
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: Stream, peer: Peer, mut shared: Shared) {
    // Small responses are sent at once. An error means that the socket is already closed.
    let _ = stream.set_nodelay();
    let site = shared.site.load_full();
    let mut stop = shared.stop.clone();
    let activity = Arc::new(Activity::new(site.timeouts, Arc::clone(&shared.idle)));
    let _sheddable = activity.sheddable();
    let ended = async {
        match &site.tls {
            None => greet(stream, None, (peer, &activity), &site, &mut shared).await,
            Some(tls) => {
                let handshake = timeout(site.timeouts.read, tls.acceptor().accept(stream));
                let stream = tokio::select! {
                    done = handshake => done.map_err(|_| Ended::Silent)?.map_err(Ended::Handshake)?,
                    () = dismissed(&activity, &mut stop) => return Ok(()),
                };
                activity.state.mark();
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Some(Protocol::Http2),
                    Some(_) => Some(Protocol::Http1),
                    None => None,
                };
                greet(stream, protocol, (peer, &activity), &site, &mut shared).await
            }
        }
    };
    let ended: Result<(), Ended> = ended.await;
    if let Err(reason) = ended {
        let source = std::error::Error::source(&reason).map(ToString::to_string);
        debug!(%peer, %reason, source, "a connection ended early");
    }
}

/// Waits until a connection is to close after the requests that have arrived.
async fn told(activity: &Activity, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = activity.asked() => {}
        _ = stop.wait_for(|stop| *stop) => activity.stop(),
    }
}

/// Waits until a connection without a request is to be closed: to make room for another one, or because the server
/// stops and no request has arrived.
async fn dismissed(activity: &Activity, stop: &mut watch::Receiver<bool>) {
    told(activity, stop).await;
    while let Some(until) = activity.deadline().filter(|until| *until > Instant::now()) {
        sleep_until(until).await;
    }
}

/// Detects the protocol and serves it.
async fn greet<S>(
    mut stream: S,
    protocol: Option<Protocol>,
    (peer, activity): (Peer, &Arc<Activity>),
    site: &Site,
    shared: &mut Shared,
) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Arrival + Unpin + Send + 'static,
{
    let (protocol, ahead) = match protocol {
        Some(protocol) => (protocol, Bytes::new()),
        None => {
            let told = tokio::select! {
                biased;
                told = sniff(&mut stream, site.timeouts, activity) => told,
                () = dismissed(activity, &mut shared.stop) => Ok(None),
            };
            let told = match told? {
                // Its request arrived at the same moment.
                None if !activity.state.is_ahead() && stream.has_arrived() => {
                    sniff(&mut stream, site.timeouts, activity).await?
                }
                told => told,
            };
            match told {
                Some(told) => told,
                None => return Ok(()),
            }
        }
    };
    if protocol == Protocol::Http2 {
        activity.speaks_http2();
    }
    let framing = (protocol == Protocol::Http1).then(Framing::new);
    let io = Watched::new(stream, ahead, Arc::clone(activity), (framing, site.timeouts.write));
    let connection = Arc::new(Connection {
        site: Arc::clone(&shared.site),
        requests: Arc::clone(&shared.requests),
        activity: Arc::clone(activity),
        draining: Arc::clone(&shared.draining),
        peer,
        secure: site.tls.is_some(),
    });
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = connection.activity.begin();
        if request.version() <= Version::HTTP_11 {
            connection.activity.state.parsed.begin(request.body().size_hint().exact());
        }
        Arc::clone(&connection).respond(request, busy)
    });
    match protocol {
        Protocol::Http1 => {
            let (io, home) = Returning::new(io);
            let serving = http1(site).serve_connection(TokioIo::new(io), service);
            drive(serving, (activity, protocol), &mut shared.stop).await?;
            match home.take() {
                Some(mut io) => Ok(io.shutdown().await?),
                None => Ok(()),
            }
        }
        Protocol::Http2 => {
            let serving = http2(site).serve_connection(TokioIo::new(io), service);
            drive(serving, (activity, protocol), &mut shared.stop).await
        }
    }
}

/// Reads until the protocol is known; `None` if the client leaves without sending anything.
async fn sniff<S: AsyncRead + Unpin>(
    stream: &mut S,
    timeouts: Timeouts,
    activity: &Activity,
) -> Result<Option<(Protocol, Bytes)>, Ended> {
    let mut ahead = BytesMut::with_capacity(PREFACE.len());
    let mut patience = timeouts.idle;
    let mut until = Instant::now() + patience;
    loop {
        let read = tokio::time::timeout_at(until, stream.read_buf(&mut ahead)).await;
        if read.map_err(|_| Ended::Silent)?? == 0 {
            // An incomplete request; HTTP/1.1 answers it with an error.
            return Ok((!ahead.is_empty()).then(|| (Protocol::Http1, ahead.freeze())));
        }
        activity.received(true);
        if ahead.starts_with(PREFACE) {
            return Ok(Some((Protocol::Http2, ahead.freeze())));
        }
        if !PREFACE.starts_with(&ahead) {
            return Ok(Some((Protocol::Http1, ahead.freeze())));
        }
        if patience != timeouts.read {
            // From the first bytes on, the timeout is that of a request's head.
            patience = timeouts.read;
            until = Instant::now() + patience;
        }
    }
}

fn http1(site: &Site) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Activity` times heads, and distinguishes them from idle connections.
        .header_read_timeout(None)
        .max_header_size(site.limits.max_header_bytes)
        .max_buf_size(site.limits.max_header_bytes);
    if site.limits.max_headers != HYPERS_MAX_HEADERS {
        // It costs an allocation for each request.
        builder.max_headers(site.limits.max_headers);
    }
    builder
}

fn http2(site: &Site) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams::new(site.timeouts.write));
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(site.timeouts.read)
        .max_concurrent_streams(site.limits.max_streams)
        .max_header_list_size(u32::try_from(site.limits.max_header_bytes).unwrap_or(u32::MAX));
    builder
}

enum Event<T> {
    Over(T),
    TimeUp,
}

/// Polls a connection until it ends or times out. If the server stops, or another connection needs its slot, it
/// ends once all requests that have arrived are served.
async fn drive<C>(
    serving: C,
    (activity, protocol): (&Activity, Protocol),
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Ended>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut serving = pin!(serving);
    let far = || Instant::now() + PING;
    let mut timer = pin!(sleep_until(activity.deadline().unwrap_or_else(far)));
    let mut closing = false;
    loop {
        let event = poll_fn(|cx| {
            if let Poll::Ready(over) = serving.as_mut().poll(cx) {
                return Poll::Ready(Event::Over(over));
            }
            // Only an earlier deadline moves the timer, so that a request does not touch it.
            if let Some(deadline) = activity.deadline().filter(|d| *d < timer.deadline()) {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx).map(|()| Event::TimeUp)
        });
        tokio::select! {
            biased;
            event = event => match event {
                Event::Over(over) => return over.map_err(Ended::from),
                Event::TimeUp => match activity.deadline() {
                    Some(deadline) if deadline <= Instant::now() => return Err(Ended::Silent),
                    later => timer.as_mut().reset(later.unwrap_or_else(far)),
                },
            },
            () = told(activity, stop), if !closing => {
                closing = true;
                // Over HTTP/1.1, hyper would drop unread bytes; `Watched` ends the connection instead.
                if protocol == Protocol::Http2 {
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
