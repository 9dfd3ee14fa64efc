//! HTTP: services that listen, routers, endpoints and static files.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crisol_core::EntryId;
use serde::Serialize;

use super::{Body, Middleware, Pem};
use crate::decode::{Cx, Decode, Int, shape};
use crate::problems::Report;
use crate::reference::{Folder, Function, Ref, Router, Service, Target};
use crate::rule::Rule;
use crate::values::{FsPath, HttpMethod, Interval, ListenAddr, PathPrefix, RoutePath};
use crate::yaml::Node;

/// A socket that answers HTTP: `http.service`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpService {
    /// Where it listens.
    pub addr: ListenAddr,
    /// How long it waits for a client.
    pub timeouts: HttpTimeouts,
    /// Limits of the service.
    #[serde(skip_serializing_if = "HttpLimits::is_default")]
    pub limits: HttpLimits,
    /// Certificate and key, for HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Whether `GET /openapi.json` describes the endpoints.
    pub openapi: bool,
}

/// Limits of a service. None means the server's own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HttpLimits {
    /// The size of a request's body in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// The size of a request's line and headers in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_header_bytes: Option<u64>,
    /// Headers of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_headers: Option<u64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u64>,
    /// Connections at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u64>,
    /// Connections at once from one client address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_client: Option<u64>,
    /// Requests at once on one connection of HTTP/2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_streams: Option<u64>,
    /// Bytes of request bodies in memory at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_buffered_bytes: Option<u64>,
}

impl HttpLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Timeouts of a service. None means the server's own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HttpTimeouts {
    /// While a request comes in: its head; a body in all, or between two pieces of one that is read as a stream.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub read: Option<Duration>,
    /// While the client takes nothing of a response.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub write: Option<Duration>,
    /// For the next request on a connection.
    #[serde(serialize_with = "interval", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}

fn interval<S: serde::Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    time.map(Interval).serialize(out)
}

/// What TLS needs, as PEM.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The certificate and its chain.
    pub cert: Pem,
    /// The private key.
    pub key: Pem,
}

/// The key stays out of logs.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// Paths below one prefix, with what is done to all of their requests: `http.router`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpRouter {
    /// The service that it is reached through; none means the one that `serve --listen` opens.
    #[serde(skip)]
    pub server: Option<EntryId>,
    /// The prefix of its paths.
    pub prefix: PathPrefix,
    /// The steps of its requests, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub middleware: Vec<Middleware>,
}

/// What an endpoint or static files are reached through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Parent {
    /// The service that `serve --listen` opens, at `/`.
    Listen,
    /// A service, at `/`.
    Service(EntryId),
    /// A router, below its prefix.
    Router(EntryId),
}

/// A function as an HTTP resource: `http.endpoint`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpEndpoint {
    /// What it is reached through.
    #[serde(skip)]
    pub parent: Parent,
    /// The request method.
    pub method: HttpMethod,
    /// The path, below the router's prefix.
    pub path: RoutePath,
    /// The function that answers.
    pub func: EntryId,
}

/// Files of a folder over HTTP: `http.static`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpStatic {
    /// What they are reached through.
    #[serde(skip)]
    pub parent: Parent,
    /// The path below which they are served, itself below the router's prefix.
    pub path: PathPrefix,
    /// The `fs.directory` entry.
    pub fs: EntryId,
    /// The folder in it; none is all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<FsPath>,
    /// The file that answers for a folder.
    pub index: FsPath,
    /// The file that answers for a path that is no file: for single-page applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FsPath>,
}

shape! {
    /// A socket that answers HTTP/1.1 and HTTP/2.
    pub(crate) struct HttpServiceFields {
        /// Address that it listens on: `host:port`, `:port` for every address, or `unix:/path` for a Unix socket.
        addr: ListenAddr,
        /// How long it waits for a client.
        timeouts: Option<TimeoutFields>,
        /// Limits of the service.
        limits: Option<ServiceLimitFields>,
        /// Certificate and key, for HTTPS.
        tls: Option<TlsFields>,
        /// Describe the endpoints at `GET /openapi.json`. Default: false.
        openapi: Option<bool>,
    }
}

