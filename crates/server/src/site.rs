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
use crate::config::{Limits, Route, Router, Service, Target, Timeouts};
use crate::context::{Context, REQUEST_ID};
use crate::endpoint::Endpoint;
use crate::failures::FailureLog;
use crate::handler::Handler;
use crate::middleware::{Middleware, MiddlewareError};
use crate::pattern::{Pattern, PatternError};
use crate::tls::Tls;
use crate::tree::{Outcome, Tree};

/// Maximum of the limit on headers: `HeaderMap` panics at one and a half times as many.
const MAX_HEADERS: usize = 16_384;

/// Problem in a set of services.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two services have the same name.
    #[error("the service `{0}` is there twice")]
    ServiceTwice(String),
    /// Two services have the same address, or overlapping ones.
    #[error("services `{first}` and `{second}` both listen on {addr}: change the address of one")]
    AddressTwice {
        /// The first of the two services.
        first: String,
        /// The second of the two services.
        second: String,
        /// The address.
        addr: Address,
    },
    /// A setting is out of range.
    #[error("service `{service}`: `{setting}` is {found}: {fix}")]
    Setting {
        /// The service.
        service: String,
        /// The setting.
        setting: &'static str,
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
        "routes `{first}` and `{second}` of service `{service}` both answer {method} `{pattern}`: change the path or method of one"
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
pub(crate) struct Site {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) tls: Option<Tls>,
    /// Shared by all services of a server.
    pub(crate) failures: FailureLog,
    tree: Tree,
    stacks: Vec<Stack>,
}

/// Middleware of a router.
struct Stack {
    prefix: String,
    id_header: HeaderName,
    handler: Arc<dyn Handler>,
}

impl Site {
    /// Checks services and builds their sites; reports all problems together.
    pub(crate) fn build_all(
        services: &[Service],
        invoke: &Arc<dyn Invoke>,
    ) -> Result<Vec<Self>, RouteErrors> {
        let (mut sites, mut errors) = (Vec::new(), Vec::new());
        let failures = FailureLog::default();
        for (at, service) in services.iter().enumerate() {
            let earlier = services.iter().take(at);
            errors.extend(earlier.filter_map(|other| clash(other, service)));
            sites.push(Self::build(service, (invoke, &failures), &mut errors));
        }
        if errors.is_empty() { Ok(sites) } else { Err(RouteErrors(errors)) }
    }

    fn build(
        service: &Service,
        (invoke, failures): (&Arc<dyn Invoke>, &FailureLog),
        errors: &mut Vec<RouteError>,
    ) -> Self {
        check_settings(service, errors);
        let (mut tree, mut stacks) = (Tree::default(), Vec::new());
        let bodies = Budget::new(service.limits.max_buffered_bytes);
        for (index, router) in service.routers.iter().enumerate() {
            for (number, route) in router.routes.iter().enumerate() {
                errors.extend(add(&mut tree, service, (router, index), (route, number)).err());
            }
            let handlers = router.routes.iter().map(|route| handler(route, (invoke, &bodies)));
            stacks.push(stack(router, handlers.collect(), errors));
        }
        let Service { limits, timeouts, tls, .. } = service;
        let (tls, failures) = (tls.clone(), failures.clone());
        Self { limits: *limits, timeouts: *timeouts, tls, failures, tree, stacks }
    }

