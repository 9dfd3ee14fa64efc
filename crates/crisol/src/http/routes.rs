//! `http.endpoint` as a route to its function.

use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{HttpEndpoint, Kind, Transport};
use crisol_server::{Route, Target};
use crisol_transport::{Payload, WasiHttp};

use super::proxy::ProxyHandler;
use super::{Scope, middleware};

/// The route of an endpoint.
pub(super) fn route(id: &EntryId, endpoint: &HttpEndpoint, scope: &Scope<'_>) -> Route {
    Route {
        name: id.to_string(),
        method: middleware::method(endpoint.method),
        pattern: endpoint.path.to_string(),
        target: target(&endpoint.func, scope),
    }
}

/// What answers for a function.
fn target(func: &EntryId, scope: &Scope<'_>) -> Target {
    if let Some(proxy) = scope.assembled.proxies.get(func) {
        let interceptors = Arc::clone(scope.assembled.interceptors.of(func));
        return Target::Handler(Arc::new(ProxyHandler::new(Arc::clone(proxy), interceptors)));
    }
    let kind = scope.registry.get(func.as_str()).map(|entry| &entry.kind);
    let transport = match kind {
        Some(Kind::Function(function)) => &function.transport,
        _ => &Transport::WasiHttp,
    };
    let own = match transport {
        Transport::Custom(name) => scope.transports.get(name).cloned(),
        _ => None,
    };
    let transport: Arc<dyn crisol_transport::Transport> = match (own, transport) {
        (Some(own), _) => own,
        (None, Transport::Payload) => Arc::new(Payload),
        (None, _) => Arc::new(WasiHttp),
    };
    Target::Function { id: func.clone(), transport }
}