shape! {
    /// Timeouts of a service.
    pub(crate) struct TimeoutFields {
        /// While a request comes in: its head from the first byte; a body that is bound to parameters in all; one that
        /// is read as a stream between two pieces. Such as `10s`. Default: 30 s.
        read: Option<Interval>,
        /// While the client takes nothing of a response.
        write: Option<Interval>,
        /// For the next request on a connection. Default: 60 s.
        idle: Option<Interval>,
    }
}

shape! {
    /// Limits of a service.
    pub(crate) struct ServiceLimitFields {
        /// The size of a request's body in bytes; beyond: `413`. Default: 10 MiB.
        max_body_bytes: Option<Int<0, TERABYTE>>,
        /// The size of a request's line and headers in bytes; beyond: `431`. Default: 32 KiB.
        max_header_bytes: Option<Int<8192, 16_777_216>>,
        /// Headers of a request; beyond: `431`. Default: 100.
        max_headers: Option<Int<1, 16_384>>,
        /// Requests at once over all connections; beyond: `503`. Default: 16384.
        max_requests: Option<Count>,
        /// Connections at once; beyond, the longest-idle one closes, or further ones wait. Default: 16384.
        max_connections: Option<Count>,
        /// Connections at once from one client address (IPv6: one /64); further ones are closed. Default: 8192.
        max_connections_per_client: Option<Count>,
        /// Requests at once on one connection of HTTP/2; further ones wait at the client. Default: 128.
        max_streams: Option<Count>,
        /// Bytes of request bodies in memory at once, over all connections; beyond: `503`. Default: 256 MiB.
        max_buffered_bytes: Option<Int<1, TERABYTE>>,
    }
}

/// The largest size of a body, in bytes.
const TERABYTE: u64 = 1 << 40;

/// How many there may be of something at once: what counters of 32 bits hold.
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
        /// The certificate and its chain as PEM: in place, `file://path` of a file in the app, the absolute path of any other
        /// (`/etc/letsencrypt/live/example.com/fullchain.pem`), or `env://variable`, an `env.variable` entry.
        cert: Pem,
        /// The private key as PEM, in one of the same ways.
        key: Pem,
    }
}

shape! {
    /// Paths below one prefix, with what is done to all of their requests. `meta.server` names the
    /// `http.service`; it may be left out when there is exactly one, or none.
    pub(crate) struct HttpRouterFields {
        /// The prefix of its paths. Default: `/`.
        prefix: Option<PathPrefix>,
        /// The steps of its requests, outermost first: `cors`, `compress`, `ratelimit`, `request_id`,
        /// `timeout`.
        middleware: Option<Vec<Middleware>>,
    }
}

shape! {
    /// A function as an HTTP resource. `meta.router` names the `http.router`, or `meta.server` the `http.service`; it
    /// may be left out when there is exactly one, or none.
    pub(crate) struct HttpEndpointFields {
        /// The request method, or `ANY`. Default: `GET`.
        method: Option<HttpMethod>,
        /// The path: `{id}` is any one part, `{rest...}` all that is left.
        path: RoutePath,
        /// The function that answers.
        func: Ref<Function>,
    }
}

shape! {
    /// Files of a folder over HTTP. `meta.router` names the `http.router`, or `meta.server` the
    /// `http.service`; it may be left out when there is exactly one, or none.
    pub(crate) struct HttpStaticFields {
        /// The path below which they are served. Default: `/`.
        path: Option<PathPrefix>,
        /// The `fs.directory` entry with the files.
        fs: Ref<Folder>,
        /// The folder in it. Default: all of it.
        directory: Option<FsPath>,
        /// The file that answers for a folder. Default: `index.html`.
        index: Option<FsPath>,
        /// The file that answers for a path that is no file, for single-page applications.
        fallback: Option<FsPath>,
    }
}

