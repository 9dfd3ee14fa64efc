//! OpenAPI documents of services, and the handler that serves them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use crisol_core::EntryId;
use crisol_schema::{HttpEndpoint, HttpMethod, Kind, Parent, PathPrefix, Segment, Transport};
use crisol_server::{Body, Context, Handler};
use crisol_transport::openapi::{self, Binding, RouteDescription};
use http::{HeaderValue, Method, Request, Response, header};
use serde_json::{Map, Value as Json};

use super::middleware;
use super::scope::Scope;

/// Methods that an endpoint for any method is documented with.
const ANY: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Builds the documents of services with endpoints, by service id; `None` is the implicit service.
pub(super) fn documents(scope: &Scope<'_>) -> BTreeMap<Option<EntryId>, Json> {
    let mut paths: BTreeMap<Option<EntryId>, Map<String, Json>> = BTreeMap::new();
    for entry in scope.registry {
        let Kind::HttpEndpoint(endpoint) = &entry.kind else { continue };
        let (service, prefix) = top(&endpoint.parent, scope);
        let path = path(endpoint, &prefix);
        let operations =
            paths.entry(service).or_default().entry(path).or_insert(Json::Object(Map::new()));
        for (name, operation) in operations_of(&entry.id, endpoint, scope) {
            operations[name] = operation;
        }
    }
    let document = |(service, paths): (Option<EntryId>, _)| {
        let title = service.as_ref().map_or("crisol", EntryId::as_str).to_owned();
        (service, openapi::document(&title, paths))
    };
    paths.into_iter().map(document).collect()
}

/// Returns the service of a parent, and its path prefix there.
fn top(parent: &Parent, scope: &Scope<'_>) -> (Option<EntryId>, PathPrefix) {
    match parent {
        Parent::Listen => (None, PathPrefix::default()),
        Parent::Service(id) => (Some(id.clone()), PathPrefix::default()),
        Parent::Router(id) => {
            let entry = scope.registry.get(id.as_str());
            if let Some(Kind::HttpRouter(router)) = entry.map(|entry| &entry.kind) {
                (router.server.clone(), router.prefix.clone())
            } else {
                (None, PathPrefix::default())
            }
        }
    }
}

/// Returns the full path in OpenAPI syntax, in which a rest parameter looks like any other.
fn path(endpoint: &HttpEndpoint, prefix: &PathPrefix) -> String {
    endpoint.path.below(prefix).to_string().replace("...}", "}")
}

fn operations_of(id: &EntryId, endpoint: &HttpEndpoint, scope: &Scope<'_>) -> Vec<(String, Json)> {
    let params: Vec<&str> = endpoint
        .path
        .segments()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Param(name) | Segment::Rest(name) => Some(&**name),
            Segment::Literal(_) => None,
        })
        .collect();
    let binding = match scope.transport(&endpoint.func) {
        Transport::Payload => Some(Binding::Payload),
        Transport::WasiHttp => Some(Binding::WasiHttp),
        // A custom transport decides by itself how requests become arguments.
        Transport::Custom(_) => None,
    };
    let callee = scope.functions.get(&endpoint.func);
    let signature = callee.and_then(crate::call::Callable::signature);
    let any = endpoint.method == HttpMethod::Any;
    let methods = match middleware::method(endpoint.method) {
        Some(method) => vec![method],
        None => ANY.to_vec(),
    };
    let one = |method: &Method| {
        let name = method.as_str().to_ascii_lowercase();
        let id = if any { format!("{id}.{name}") } else { id.to_string() };
        let binding = binding.zip(signature.as_deref());
        let route = RouteDescription { id: &id, method, params: &params, binding };
        (name, openapi::operation(&route))
    };
    // OpenAPI has no operation for `CONNECT`.
    methods.iter().filter(|method| **method != Method::CONNECT).map(one).collect()
}

/// Handler that serves a document as JSON.
pub(super) struct Shown(Bytes);

impl Shown {
    pub(super) fn new(document: &Json) -> Self {
        Self(document.to_string().into())
    }
}

#[async_trait]
impl Handler for Shown {
    async fn handle(&self, _context: Context, _request: Request<Body>) -> Response<Body> {
        let mut response = Response::new(Body::from(self.0.clone()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
