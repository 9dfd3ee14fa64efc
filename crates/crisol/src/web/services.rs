//! `http.service` and `http.router` as services of `crisol-server`, with the routes below them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crisol_core::{EntryId, chain};
use crisol_schema::{
    EntryField, HttpLimits, HttpRouter, HttpService, Kind, Parent, Problems, Report, Rule,
};
use crisol_server::{Limits, Route, RouteError, RouteTarget, Router, Service};
use crisol_transport::openapi as transport;
use http::Method;

use super::scope::Scope;
use super::site::{Declared, Site};
use super::{files, middleware, openapi, pem, routes};

/// Services or routes that cannot be served together.
const BAD_ROUTE: Rule = Rule::new("bad-route");

/// Log name of the implicit service.
const LISTEN: &str = "listen";

/// Placeholder address of a service until serving resolves it; see [`Declared`].
const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Routes by parent: service, router or the implicit service.
#[derive(Default)]
struct Below {
    services: BTreeMap<EntryId, Vec<Route>>,
    routers: BTreeMap<EntryId, Vec<Route>>,
    listen: Vec<Route>,
}

impl Below {
    fn add(&mut self, parent: &Parent, routes: impl IntoIterator<Item = Route>) {
        let list = match parent {
            Parent::Listen => &mut self.listen,
            Parent::Service(id) => self.services.entry(id.clone()).or_default(),
            Parent::Router(id) => self.routers.entry(id.clone()).or_default(),
        };
        list.extend(routes);
    }
}

/// Assembles the services of an app, and returns their problems too. Checks conflicts between entries only if all
/// entries could be read (`is_whole`).
pub(crate) fn assemble(mut scope: Scope<'_>, is_whole: bool) -> (Site, Problems) {
    let mut below = Below::default();
    for entry in scope.registry {
        if let Kind::HttpEndpoint(endpoint) = &entry.kind {
            routes::warn(&entry.id, endpoint, &mut scope);
            let route = routes::route(&entry.id, endpoint, &scope);
            below.add(&endpoint.parent, [route]);
        }
        if let Kind::HttpStatic(files) = &entry.kind {
            let routes = files::routes(&entry.id, files, &mut scope);
            below.add(&files.parent, routes);
        }
    }
    let services = services(below, &mut scope);
    if is_whole {
        check(&services, &mut scope);
    }
    (Site { services }, scope.problems)
}

fn services(mut below: Below, scope: &mut Scope<'_>) -> Vec<Declared> {
    let mut documents = openapi::documents(scope);
    let mut declared: BTreeMap<Option<EntryId>, Declared> = BTreeMap::new();
    for entry in scope.registry {
        if let Kind::HttpService(service) = &entry.kind {
            let own = below.services.remove(&entry.id).unwrap_or_default();
            let show = service.openapi;
            let mut service = self::service(&entry.id, service, own, scope);
            service.document = documents.remove(&Some(entry.id.clone()));
            if show {
                service.service.routers.push(openapi_router(&entry.id, service.document.as_ref()));
            }
            declared.insert(Some(entry.id.clone()), service);
        }
    }
    let mut listen = Vec::new();
    if !below.listen.is_empty() {
        let routes = std::mem::take(&mut below.listen);
        listen.push(Router { name: LISTEN.to_owned(), routes, ..Router::default() });
    }
    for entry in scope.registry {
        let Kind::HttpRouter(router) = &entry.kind else { continue };
        let routes = below.routers.remove(&entry.id).unwrap_or_default();
        let built = self::router(&entry.id, router, routes);
        match &router.server {
            None => listen.push(built),
            Some(_) => {
                if let Some(service) = declared.get_mut(&router.server) {
                    service.service.routers.push(built);
                }
            }
        }
    }
    if !listen.is_empty() {
        let mut service = Service::new(LISTEN, UNKNOWN);
        service.routers = listen;
        declared.insert(None, Declared { addr: None, service, document: documents.remove(&None) });
    }
    declared.into_values().collect()
}

