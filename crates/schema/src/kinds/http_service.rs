//! Kind `http.service`: a socket that serves HTTP.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::definition::{EntryBody, KindContent, KindDefinition};
use crate::decode::{Decode, DecodeContext, Int, shape};
use crate::field::EntryField;
use crate::parts::{EntryRoutes, Pem};
use crate::role::Role;
use crate::values::{HttpMethod, Interval, ListenAddr};

/// A socket that serves HTTP: `http.service`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpService {
    /// Address to listen on.
    pub addr: ListenAddr,
    /// Timeouts for clients.
    pub timeouts: HttpTimeouts,
    /// Limits of the service.
    #[serde(skip_serializing_if = "HttpLimits::is_default")]
    pub limits: HttpLimits,
    /// Certificate and key, for HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// True to describe the endpoints at `GET /openapi.json`.
    pub openapi: bool,
}

/// Limits of a service. `None` means the server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HttpLimits {
    /// Maximum size of a request body, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// Maximum size of a request line with its headers, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_header_bytes: Option<u64>,
    /// Maximum number of headers in a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_headers: Option<u64>,
    /// Maximum number of concurrent requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u64>,
    /// Maximum number of concurrent connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u64>,
    /// Maximum number of concurrent connections from one client address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_client: Option<u64>,
    /// Maximum number of concurrent requests on one HTTP/2 connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_streams: Option<u64>,
    /// Maximum total size of request bodies in memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_buffered_bytes: Option<u64>,
}

impl HttpLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Timeouts of a service. `None` means the server's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HttpTimeouts {
    /// Timeout while receiving a request: for its head, for a whole body, or between two pieces of a streamed
    /// body.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub read: Option<Duration>,
    /// Timeout while the client accepts nothing of a response.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub write: Option<Duration>,
    /// Timeout while waiting for the next request on a connection.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}

fn interval<S: serde::Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    time.map(Interval).serialize(out)
}

/// TLS certificate and key, as PEM.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// Certificate and its chain.
    pub cert: Pem,
    /// Private key.
    pub key: Pem,
}

/// Omits the key, so that it never reaches logs.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// `http.service`.
pub(super) enum Definition {}

impl KindDefinition for Definition {
    type Value = HttpService;
    type Fields = HttpServiceFields;

    const ROLE: Option<Role> = Some(Role::Service);
    const UNUSED: Option<&'static str> = Some("use it in `meta.server` of an `http.router`");

    fn read(body: &EntryBody<'_>, cx: &mut DecodeContext<'_>) -> Option<HttpService> {
        let fields = HttpServiceFields::decode(body.fields, cx)?;
        let timeouts = fields.timeouts.map(|timeouts| HttpTimeouts {
            read: timeouts.read.map(|time| time.0),
            write: timeouts.write.map(|time| time.0),
            idle: timeouts.idle.map(|time| time.0),
        });
        let tls = fields.tls.map(|tls| Tls { cert: tls.cert, key: tls.key });
        Some(HttpService {
            addr: fields.addr,
            timeouts: timeouts.unwrap_or_default(),
            limits: fields.limits.map(HttpLimits::from).unwrap_or_default(),
            tls,
            openapi: fields.openapi.unwrap_or(false),
        })
    }
}

impl KindContent for HttpService {
    fn source_file(&self, field: &EntryField) -> Option<&Path> {
        let tls = self.tls.as_ref()?;
        if *field == EntryField::TlsKey {
            return tls.key.source_file();
        }
        tls.cert.source_file().filter(|_| *field == EntryField::TlsCert)
    }

    fn listen_addr(&self) -> Option<&ListenAddr> {
        Some(&self.addr)
    }

    fn routes(&self) -> Option<EntryRoutes<'_>> {
        let path = self.openapi.then(|| "/openapi.json".parse().ok()).flatten()?;
        let routes = vec![(HttpMethod::Get, path)];
        Some(EntryRoutes { parent: None, routes, folder: None, field: EntryField::Openapi })
    }
}

