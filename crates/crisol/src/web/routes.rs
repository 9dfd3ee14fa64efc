//! `http.endpoint` as a route to its function.

use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{EntryField, HttpEndpoint, HttpMethod, Report, Rule, Transport};
use crisol_server::{Route, RouteTarget};
use crisol_transport::{Payload, WasiHttp};

use super::handler::Routed;
use super::middleware;
use super::scope::Scope;

/// Builds the route of an endpoint.
pub(super) fn route(id: &EntryId, endpoint: &HttpEndpoint, scope: &Scope<'_>) -> Route {
    Route {
        name: id.to_string(),
        method: middleware::method(endpoint.method),
        pattern: endpoint.path.to_string(),
        target: target(&endpoint.func, scope),
    }
}

/// Parameters that a request without a body cannot carry.
const NO_BODY: Rule = Rule::new("no-body");

/// Warns of a function with parameters and `transport: payload` behind a method whose requests have no body.
pub(super) fn warn(id: &EntryId, endpoint: &HttpEndpoint, scope: &mut Scope<'_>) {
    let method = endpoint.method;
    if !matches!(
        method,
        HttpMethod::Get | HttpMethod::Head | HttpMethod::Options | HttpMethod::Trace
    ) {
        return;
    }
    let func = &endpoint.func;
    if *scope.transport(func) != Transport::Payload {
        return;
    }
    let callee = scope.functions.get(func);
    let signature = callee.and_then(crate::call::Callable::signature);
    let Some(params) = signature.map(|one| one.params.len()).filter(|params| *params > 0) else {
        return;
    };
    let plural = if params == 1 { "" } else { "s" };
    let message = format!(
        "`{func}` takes {params} argument{plural} from the body (`transport: payload`), and a `{method}` has none"
    );
    let help = format!("write `method: POST`, or `transport: wasi-http` at `{func}`");
    scope.report(id, &EntryField::Method, Report::warning(NO_BODY, message).help(help));
}

/// Returns the target of requests: the HTTP handler itself, or the function with its transport.
fn target(func: &EntryId, scope: &Scope<'_>) -> RouteTarget {
    if let Some(handler) = scope.handlers.get(func) {
        let interceptors = Arc::clone(scope.interceptors.of(func));
        return RouteTarget::Handler(Arc::new(Routed::new(Arc::clone(handler), interceptors)));
    }
    let transport: Arc<dyn crisol_transport::Transport> = match scope.transport(func) {
        Transport::Payload => Arc::new(Payload),
        Transport::WasiHttp => Arc::new(WasiHttp),
        Transport::Custom(name) => match scope.transports.get(name) {
            Some(own) => Arc::clone(own),
            None => Arc::new(WasiHttp),
        },
    };
    RouteTarget::Function { id: func.clone(), transport }
}
