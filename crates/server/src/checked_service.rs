//! Checked routes and settings of a service, which are swapped when the registry changes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{Budget, Invoke};
use crisol_transport::{Cause, Problem};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use crate::address::Address;
use crate::body::Body;
use crate::config::{Limits, Route, RouteTarget, Router, Service, Timeouts};
use crate::context::{Context, REQUEST_ID};
use crate::endpoint::Endpoint;
use crate::failures::FailureLog;
use crate::handler::Handler;
use crate::middleware::{Middleware, MiddlewareError};
use crate::pattern::{Pattern, PatternError};
use crate::tls::Tls;
use crate::tree::{RouteMatch, Tree};

/// Maximum of the limit on headers: `HeaderMap` panics at one and a half times as many.
const MAX_HEADERS: usize = 16_384;

/// Problem in a set of services.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two services have the same name.
    #[error("duplicate service name `{0}`")]
    DuplicateService(String),
    /// Two services have the same address, or overlapping ones.
    #[error("services `{first}` and `{second}` both listen on {addr}: change the address of one")]
    AddressConflict {
        /// The first of the two services.
        first: String,
        /// The second of the two services.
        second: String,
        /// The address.
        addr: Address,
    },
    /// A limit is out of range.
    #[error("service `{service}`: invalid `limits.{limit}` {found}: {fix}")]
    Limit {
        /// The service.
        service: String,
        /// The limit.
        limit: &'static str,
        /// Its value.
        found: String,
        /// The valid values.
        fix: &'static str,
    },
    /// A timeout is out of range.
    #[error("service `{service}`: invalid `timeouts.{timeout}` {found}: {fix}")]
    Timeout {
        /// The service.
        service: String,
        /// The timeout.
        timeout: &'static str,
        /// Its value.
        found: String,
        /// The valid values.
        fix: &'static str,
    },
    /// A pattern, with its router's prefix, is not valid.
    #[error("route `{route}`, path `{pattern}`: {problem}")]
    Pattern {
        /// The route.
        route: String,
        /// Prefix and pattern.
        pattern: String,
        /// The problem with the pattern.
        problem: PatternError,
    },
    /// Two routes match the same requests.
    #[error(
        "routes `{first}` and `{second}` of service `{service}` both match {method} `{pattern}`: change the path or method of one"
    )]
    Conflict {
        /// The service.
        service: String,
        /// The first of the two routes.
        first: String,
        /// The second of the two routes.
        second: String,
        /// The method of the second, or `any method`.
        method: String,
        /// The full pattern of the second.
        pattern: String,
    },
    /// The settings of a middleware are not valid.
    #[error("router `{router}`: {problem}")]
    Middleware {
        /// The router.
        router: String,
        /// The problem with the settings.
        problem: MiddlewareError,
    },
}

/// All problems in a set of services.
#[derive(Debug)]
pub struct RouteErrors(Vec<RouteError>);

impl RouteErrors {
    /// The problems, in the order of the services.
    #[must_use]
    pub fn all(&self) -> &[RouteError] {
        &self.0
    }
}

impl fmt::Display for RouteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RouteErrors {}

/// A service that is ready to be served.
pub(crate) struct CheckedService {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) tls: Option<Tls>,
    /// Shared by all services of a server.
    pub(crate) failures: FailureLog,
    tree: Tree,
    routers: Vec<CheckedRouter>,
}

/// A router with its middleware around its routes.
struct CheckedRouter {
    prefix: String,
    id_header: HeaderName,
    handler: Arc<dyn Handler>,
}

impl CheckedService {
    /// Checks services; reports all problems together.
    pub(crate) fn build_all(
        services: &[Service],
        invoke: &Arc<dyn Invoke>,
    ) -> Result<Vec<Self>, RouteErrors> {
        let (mut checked, mut errors) = (Vec::new(), Vec::new());
        let failures = FailureLog::default();
        for (at, service) in services.iter().enumerate() {
            let earlier = services.iter().take(at);
            errors.extend(earlier.filter_map(|other| conflict(other, service)));
            checked.push(Self::build(service, (invoke, &failures), &mut errors));
        }
        if errors.is_empty() { Ok(checked) } else { Err(RouteErrors(errors)) }
    }

