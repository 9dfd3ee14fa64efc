//! Arguments found in a request.

use crisol_core::Value;
use serde_json::value::RawValue;

/// An argument: a value, or JSON text for the callee to parse.
#[derive(Debug)]
pub(crate) enum Argument<'a> {
    Value(Value),
    Json(&'a RawValue),
}
