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
use crate::checked_service::CheckedService;
use crate::client::Peer;
use crate::config::Timeouts;
use crate::dispatch::Connection;
use crate::framing::Framing;
use crate::idle::IdleQueue;
use crate::io::MonitoredIo;
use crate::recoverable::Recoverable;
use crate::stream::{PendingInput, Stream};
use crate::stream_executor::StreamExecutor;

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
pub(crate) struct ListenerState {
    pub(crate) service: Arc<ArcSwap<CheckedService>>,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) idle: Arc<IdleQueue>,
    /// True while clients are asked to move to another server.
    pub(crate) draining: Arc<AtomicBool>,
    /// True once the listener stops.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Unexpected end of a connection, for the log.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the client sent no request in time")]
    TimedOut,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the connection broke")]
    Http(#[from] hyper::Error),
}

/// Serves a connection to its end.
pub(crate) async fn serve(stream: Stream, peer: Peer, mut shared: ListenerState) {
    // Small responses are sent at once. An error means that the socket is already closed.
    let _ = stream.set_nodelay();
    let service = shared.service.load_full();
    let mut stop = shared.stop.clone();
    let activity = Arc::new(Activity::new(service.timeouts, Arc::clone(&shared.idle)));
    let _queued = activity.enter_idle_queue();
    let ended = async {
        match &service.tls {
            None => negotiate(stream, None, (peer, &activity), &service, &mut shared).await,
            Some(tls) => {
                let handshake = timeout(service.timeouts.read, tls.acceptor().accept(stream));
                let stream = tokio::select! {
                    done = handshake => done.map_err(|_| ConnectionError::TimedOut)?.map_err(ConnectionError::Handshake)?,
                    () = idle_close(&activity, &mut stop) => return Ok(()),
                };
                activity.state.mark();
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Some(Protocol::Http2),
                    Some(_) => Some(Protocol::Http1),
                    None => None,
                };
                negotiate(stream, protocol, (peer, &activity), &service, &mut shared).await
            }
        }
    };
    let ended: Result<(), ConnectionError> = ended.await;
    if let Err(reason) = ended {
        let source = std::error::Error::source(&reason).map(ToString::to_string);
        debug!(%peer, %reason, source, "a connection ended early");
    }
}

/// Waits until a connection is to close after the requests that have arrived.
async fn close_requested(activity: &Activity, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = activity.close_requested() => {}
        _ = stop.wait_for(|stop| *stop) => activity.stop(),
    }
}

/// Waits until a connection without a request is to be closed: to make room for another one, or because the server
/// stops and no request has arrived.
async fn idle_close(activity: &Activity, stop: &mut watch::Receiver<bool>) {
    close_requested(activity, stop).await;
    while let Some(until) = activity.deadline().filter(|until| *until > Instant::now()) {
        sleep_until(until).await;
    }
}

/// Detects the protocol and serves it.
async fn negotiate<S>(
    mut stream: S,
    protocol: Option<Protocol>,
    (peer, activity): (Peer, &Arc<Activity>),
    service: &CheckedService,
    shared: &mut ListenerState,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + PendingInput + Unpin + Send + 'static,
{
    let (protocol, ahead) = match protocol {
        Some(protocol) => (protocol, Bytes::new()),
        None => {
            match first_request(&mut stream, service.timeouts, activity, &mut shared.stop).await? {
                Some(detected) => detected,
                None => return Ok(()),
            }
        }
    };
    if protocol == Protocol::Http2 {
        activity.set_http2();
    }
    let framing = (protocol == Protocol::Http1).then(Framing::new);
    let io =
        MonitoredIo::new(stream, ahead, Arc::clone(activity), (framing, service.timeouts.write));
    let connection = Arc::new(Connection {
        service: Arc::clone(&shared.service),
        requests: Arc::clone(&shared.requests),
        activity: Arc::clone(activity),
        draining: Arc::clone(&shared.draining),
        peer,
        secure: service.tls.is_some(),
    });
    let respond = service_fn(move |request: Request<Incoming>| {
        let busy = connection.activity.begin();
        if request.version() <= Version::HTTP_11 {
            connection.activity.state.parsed.begin(request.body().size_hint().exact());
        }
        Arc::clone(&connection).respond(request, busy)
    });
    match protocol {
        Protocol::Http1 => {
            let (io, slot) = Recoverable::new(io);
            let serving = http1(service).serve_connection(TokioIo::new(io), respond);
            drive(serving, (activity, protocol), &mut shared.stop).await?;
            match slot.take() {
                Some(mut io) => Ok(io.shutdown().await?),
                None => Ok(()),
            }
        }
        Protocol::Http2 => {
            let serving = http2(service).serve_connection(TokioIo::new(io), respond);
            drive(serving, (activity, protocol), &mut shared.stop).await
        }
    }
}

/// Waits for the first bytes of a request and detects its protocol; `None` if the connection is to close before.
async fn first_request<S: AsyncRead + PendingInput + Unpin>(
    stream: &mut S,
    timeouts: Timeouts,
    activity: &Activity,
    stop: &mut watch::Receiver<bool>,
) -> Result<Option<(Protocol, Bytes)>, ConnectionError> {
    let detected = tokio::select! {
        biased;
        detected = detect_protocol(stream, timeouts, activity) => detected,
        () = idle_close(activity, stop) => Ok(None),
    };
    match detected? {
        // Its request arrived at the same moment.
        None if !activity.state.is_ahead() && stream.has_pending_input() => {
            detect_protocol(stream, timeouts, activity).await
        }
        detected => Ok(detected),
    }
}

/// Reads until the protocol is known; `None` if the client leaves without sending anything.
async fn detect_protocol<S: AsyncRead + Unpin>(
    stream: &mut S,
    timeouts: Timeouts,
    activity: &Activity,
) -> Result<Option<(Protocol, Bytes)>, ConnectionError> {
    let mut ahead = BytesMut::with_capacity(PREFACE.len());
    let mut wait = timeouts.idle;
    let mut until = Instant::now() + wait;
    loop {
        let read = tokio::time::timeout_at(until, stream.read_buf(&mut ahead)).await;
        if read.map_err(|_| ConnectionError::TimedOut)?? == 0 {
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
        if wait != timeouts.read {
            // From the first bytes on, the timeout is that of a request's head.
            wait = timeouts.read;
            until = Instant::now() + wait;
        }
    }
}

fn http1(service: &CheckedService) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // `Activity` times heads, and distinguishes them from idle connections.
        .header_read_timeout(None)
        .max_header_size(service.limits.max_header_bytes)
        .max_buf_size(service.limits.max_header_bytes);
    if service.limits.max_headers != HYPERS_MAX_HEADERS {
        // It costs an allocation for each request.
        builder.max_headers(service.limits.max_headers);
    }
    builder
}

fn http2(service: &CheckedService) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor::new(service.timeouts.write));
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(service.timeouts.read)
        .max_concurrent_streams(service.limits.max_streams)
        .max_header_list_size(u32::try_from(service.limits.max_header_bytes).unwrap_or(u32::MAX));
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
) -> Result<(), ConnectionError>
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
                Event::Over(over) => return over.map_err(ConnectionError::from),
                Event::TimeUp => match activity.deadline() {
                    Some(deadline) if deadline <= Instant::now() => return Err(ConnectionError::TimedOut),
                    later => timer.as_mut().reset(later.unwrap_or_else(far)),
                },
            },
            () = close_requested(activity, stop), if !closing => {
                closing = true;
                // Over HTTP/1.1, hyper would drop unread bytes; `MonitoredIo` ends the connection instead.
                if protocol == Protocol::Http2 {
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
