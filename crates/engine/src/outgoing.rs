//! Outgoing HTTP requests of guests: to permitted peers, within bounds.
//!
//! This module does not decide which peers are permitted. [`OutboundPolicy`] returns *addresses*, and the connection goes
//! to one of them: the name is not resolved again, so DNS rebinding has no effect. The guest follows redirects
//! itself, with further requests that are checked like the first. Each request has a connection of its own,
//! since a reused one would carry state from call to call.

mod connect;
mod exchange;

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Request, Response, Uri, uri::Scheme};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p3::bindings::http::types as p3;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};

use connect::Tls;
use exchange::Timeouts;

/// Policy that decides which peers may be reached, and resolves their addresses.
#[async_trait]
pub trait OutboundPolicy: Send + Sync + 'static {
    /// Resolves `host` to the permitted addresses, in the order to try them. `host` is a name or an IP address,
    /// with brackets around IPv6.
    ///
    /// # Errors
    /// Fails when the host may not be reached, or has no address.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable>;
}

/// Reason that a peer is not reached, as shown to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// The peer is not permitted: the guest sees `HTTP-request-denied`.
    Denied,
    /// The name has no address: the guest sees `DNS-error`.
    NoAddress,
}

/// Outgoing HTTP of one function, shared by all its instances.
#[derive(Clone)]
pub struct OutgoingHttp {
    policy: Arc<dyn OutboundPolicy>,
    connections: Arc<Semaphore>,
    max_response_bytes: u64,
    tls: Tls,
}

impl OutgoingHttp {
    /// Allows requests to the peers that `policy` permits: at most 64 connections at once, response bodies of at
    /// most 64 MiB, and certificates under the roots that Mozilla trusts.
    #[must_use]
    pub fn new(policy: Arc<dyn OutboundPolicy>) -> Self {
        let connections = Arc::new(Semaphore::new(64));
        Self { policy, connections, max_response_bytes: 64 << 20, tls: Tls::default() }
    }

    /// Sets the maximum of open connections; a request beyond it fails as
    /// `connection-limit-reached`.
    #[must_use]
    pub fn with_max_connections(self, most: usize) -> Self {
        let connections = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { connections, ..self }
    }

    /// Sets the maximum bytes of a response body; reading further fails as `HTTP-response-body-size`.
    #[must_use]
    pub fn with_max_response_bytes(self, most: u64) -> Self {
        Self { max_response_bytes: most, ..self }
    }

    /// Trusts an additional root certificate in DER. An invalid certificate is ignored.
    #[must_use]
    pub fn trusting(self, root: &[u8]) -> Self {
        Self { tls: self.tls.trusting(root), ..self }
    }

    async fn send(&self, request: Request<WasiBody>, timeouts: Timeouts) -> SendResult {
        let peer = Peer::of(request.method(), request.uri())?;
        let permit = Arc::clone(&self.connections).try_acquire_owned();
        let permit = permit.map_err(|_| HttpError::ConnectionLimitReached)?;
        let addresses = self.policy.resolve(&peer.host, peer.port).await.map_err(http_error)?;
        let opening = connect::open(&addresses, peer.secure.then_some((&self.tls, &peer.host)));
        let stream = timeouts.connecting(opening).await?;
        exchange::run(stream, request, timeouts, self.max_response_bytes, permit).await
    }
}

impl std::fmt::Debug for OutgoingHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingHttp")
            .field("connections", &self.connections.available_permits())
            .field("max_response_bytes", &self.max_response_bytes)
            .finish_non_exhaustive()
    }
}

fn http_error(why: Unreachable) -> HttpError {
    match why {
        Unreachable::Denied => HttpError::HttpRequestDenied,
        Unreachable::NoAddress => HttpError::DnsError { rcode: None, info_code: None },
    }
}

/// The peer of a request.
struct Peer {
    host: String,
    port: u16,
    secure: bool,
}