fn service(
    id: &EntryId,
    entry: &HttpService,
    routes: Vec<Route>,
    scope: &mut Scope<'_>,
) -> Declared {
    let mut service = Service::new(id.to_string(), UNKNOWN);
    service.limits = limits(entry.limits);
    let timeouts = &mut service.timeouts;
    timeouts.read = entry.timeouts.read.unwrap_or(timeouts.read);
    timeouts.write = entry.timeouts.write.unwrap_or(timeouts.write);
    timeouts.idle = entry.timeouts.idle.unwrap_or(timeouts.idle);
    service.tls = entry.tls.as_ref().and_then(|tls| pem::tls(id, tls, scope));
    if !routes.is_empty() {
        service.routers.push(Router { name: id.to_string(), routes, ..Router::default() });
    }
    Declared { addr: Some(entry.addr.clone()), service, document: None }
}

/// Converts the limits of a service, completed with the server's defaults.
fn limits(given: HttpLimits) -> Limits {
    let default = Limits::default();
    let count = |given: Option<u64>, default: usize| {
        given.map_or(default, |count| usize::try_from(count).unwrap_or(usize::MAX))
    };
    let streams = given.max_streams.and_then(|count| u32::try_from(count).ok());
    Limits {
        max_body_bytes: given.max_body_bytes.unwrap_or(default.max_body_bytes),
        max_header_bytes: count(given.max_header_bytes, default.max_header_bytes),
        max_headers: count(given.max_headers, default.max_headers),
        max_connections: count(given.max_connections, default.max_connections),
        max_connections_per_client: count(
            given.max_connections_per_client,
            default.max_connections_per_client,
        ),
        max_requests: count(given.max_requests, default.max_requests),
        max_buffered_bytes: given.max_buffered_bytes.unwrap_or(default.max_buffered_bytes),
        max_streams: streams.unwrap_or(default.max_streams),
    }
}

/// Builds the route that serves a service's OpenAPI document.
fn openapi_router(id: &EntryId, document: Option<&serde_json::Value>) -> Router {
    let empty = || transport::document(id.as_str(), serde_json::Map::new());
    let document = document.cloned().unwrap_or_else(empty);
    let route = Route {
        name: id.to_string(),
        method: Some(Method::GET),
        pattern: "/openapi.json".to_owned(),
        target: RouteTarget::Handler(Arc::new(openapi::Shown::new(&document))),
    };
    Router { name: id.to_string(), routes: vec![route], ..Router::default() }
}

fn router(id: &EntryId, entry: &HttpRouter, routes: Vec<Route>) -> Router {
    Router {
        name: id.to_string(),
        prefix: entry.prefix.as_str().trim_end_matches('/').to_owned(),
        middleware: entry.middleware.iter().filter_map(middleware::convert).collect(),
        routes,
    }
}

/// Reports conflicts between services and routes, at their entries.
fn check(declared: &[Declared], scope: &mut Scope<'_>) {
    let services: Vec<Service> = declared.iter().map(|one| one.service.clone()).collect();
    let Err(errors) = crisol_server::check(&services) else { return };
    for error in errors.all() {
        let (name, field) = match error {
            RouteError::Conflict { second, .. } => (second, EntryField::Path),
            RouteError::Pattern { route, .. } => (route, EntryField::Path),
            RouteError::Middleware { router, .. } => (router, EntryField::Middleware),
            RouteError::Limit { service, limit, .. } => (service, EntryField::Limit(limit)),
            RouteError::Timeout { service, timeout, .. } => (service, EntryField::Timeout(timeout)),
            RouteError::DuplicateService(service) => (service, EntryField::Addr),
            RouteError::AddressConflict { second, .. } => (second, EntryField::Addr),
            _ => continue,
        };
        report_at(name, &field, Report::error(BAD_ROUTE, chain(error)), scope);
    }
}

/// Reports a problem at the entry whose id is the name of a service, router or route.
fn report_at(name: &str, field: &EntryField, report: Report, scope: &mut Scope<'_>) {
    if let Ok(id) = name.parse::<EntryId>() {
        scope.report(&id, field, report);
    }
}
