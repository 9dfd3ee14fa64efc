//! Arguments as a request has them.

use crisol_core::Value;
use serde_json::value::RawValue;

/// An argument that was found: a value, or JSON text that the callee reads.
#[derive(Debug)]
pub(crate) enum Bound<'a> {
    Value(Value),
    Json(&'a RawValue),
}