pub(super) fn service(node: &Node, cx: &mut Cx<'_>) -> Option<HttpService> {
    let fields = HttpServiceFields::decode(node, cx)?;
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

/// A reference in `meta`, which is free otherwise. The outer `None` means that it is wrong.
fn in_meta<T: Target>(meta: Option<&Node>, name: &str, cx: &mut Cx<'_>) -> Option<Option<EntryId>> {
    match meta.and_then(|meta| meta.get(name)) {
        None => Some(None),
        Some(node) if node.is_null() => Some(None),
        Some(node) => {
            let read = cx.within(&format!("meta.{name}"), |cx| Ref::<T>::decode(node, cx));
            read.map(|reference| Some(reference.id))
        }
    }
}

/// Which router or service `meta` names; both is one too many.
fn parent(meta: Option<&Node>, cx: &mut Cx<'_>) -> Option<Parent> {
    let router = in_meta::<Router>(meta, "router", cx);
    let server = in_meta::<Service>(meta, "server", cx);
    if let Some(meta) = meta.filter(|meta| meta.has("router") && meta.has("server")) {
        let message = "`meta` names a router and a server";
        let report = Report::error(Rule::CONFLICT, message)
            .also(Some(meta.place_of("router")), "the router")
            .help("remove `meta.server`: the router has one of its own");
        cx.within("meta.server", |cx| cx.report(meta.place_of("server"), report));
        return None;
    }
    Some(match (router?, server?) {
        (Some(router), _) => Parent::Router(router),
        (None, Some(server)) => Parent::Service(server),
        (None, None) => Parent::Listen,
    })
}

pub(super) fn router(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<HttpRouter> {
    let server = in_meta::<Service>(body.meta, "server", cx);
    let fields = HttpRouterFields::decode(body.fields, cx);
    let once_each = once_each(body.fields, cx);
    let (server, fields, ()) = (server?, fields?, once_each?);
    let middleware = fields.middleware.unwrap_or_default();
    Some(HttpRouter { server, prefix: fields.prefix.unwrap_or_default(), middleware })
}

/// A step that is there twice would act twice.
fn once_each(node: &Node, cx: &mut Cx<'_>) -> Option<()> {
    let mut all_differ = Some(());
    let mut seen = HashMap::new();
    for (at, step) in node.items("middleware").iter().enumerate() {
        let Some(name) = Middleware::name_in(step) else { continue };
        let Some(&first) = seen.get(name) else {
            seen.insert(name, step.span);
            continue;
        };
        let report = Report::error(Rule::DUPLICATE, format!("`{name}` is there twice"))
            .also(Some(first), "first here")
            .help("keep one of the two");
        cx.within(&format!("middleware[{at}]"), |cx| cx.report(step.span, report));
        all_differ = None;
    }
    all_differ
}

pub(super) fn endpoint(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<HttpEndpoint> {
    let parent = parent(body.meta, cx);
    let fields = HttpEndpointFields::decode(body.fields, cx);
    let (parent, fields) = (parent?, fields?);
    let method = fields.method.unwrap_or(HttpMethod::Get);
    Some(HttpEndpoint { parent, method, path: fields.path, func: fields.func.id })
}

pub(super) fn statics(body: &Body<'_>, cx: &mut Cx<'_>) -> Option<HttpStatic> {
    let parent = parent(body.meta, cx);
    let fields = HttpStaticFields::decode(body.fields, cx);
    let (parent, fields) = (parent?, fields?);
    Some(HttpStatic {
        parent,
        path: fields.path.unwrap_or_default(),
        fs: fields.fs.id,
        directory: fields.directory,
        index: fields.index.or_else(|| "index.html".parse().ok())?,
        fallback: fields.fallback,
    })
}