impl Peer {
    fn of(method: &Method, uri: &Uri) -> Result<Self, HttpError> {
        // A tunnel would reach peers that were not checked.
        if *method == Method::CONNECT {
            return Err(HttpError::HttpRequestMethodInvalid);
        }
        let authority = uri.authority().ok_or(HttpError::HttpRequestUriInvalid)?;
        let host = authority.host().to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(HttpError::HttpRequestUriInvalid);
        }
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // The authority has a port that is not a valid port number.
            None if !authority.as_str().ends_with(&host) => {
                return Err(HttpError::HttpRequestUriInvalid);
            }
            None if secure => 443,
            None => 80,
        };
        Ok(Self { host, port, secure })
    }
}

/// Future that reports to a guest whether its request was processed.
type Processed = Box<dyn Future<Output = Result<(), HttpError>> + Send>;

type SendResult = Result<(Response<WasiBody>, Processed), HttpError>;

/// Outgoing HTTP of a store; with `None` every request is refused.
pub(crate) struct HttpHooks(pub(crate) Option<OutgoingHttp>);

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Processed,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        let outgoing = self.0.clone();
        let timeouts = Timeouts::new(options.unwrap_or_default());
        Box::new(async move {
            match outgoing {
                Some(outgoing) => outgoing.send(request, timeouts).await,
                None => Err(HttpError::HttpRequestDenied),
            }
        })
    }

    // Wasmtime logs a warning for each failure, so a guest could flood the log with failing requests.

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> p2::ErrorCode {
        tracing::debug!(?error, "an outgoing HTTP request of a guest failed");
        of_hyper(error)
    }

    fn p2_error_from_connect(&mut self, error: &io::Error) -> p2::ErrorCode {
        tracing::debug!(?error, "a guest could not connect");
        p2::ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, error: &io::Error) -> p2::ErrorCode {
        tracing::debug!(?error, "a guest could not connect by TLS");
        p2::ErrorCode::TlsProtocolError
    }

    fn p3_error_from_hyper(&mut self, error: &hyper::Error) -> p3::ErrorCode {
        tracing::debug!(?error, "an outgoing HTTP request of a guest failed");
        match of_hyper(error) {
            p2::ErrorCode::HttpResponseIncomplete => p3::ErrorCode::HttpResponseIncomplete,
            p2::ErrorCode::HttpResponseTimeout => p3::ErrorCode::HttpResponseTimeout,
            _ => p3::ErrorCode::HttpProtocolError,
        }
    }

    fn p3_error_from_connect(&mut self, error: &io::Error) -> p3::ErrorCode {
        tracing::debug!(?error, "a guest could not connect");
        p3::ErrorCode::ConnectionRefused
    }

    fn p3_error_from_tls(&mut self, error: &io::Error) -> p3::ErrorCode {
        tracing::debug!(?error, "a guest could not connect by TLS");
        p3::ErrorCode::TlsProtocolError
    }
}

/// The error code of a failed exchange.
pub(crate) fn of_hyper(error: &hyper::Error) -> p2::ErrorCode {
    // A connection that closes inside a body is reported as a read error.
    let mut next = error.source();
    let mut ended = error.is_incomplete_message();
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        ended |=
            matches!(kind, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
        next = cause.source();
    }
    if ended {
        p2::ErrorCode::HttpResponseIncomplete
    } else if error.is_timeout() {
        p2::ErrorCode::HttpResponseTimeout
    } else {
        p2::ErrorCode::HttpProtocolError
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_is_host_and_port_only() {
        let peer = |uri: &str| {
            let peer = Peer::of(&Method::GET, &uri.parse().ok()?).ok()?;
            Some((peer.host, peer.port, peer.secure))
        };
        let found = |host: &str, port, secure| Some((host.to_owned(), port, secure));
        assert_eq!(peer("http://a.b/x"), found("a.b", 80, false));
        assert_eq!(peer("https://a.b/x"), found("a.b", 443, true));
        assert_eq!(peer("https://[::1]:8443/"), found("[::1]", 8443, true));
        assert_eq!(peer("http://user@a.b/"), None);
        assert_eq!(peer("http://a.b:99999/"), None);
        assert_eq!(peer("/x"), None);
        let uri = Uri::from_static("http://a.b/");
        assert!(Peer::of(&Method::CONNECT, &uri).is_err());
    }
}