shape! {
    /// A socket that serves HTTP/1.1 and HTTP/2.
    pub(crate) struct HttpServiceFields {
        /// Address to listen on: `host:port`, `:port` for every address, or `unix:/path` for a Unix socket.
        addr: ListenAddr,
        /// Timeouts for clients.
        timeouts: Option<TimeoutFields>,
        /// Limits of the service.
        limits: Option<ServiceLimitFields>,
        /// Certificate and key, for HTTPS.
        tls: Option<TlsFields>,
        /// Describes the endpoints at `GET /openapi.json`. Default: false.
        openapi: Option<bool>,
    }
}

shape! {
    /// Timeouts of a service, such as `10s`.
    pub(crate) struct TimeoutFields {
        /// Timeout while receiving a request: for its head from the first byte, for a whole body that is
        /// bound to parameters, and between two pieces of a streamed body. Default: 30 s.
        read: Option<Interval>,
        /// Timeout while the client accepts nothing of a response. Default: 30 s.
        write: Option<Interval>,
        /// Timeout while waiting for the next request on a connection. Default: 60 s.
        idle: Option<Interval>,
    }
}

shape! {
    /// Limits of a service.
    pub(crate) struct ServiceLimitFields {
        /// Maximum size of a request body in bytes; beyond: `413`. Default: 10 MiB.
        max_body_bytes: Option<Int<0, TERABYTE>>,
        /// Maximum size of a request line with its headers in bytes; beyond: `431`. Default: 32 KiB.
        max_header_bytes: Option<Int<8192, 16_777_216>>,
        /// Maximum number of headers in a request; beyond: `431`. Default: 100.
        max_headers: Option<Int<1, 16_384>>,
        /// Maximum number of concurrent requests over all connections; beyond: `503`. Default: 16384.
        max_requests: Option<Count>,
        /// Maximum number of concurrent connections; beyond, the longest-idle one closes, or new ones wait.
        /// Default: 16384.
        max_connections: Option<Count>,
        /// Maximum number of concurrent connections from one client address (IPv6: one /64); further ones are
        /// closed. Default: 8192.
        max_connections_per_client: Option<Count>,
        /// Maximum number of concurrent requests on one HTTP/2 connection; further ones wait at the client.
        /// Default: 128.
        max_streams: Option<Count>,
        /// Maximum total size of request bodies in memory in bytes, over all connections; beyond: `503`.
        /// Default: 256 MiB.
        max_buffered_bytes: Option<Int<1, TERABYTE>>,
    }
}

/// Largest allowed limit for bytes.
const TERABYTE: u64 = 1 << 40;

/// A limit on a number of things; 32-bit counters hold it.
type Count = Int<1, 4_294_967_295>;

impl From<ServiceLimitFields> for HttpLimits {
    fn from(fields: ServiceLimitFields) -> Self {
        Self {
            max_body_bytes: fields.max_body_bytes.map(|n| n.0),
            max_header_bytes: fields.max_header_bytes.map(|n| n.0),
            max_headers: fields.max_headers.map(|n| n.0),
            max_requests: fields.max_requests.map(|n| n.0),
            max_connections: fields.max_connections.map(|n| n.0),
            max_connections_per_client: fields.max_connections_per_client.map(|n| n.0),
            max_streams: fields.max_streams.map(|n| n.0),
            max_buffered_bytes: fields.max_buffered_bytes.map(|n| n.0),
        }
    }
}

shape! {
    /// Certificate and key.
    pub(crate) struct TlsFields {
        /// Certificate and its chain as PEM: inline, `file://path` of a file in the app, the absolute path of
        /// any other file (`/etc/letsencrypt/live/example.com/fullchain.pem`), or `env://variable`, an
        /// `env.variable` entry.
        cert: Pem,
        /// Private key as PEM, in any of the same forms.
        key: Pem,
    }
}
