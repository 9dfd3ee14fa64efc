//! Configuration of services, routers and routes as plain values. `CheckedService` checks them.

use std::sync::Arc;
use std::time::Duration;

use crisol_core::EntryId;
use crisol_transport::Transport;
use http::Method;

use crate::address::Address;
use crate::handler::Handler;
use crate::middleware::Middleware;
use crate::tls::Tls;

/// A listening address with its limits, timeouts, TLS and routers.
#[derive(Clone)]
pub struct Service {
    /// Name in logs and errors; unique among the services of a server.
    pub name: String,
    /// Address to listen on; port 0 takes a free port.
    pub addr: Address,
    /// Limits on requests, connections and bodies.
    pub limits: Limits,
    /// Timeouts for clients.
    pub timeouts: Timeouts,
    /// Certificate and key; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// Routers of the service.
    pub routers: Vec<Router>,
}

impl Service {
    /// Creates a service with the default limits and timeouts, no TLS and no routes.
    #[must_use]
    pub fn new(name: impl Into<String>, addr: impl Into<Address>) -> Self {
        Self {
            name: name.into(),
            addr: addr.into(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            tls: None,
            routers: Vec::new(),
        }
    }

    /// Adds a router.
    #[must_use]
    pub fn with_router(mut self, router: Router) -> Self {
        self.routers.push(router);
        self
    }
}

/// Limits of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum bytes of a request's body; above, `413`. Default 10 MiB.
    pub max_body_bytes: u64,
    /// Maximum bytes of a request's head, which is its request line and headers; above, `431`. At least 8 KiB;
    /// default 32 KiB.
    pub max_header_bytes: usize,
    /// Maximum number of headers in a request; above, `431`. At most 16 384; default 100.
    pub max_headers: usize,
    /// Maximum number of connections. Beyond it, the longest-idle one closes; while none is idle, further ones wait
    /// in the system's backlog. Default 16 384.
    pub max_connections: usize,
    /// Maximum number of connections from one client address (IPv6: one /64); further ones are closed at once.
    /// Default 8192, so that no single address can shut out all others.
    pub max_connections_per_client: usize,
    /// Maximum number of concurrent requests, over all connections; above, `503` at once. Default 16 384.
    pub max_requests: usize,
    /// Maximum bytes of request bodies in memory, over all connections; above, `503` at once. Default 256 MiB.
    pub max_buffered_bytes: u64,
    /// Maximum number of concurrent requests on one HTTP/2 connection; further ones wait at the client. Default
    /// 128.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 10 << 20,
            max_header_bytes: 32 << 10,
            max_headers: 100,
            max_connections: 16_384,
            max_connections_per_client: 8192,
            max_requests: 16_384,
            max_buffered_bytes: 256 << 20,
            max_streams: 128,
        }
    }
}

/// Timeouts of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Time for a TLS handshake; for the head of a request, from its first byte; for the body of a request that is
    /// bound to parameters; and between two pieces of a body that a handler streams. Default 30 s.
    pub read: Duration,
    /// Time without progress while the client does not read a response. Default 30 s.
    pub write: Duration,
    /// Time between two requests on one connection. Default 60 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

/// Routes under one prefix with the same middleware.
#[derive(Clone, Default)]
pub struct Router {
    /// Name in errors.
    pub name: String,
    /// Prefix of each route's pattern: empty, or `/` and segments.
    pub prefix: String,
    /// Middleware before the routes, outermost first. A request without a route also passes it if its path begins
    /// with the prefix.
    pub middleware: Vec<Middleware>,
    /// The routes.
    pub routes: Vec<Route>,
}

/// A method and a path pattern with the target of their requests.
#[derive(Clone)]
pub struct Route {
    /// Name in errors and logs: the entry that declares the route.
    pub name: String,
    /// The method, or `None` for any.
    pub method: Option<Method>,
    /// `/` and segments: literal text, `{name}` for one segment, `{name...}` at the end for the rest.
    pub pattern: String,
    /// Target of the requests.
    pub target: RouteTarget,
}

/// Target of a route's requests.
#[derive(Clone)]
#[non_exhaustive]
pub enum RouteTarget {
    /// A function, with the transport that binds requests to its parameters.
    Function {
        /// Id of the function.
        id: EntryId,
        /// Transport that binds requests.
        transport: Arc<dyn Transport>,
    },
    /// A handler that takes the request unbound: a `wasi:http` proxy, files.
    Handler(Arc<dyn Handler>),
}