    fn build(
        service: &Service,
        (invoke, failures): (&Arc<dyn Invoke>, &FailureLog),
        errors: &mut Vec<RouteError>,
    ) -> Self {
        check_limits(service, errors);
        check_timeouts(service, errors);
        let (mut tree, mut routers) = (Tree::default(), Vec::new());
        let bodies = Budget::new(service.limits.max_buffered_bytes);
        for (index, router) in service.routers.iter().enumerate() {
            for (number, route) in router.routes.iter().enumerate() {
                errors.extend(add(&mut tree, service, (router, index), (route, number)).err());
            }
            let handlers = router.routes.iter().map(|route| handler(route, (invoke, &bodies)));
            routers.push(build_router(router, handlers.collect(), errors));
        }
        let Service { limits, timeouts, tls, .. } = service;
        let (tls, failures) = (tls.clone(), failures.clone());
        Self { limits: *limits, timeouts: *timeouts, tls, failures, tree, routers }
    }

    /// Finds the route of a request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> RouteMatch {
        self.tree.find(method, path)
    }

    /// Responds to a request; the match of its route is in `context`.
    pub(crate) fn answer(&self, context: Context, request: Request<Body>) -> ResponseFuture<'_> {
        match self.router(&context.route_match, request.uri().path()) {
            Some(router) => router.handler.handle(context, request),
            None => NO_ROUTES.handle(context, request),
        }
    }

    /// Header of the id in a request and its response.
    pub(crate) fn id_header(&self, route_match: &RouteMatch, path: &str) -> &HeaderName {
        self.router(route_match, path).map_or(&REQUEST_ID, |router| &router.id_header)
    }

    fn router(&self, route_match: &RouteMatch, path: &str) -> Option<&CheckedRouter> {
        match route_match {
            RouteMatch::Found { leaf, .. } => self.routers.get(leaf.router),
            RouteMatch::WrongMethod { router, .. } => self.routers.get(*router),
            RouteMatch::NotFound | RouteMatch::Undecodable => self.nearest(path),
        }
    }

    /// The router with the longest prefix of a path.
    fn nearest(&self, path: &str) -> Option<&CheckedRouter> {
        let under = |router: &&CheckedRouter| {
            let rest = path.strip_prefix(router.prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.routers.iter().filter(under).max_by_key(|router| router.prefix.len())
    }
}

/// Conflict between two services: the same name, or overlapping addresses.
fn conflict(first: &Service, second: &Service) -> Option<RouteError> {
    if first.name == second.name {
        return Some(RouteError::DuplicateService(second.name.clone()));
    }
    first.addr.overlaps(&second.addr).then(|| RouteError::AddressConflict {
        first: first.name.clone(),
        second: second.name.clone(),
        addr: second.addr.clone(),
    })
}

fn check_limits(service: &Service, errors: &mut Vec<RouteError>) {
    let limits = &service.limits;
    let mut check = |limit, found: &dyn fmt::Display, fits: bool, fix| {
        if !fits {
            let (service, found) = (service.name.clone(), found.to_string());
            errors.push(RouteError::Limit { service, limit, found, fix });
        }
    };
    let counts = [
        ("max_connections", limits.max_connections),
        ("max_connections_per_client", limits.max_connections_per_client),
        ("max_requests", limits.max_requests),
        ("max_streams", limits.max_streams as usize),
    ];
    for (limit, count) in counts {
        let fits = (1..=tokio::sync::Semaphore::MAX_PERMITS).contains(&count);
        check(limit, &count, fits, "use at least 1");
    }
    let buffered = limits.max_buffered_bytes;
    check("max_buffered_bytes", &buffered, buffered > 0, "use at least 1");
    let headers = limits.max_headers;
    check("max_headers", &headers, (1..=MAX_HEADERS).contains(&headers), "use 1 to 16384");
    let head = limits.max_header_bytes;
    let fits = (8 << 10..=16 << 20).contains(&head);
    check("max_header_bytes", &head, fits, "use 8192 to 16777216");
}

fn check_timeouts(service: &Service, errors: &mut Vec<RouteError>) {
    let timeouts = &service.timeouts;
    let times = [("read", timeouts.read), ("write", timeouts.write), ("idle", timeouts.idle)];
    let zero = times.into_iter().filter(|(_, time)| time.is_zero());
    errors.extend(zero.map(|(timeout, found)| RouteError::Timeout {
        service: service.name.clone(),
        timeout,
        found: format!("{found:?}"),
        fix: "use more than zero",
    }));
}

fn add(
    tree: &mut Tree,
    service: &Service,
    (router, index): (&Router, usize),
    (route, number): (&Route, usize),
) -> Result<(), RouteError> {
    let prefix = router.prefix.trim_end_matches('/');
    let full = match route.pattern.as_str() {
        // The prefix itself: a trailing slash would make it another path.
        "/" if !prefix.is_empty() => prefix.to_owned(),
        pattern => format!("{prefix}{pattern}"),
    };
    let pattern = Pattern::parse(&full).map_err(|problem| RouteError::Pattern {
        route: route.name.clone(),
        pattern: full.clone(),
        problem,
    })?;
    let method = route.method.as_ref();
    tree.add(method, &pattern, &route.name, (index, number)).map_err(|first| RouteError::Conflict {
        service: service.name.clone(),
        first,
        second: route.name.clone(),
        method: method.map_or("any method".to_owned(), ToString::to_string),
        pattern: pattern.to_string(),
    })
}

fn handler(route: &Route, (invoke, bodies): (&Arc<dyn Invoke>, &Budget)) -> Arc<dyn Handler> {
    match &route.target {
        RouteTarget::Function { id, transport } => Arc::new(Endpoint {
            id: id.clone(),
            transport: Arc::clone(transport),
            invoke: Arc::clone(invoke),
            bodies: bodies.clone(),
        }),
        RouteTarget::Handler(handler) => {
            handler.calling(invoke).unwrap_or_else(|| Arc::clone(handler))
        }
    }
}

fn build_router(
    router: &Router,
    routes: Vec<Arc<dyn Handler>>,
    errors: &mut Vec<RouteError>,
) -> CheckedRouter {
    let mut handler: Arc<dyn Handler> = Arc::new(RouteDispatcher { routes });
    for middleware in router.middleware.iter().rev() {
        match middleware.wrap(Arc::clone(&handler)) {
            Ok(wrapped) => handler = wrapped,
            Err(problem) => {
                errors.push(RouteError::Middleware { router: router.name.clone(), problem });
            }
        }
    }
    let id_header = router.middleware.iter().find_map(|middleware| match middleware {
        Middleware::RequestId(name) => Some(name.clone()),
        _ => None,
    });
    let prefix = router.prefix.trim_end_matches('/').to_owned();
    CheckedRouter { prefix, id_header: id_header.unwrap_or_else(|| REQUEST_ID.clone()), handler }
}

/// Future of a response.
pub(crate) type ResponseFuture<'s> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 's>>;

/// Innermost handler of a router, after its middleware: passes a request to its route, or responds that there is
/// none.
struct RouteDispatcher {
    /// In the router's order.
    routes: Vec<Arc<dyn Handler>>,
}

/// Responds to requests for paths without a router.
static NO_ROUTES: RouteDispatcher = RouteDispatcher { routes: Vec::new() };

#[async_trait]
impl Handler for RouteDispatcher {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let found = context.route_match.leaf().and_then(|leaf| self.routes.get(leaf.route));
        if let Some(route) = found {
            return route.handle(context, request).await;
        }
        match &context.route_match {
            RouteMatch::WrongMethod { allow, .. } if request.method() == Method::OPTIONS => {
                options(allow.clone())
            }
            RouteMatch::WrongMethod { allow, .. } => {
                let problem = Problem::method_not_allowed(request.method(), allow.clone());
                context.problem(problem)
            }
            // A found route always exists in its router.
            RouteMatch::Found { .. } | RouteMatch::NotFound => {
                let detail = format!("no route matches `{}`", request.uri().path());
                context.problem(Problem::new(Cause::NotFound, detail))
            }
            RouteMatch::Undecodable => {
                let detail = "the path is not percent-encoded UTF-8";
                context.problem(Problem::new(Cause::BadRequest, detail))
            }
        }
    }
}

fn options(allow: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, allow);
    response
}
