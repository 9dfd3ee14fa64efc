//! What an endpoint takes and gives, as an operation of OpenAPI 3.1: from the same signature that requests
//! are bound by.

mod operation;
mod schema;

use crisol_core::Signature;
use http::Method;
use serde_json::{Value as Json, json};

/// A route as its description needs it.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// What tells the operation from all others, such as the entry's id.
    pub id: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The names of the path's parameters.
    pub params: &'a [&'a str],
    /// How requests are bound; none for a function that answers HTTP itself, of which nothing is known.
    pub binding: Option<(Binding, &'a Signature)>,
}

/// How requests are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// As [`WasiHttp`](crate::WasiHttp) does.
    WasiHttp,
    /// As [`Payload`](crate::Payload) does.
    Payload,
}

/// The operation object of a route.
#[must_use]
pub fn operation(described: &Described<'_>) -> Json {
    operation::of(described)
}

/// A whole document of operations: `paths` has for each path an object of operations by method in lower
/// case.
#[must_use]
pub fn document(title: &str, paths: serde_json::Map<String, Json>) -> Json {
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": {"Problem": problem()}}
    })
}

/// A problem document (RFC 9457) as the server writes it.
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