    /// Finds the route of a request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Outcome {
        self.tree.find(method, path)
    }

    /// Responds to a request; its outcome is in `context`.
    pub(crate) fn answer(&self, context: Context, request: Request<Body>) -> Answering<'_> {
        match self.stack(&context.outcome, request.uri().path()) {
            Some(stack) => stack.handler.handle(context, request),
            None => NOWHERE.handle(context, request),
        }
    }

    /// Header of the id in a request and its response.
    pub(crate) fn id_header(&self, outcome: &Outcome, path: &str) -> &HeaderName {
        self.stack(outcome, path).map_or(&REQUEST_ID, |stack| &stack.id_header)
    }

    fn stack(&self, outcome: &Outcome, path: &str) -> Option<&Stack> {
        match outcome {
            Outcome::Found { leaf, .. } => self.stacks.get(leaf.router),
            Outcome::WrongMethod { router, .. } => self.stacks.get(*router),
            Outcome::NotFound | Outcome::Undecodable => self.nearest(path),
        }
    }

    /// The router with the longest prefix of a path.
    fn nearest(&self, path: &str) -> Option<&Stack> {
        let under = |stack: &&Stack| {
            let rest = path.strip_prefix(stack.prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.stacks.iter().filter(under).max_by_key(|stack| stack.prefix.len())
    }
}

/// Conflict between two services: the same name, or overlapping addresses.
fn clash(first: &Service, second: &Service) -> Option<RouteError> {
    if first.name == second.name {
        return Some(RouteError::ServiceTwice(second.name.clone()));
    }
    first.addr.overlaps(&second.addr).then(|| RouteError::AddressTwice {
        first: first.name.clone(),
        second: second.name.clone(),
        addr: second.addr.clone(),
    })
}

fn check_settings(service: &Service, errors: &mut Vec<RouteError>) {
    let Service { limits, timeouts, .. } = service;
    let mut check = |setting, found: String, fits: bool, fix| {
        if !fits {
            errors.push(RouteError::Setting { service: service.name.clone(), setting, found, fix });
        }
    };
    let counts = [
        ("limits.max_connections", limits.max_connections),
        ("limits.max_connections_per_client", limits.max_connections_per_client),
        ("limits.max_requests", limits.max_requests),
        ("limits.max_streams", limits.max_streams as usize),
    ];
    for (setting, count) in counts {
        let fits = (1..=tokio::sync::Semaphore::MAX_PERMITS).contains(&count);
        check(setting, count.to_string(), fits, "allow at least one");
    }
    let fits = limits.max_buffered_bytes > 0;
    let found = limits.max_buffered_bytes.to_string();
    check("limits.max_buffered_bytes", found, fits, "allow at least one");
    let fits = (1..=MAX_HEADERS).contains(&limits.max_headers);
    check("limits.max_headers", limits.max_headers.to_string(), fits, "use 1 to 16384");
    let head = limits.max_header_bytes;
    let fits = (8 << 10..=16 << 20).contains(&head);
    check("limits.max_header_bytes", head.to_string(), fits, "use 8192 to 16777216");
    let times = [
        ("timeouts.read", timeouts.read),
        ("timeouts.write", timeouts.write),
        ("timeouts.idle", timeouts.idle),
    ];
    for (setting, time) in times {
        check(setting, format!("{time:?}"), !time.is_zero(), "allow some time");
    }
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
        Target::Function { id, transport } => Arc::new(Endpoint {
            id: id.clone(),
            transport: Arc::clone(transport),
            invoke: Arc::clone(invoke),
            bodies: bodies.clone(),
        }),
        Target::Handler(handler) => handler.calling(invoke).unwrap_or_else(|| Arc::clone(handler)),
    }
}

fn stack(router: &Router, routes: Vec<Arc<dyn Handler>>, errors: &mut Vec<RouteError>) -> Stack {
    let mut handler: Arc<dyn Handler> = Arc::new(Innermost { routes });
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
    Stack { prefix, id_header: id_header.unwrap_or_else(|| REQUEST_ID.clone()), handler }
}

/// Future of a response.
pub(crate) type Answering<'s> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 's>>;

/// Innermost handler of a router, after its middleware: passes a request to its route, or responds that there is
/// none.
struct Innermost {
    /// In the router's order.
    routes: Vec<Arc<dyn Handler>>,
}

/// Responds to requests for paths without a router.
static NOWHERE: Innermost = Innermost { routes: Vec::new() };

#[async_trait]
impl Handler for Innermost {
    async fn handle(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let found = context.outcome.leaf().and_then(|leaf| self.routes.get(leaf.route));
        if let Some(route) = found {
            return route.handle(context, request).await;
        }
        match &context.outcome {
            Outcome::WrongMethod { allow, .. } if request.method() == Method::OPTIONS => {
                options(allow.clone())
            }
            Outcome::WrongMethod { allow, .. } => {
                let trouble = Problem::method_not_allowed(request.method(), allow.clone());
                context.problem(trouble)
            }
            // A found route always exists in its router.
            Outcome::Found { .. } | Outcome::NotFound => {
                let trouble = format!("nothing is at `{}`", request.uri().path());
                context.problem(Problem::new(Cause::NotFound, trouble))
            }
            Outcome::Undecodable => {
                let trouble = "the path is not percent-encoded UTF-8";
                context.problem(Problem::new(Cause::BadRequest, trouble))
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
