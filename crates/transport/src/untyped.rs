//! Binding for functions without a signature, such as those in Lua. They get the request as one record, and the
//! value of the result decides on its response.

use bytes::Bytes;
use crisol_core::{Args, Reply, Value};

use crate::bad_request::BadRequest;
use crate::message::{Request, Response};
use crate::pairs::{self, PairSource};
use crate::parsed_request::ParsedRequest;
use crate::problem::Problem;
use crate::reply::{self, ResponseForm};

/// A field of the request as a table.
pub(crate) struct TableField {
    pub(crate) name: &'static str,
    value: fn(&ParsedRequest<'_>) -> Result<Value, BadRequest>,
}

/// Fields of the request for a function without a signature.
pub(crate) const FIELDS: [TableField; 7] = [
    TableField { name: "method", value: |parsed| Ok(Value::from(parsed.request.method.as_str())) },
    TableField { name: "path", value: |parsed| Ok(Value::from(parsed.request.path.as_str())) },
    TableField {
        name: "query",
        value: |parsed| Ok(pairs::by_name(PairSource::Query, &parsed.query()?)),
    },
    TableField {
        name: "query_string",
        value: |parsed| Ok(parsed.request.query.as_deref().map_or(Value::Null, Value::from)),
    },
    TableField {
        name: "headers",
        value: |parsed| Ok(pairs::by_name(PairSource::Headers, &parsed.headers())),
    },
    TableField {
        name: "params",
        value: |parsed| Ok(pairs::by_name(PairSource::Path, &parsed.params())),
    },
    TableField { name: "body", value: |parsed| Ok(text_or_bytes(&parsed.request.body)) },
];

fn text_or_bytes(body: &Bytes) -> Value {
    match String::from_utf8(body.to_vec()) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Bytes(error.into_bytes()),
    }
}

/// Binds the request as the only argument.
pub(crate) fn bind(request: &Request) -> Result<Args<'static>, BadRequest> {
    let parsed = ParsedRequest::new(request);
    let field = |field: &TableField| Ok((Value::from(field.name), (field.value)(&parsed)?));
    let fields = FIELDS.iter().map(field).collect::<Result<_, BadRequest>>()?;
    Ok(Args::Values(vec![Value::Map(fields)]))
}

/// Writes a result as a response.
pub(crate) fn write(reply: &Reply) -> Result<Response, Problem> {
    let value = reply::tree(reply)?;
    ResponseForm::of_value(&value).write_value(value)
}

/// Writes a result as JSON, and none as no content.
pub(crate) fn json(reply: &Reply) -> Result<Response, Problem> {
    ResponseForm::Json.write_value(reply::tree(reply)?)
}
