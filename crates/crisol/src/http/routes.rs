//! `http.endpoint` as a route to its function.

use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{Function, HttpEndpoint, HttpMethod, Kind, Report, Rule, Transport};
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

/// Parameters that no request can carry.
const NO_BODY: Rule = Rule::new("no-body");

/// Warns of a function whose arguments are the body of a request that has none.
pub(super) fn warn(id: &EntryId, endpoint: &HttpEndpoint, scope: &mut Scope<'_>) {
    let method = endpoint.method;
    if !matches!(
        method,
        HttpMethod::Get | HttpMethod::Head | HttpMethod::Options | HttpMethod::Trace
    ) {
        return;
    }
    let func = &endpoint.func;
    let kind = scope.registry.get(func.as_str()).map(|entry| &entry.kind);
    let Some(Kind::Function(Function { transport: Transport::Payload, .. })) = kind else { return };
    let callee = scope.assembled.functions.get(func);
    let signature = callee.and_then(crate::callable::Callable::signature);
    let Some(params) = signature.map(|one| one.params.len()).filter(|params| *params > 0) else {
        return;
    };
    let plural = if params == 1 { "" } else { "s" };
    let message = format!(
        "`{func}` takes {params} argument{plural} from the body (`transport: payload`), and a `{method}` has none"
    );
    let help = format!("write `method: POST`, or `transport: wasi-http` at `{func}`");
    scope.report(id, "method", Report::warning(NO_BODY, message).help(help));
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
