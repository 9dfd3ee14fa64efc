//! OpenAPI 3.1 description of endpoints, from the same signatures that bind their requests.

mod operation;
mod schema;

use crisol_core::Signature;
use http::Method;
use serde_json::{Value as Json, json};

/// A route to describe.
#[derive(Debug, Clone, Copy)]
pub struct RouteDescription<'a> {
    /// Unique id of the operation, such as the entry's id.
    pub id: &'a str,
    /// The method.
    pub method: &'a Method,
    /// Names of the path's parameters.
    pub params: &'a [&'a str],
    /// Binding and signature; `None` for a function that answers HTTP itself, whose types are unknown.
    pub binding: Option<(Binding, &'a Signature)>,
}

/// Transport that binds requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Binding of [`WasiHttp`](crate::WasiHttp).
    WasiHttp,
    /// Binding of [`Payload`](crate::Payload).
    Payload,
}

/// Operation object of a route.
#[must_use]
pub fn operation(route: &RouteDescription<'_>) -> Json {
    operation::of(route)
}

/// A complete OpenAPI document. `paths` maps each path to an object of operations by lower-case method.
#[must_use]
pub fn document(title: &str, paths: serde_json::Map<String, Json>) -> Json {
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": {"Problem": problem()}}
    })
}

/// Schema of a problem document (RFC 9457) as the server writes it.
fn problem() -> Json {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "error": {"description": "the function's own error"},
            "request_id": {"type": "string"}
        }
    })
}
