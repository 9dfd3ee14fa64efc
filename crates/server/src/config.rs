//! What is served, as plain values: services, routers, routes. Nothing here is checked yet; see
//! [`Site`](crate::site::Site).

use std::sync::Arc;
use std::time::Duration;

use crisol_core::EntryId;
use crisol_transport::Transport;
use http::Method;

use crate::address::Address;
use crate::handler::Handler;
use crate::middleware::Middleware;
use crate::tls::Tls;

/// One address that is listened on, with everything that is served there.
#[derive(Clone)]
pub struct Service {
    /// Its name in logs and errors; unique among the services of a server.
    pub name: String,
    /// Address that it listens on; port 0 takes a free one.
    pub addr: Address,
    /// Limits on requests, connections and bodies.
    pub limits: Limits,
    /// How long everything may take.
    pub timeouts: Timeouts,
    /// A certificate, to speak TLS.
    pub tls: Option<Tls>,
    /// What is served.
    pub routers: Vec<Router>,
}

impl Service {
    /// A service with the default limits and timeouts, no TLS and no routes.
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

    /// The same service with one router more.
    #[must_use]
    pub fn with_router(mut self, router: Router) -> Self {
        self.routers.push(router);
        self
    }
}

/// Limits of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body; above, `413`. Default 10 MiB.
    pub max_body_bytes: u64,
    /// Bytes of a request's head: request line and headers; above, `431`. At least 8 KiB; default 32
    /// KiB.
    pub max_header_bytes: usize,
    /// Headers of a request; above, `431`. At most 16 384; default 100.
    pub max_headers: usize,
    /// Connections at once; beyond, the longest-idle one closes, and while none is idle further ones wait
    /// in the system's backlog. Default 16 384.
    pub max_connections: usize,
    /// Connections at once from one client address (IPv6: one /64); further ones are closed at once. Default
    /// 8192, so that no single address can keep all others out.
    pub max_connections_per_client: usize,
    /// Requests at once, over all connections; above, `503` at once. Default 16 384.
    pub max_requests: usize,
    /// Bytes of request bodies held in memory at once, over all connections; above, `503` at once. Default
    /// 256 MiB.
    pub max_buffered_bytes: u64,
    /// Requests at once on one HTTP/2 connection; further ones wait at the client. Default 128.
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

/// How long one service waits for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TLS handshake; for the head of a request from its first byte; for the body of a request
    /// that is bound to parameters; between two pieces of a body that a handler reads as a stream.
    /// Default 30 s.
    pub read: Duration,
    /// While the client takes nothing of a response that is ready for it. Default 30 s.
    pub write: Duration,
    /// Between two requests on one connection. Default 60 s.
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
    /// Its name in errors.
    pub name: String,
    /// Stands before the pattern of each route: empty, or `/` and segments.
    pub prefix: String,
    /// What requests pass on the way to a route, outermost first. A request that no route takes passes
    /// it too when its path begins with the prefix.
    pub middleware: Vec<Middleware>,
    /// The routes.
    pub routes: Vec<Route>,
}

/// Requests of one method and path pattern, and what answers them.
#[derive(Clone)]
pub struct Route {
    /// Its name in errors and logs: the entry that declares it.
    pub name: String,
    /// The method, or `None` for any.
    pub method: Option<Method>,
    /// `/` and segments: literal text, `{name}` for one segment, `{name...}` at the end for the rest.
    pub pattern: String,
    /// What answers.
    pub target: Target,
}

/// What answers a route.
#[derive(Clone)]
#[non_exhaustive]
pub enum Target {
    /// A function, with the transport that binds requests to its parameters.
    Function {
        /// The function.
        id: EntryId,
        /// The binding.
        transport: Arc<dyn Transport>,
    },
    /// Anything that takes the request as it comes in: a `wasi:http` proxy, files.
    Handler(Arc<dyn Handler>),
}
