//! HTTP: services that listen, routers, endpoints and static files.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crisol_core::EntryId;
use serde::Serialize;

use super::{Body, Middleware, SourceText};
use crate::decode::{Cx, Decode, Int, Source, shape};
use crate::problems::{Report, Rule};
use crate::reference::{Folder, Function, Ref, Router, Service, Target};
use crate::values::{FsPath, HttpMethod, Interval, ListenAddr, PathPrefix, RoutePath};
use crate::yaml::Node;

/// A socket that answers HTTP: `http.service`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpService {
    /// Where it listens.
    pub addr: ListenAddr,
    /// How long it waits for a client.
    pub timeouts: HttpTimeouts,
    /// The size of a request's body. None means the server's own default.
    #[serde(
        rename = "limits",
        serialize_with = "body_limit",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_body_bytes: Option<u64>,
    /// Certificate and key, for HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Whether `GET /openapi.json` describes the endpoints.
    pub openapi: bool,
}

fn body_limit<S: serde::Serializer>(bytes: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    bytes.map(|bytes| std::collections::BTreeMap::from([("max_body_bytes", bytes)])).serialize(out)
}

/// How long a service waits for a client. None means the server's own default.
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
    pub cert: SourceText,
    /// The private key.
    pub key: SourceText,
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
        /// Where it listens: `host:port`, `:port` for every address, or `unix:/path` for a Unix socket.
        addr: ListenAddr,
        /// How long it waits for a client.
        timeouts: Option<TimeoutFields>,
        /// What a request may be.
        limits: Option<ServiceLimitFields>,
        /// Certificate and key, for HTTPS.
        tls: Option<TlsFields>,
        /// Describe the endpoints at `GET /openapi.json`. Default: false.
        openapi: Option<bool>,
    }
}

shape! {
    /// How long a service waits for a client.
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
    /// What a request may be.
    pub(crate) struct ServiceLimitFields {
        /// The size of its body in bytes.
        max_body_bytes: Option<Int<0, 1_099_511_627_776>>,
    }
}

shape! {
    /// Certificate and key.
    pub(crate) struct TlsFields {
        /// The certificate and its chain as PEM, in place or as `file://path`.
        cert: Source,
        /// The private key as PEM, in place or as `file://path`.
        key: Source,
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
    let tls = fields.tls.map(|tls| Tls { cert: tls.cert.into(), key: tls.key.into() });
    Some(HttpService {
        addr: fields.addr,
        timeouts: timeouts.unwrap_or_default(),
        max_body_bytes: fields.limits.and_then(|limits| limits.max_body_bytes).map(|n| n.0),
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
