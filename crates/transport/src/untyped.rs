//! Binding for functions without a signature, such as those in Lua. They get the request as one record, and the
//! value of the result decides on its response.

use bytes::Bytes;
use crisol_core::{Args, Reply, Value};
use http::StatusCode;

use crate::bad_request::BadRequest;
use crate::json::Json;
use crate::message::{Request, Response};
use crate::pairs::{self, Kind};
use crate::problem::Problem;
use crate::reply::{self, BYTES, JSON, TEXT};
use crate::sources::Sources;

/// A field of the request.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) holds: &'static str,
    value: fn(&Sources<'_>) -> Result<Value, BadRequest>,
}

/// Fields of the request for a function without a signature.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "method",
        holds: "the method: `GET`",
        value: |sources| Ok(Value::from(sources.request.method.as_str())),
    },
    Part {
        name: "path",
        holds: "the path, percent-encoded as the client sent it, without the query",
        value: |sources| Ok(Value::from(sources.request.path.as_str())),
    },
    Part {
        name: "query",
        holds: "each key of the query, decoded, with its value; the last one of a key given twice",
        value: |sources| Ok(pairs::by_name(Kind::Query, &sources.query()?)),
    },
    Part {
        name: "query_string",
        holds: "what stands after `?`, as the client sent it; none without a `?`",
        value: |sources| Ok(sources.request.query.as_deref().map_or(Value::Null, Value::from)),
    },
    Part {
        name: "headers",
        holds: "each header, its name in lower case, with its value: several lines joined by `, ` (`cookie`: `; `)",
        value: |sources| Ok(pairs::by_name(Kind::Headers, &sources.headers())),
    },
    Part {
        name: "params",
        holds: "the parameters of the route's pattern, decoded",
        value: |sources| Ok(pairs::by_name(Kind::Params, &sources.params())),
    },
    Part {
        name: "body",
        holds: "the body as it came, whatever its media type; empty without one",
        value: |sources| Ok(text_or_bytes(&sources.request.body)),
    },
];

fn text_or_bytes(body: &Bytes) -> Value {
    match String::from_utf8(body.to_vec()) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Bytes(error.into_bytes()),
    }
}

/// A row of the table of results.
pub(crate) struct Rule {
    pub(crate) when: &'static str,
    pub(crate) response: &'static str,
    applies: fn(&Value) -> bool,
    write: fn(Value) -> Result<Response, Problem>,
}

/// Rules for a result without a type. The first rule that applies is used.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        when: "none",
        response: "`204`, no body",
        applies: |value| matches!(value, Value::Null),
        write: |_| Ok(Response::empty(StatusCode::NO_CONTENT)),
    },
    Rule {
        when: "text in UTF-8",
        response: "`200`, `text/plain; charset=utf-8`",
        applies: |value| matches!(value, Value::Text(_)),
        write: |value| match value {
            Value::Text(text) => Ok(Response::ok(TEXT, text)),
            _ => Ok(Response::default()),
        },
    },
    Rule {
        when: "other bytes",
        response: "`200`, `application/octet-stream`",
        applies: |value| matches!(value, Value::Bytes(_)),
        write: |value| match value {
            Value::Bytes(bytes) => Ok(Response::ok(BYTES, bytes)),
            _ => Ok(Response::default()),
        },
    },
    Rule {
        when: "a record with `status`, a number, and no fields but `headers` and `body`",
        response: "that response: `headers` by name, each a text or a list of them; `body` as a result by itself, its media type unless `headers` has one",
        applies: is_response,
        write: |value| reply::record(value).map_err(Problem::bad_reply),
    },
    Rule {
        when: "anything else",
        response: "`200`, `application/json`",
        applies: |_| true,
        write: |value| as_json(&value),
    },
];

/// True if the value is a response: a record with `status` and no fields but those of a response. Any number counts
/// as `status`, so that an invalid one is reported rather than sent as JSON.
fn is_response(value: &Value) -> bool {
    let Value::Map(pairs) = value else { return false };
    let number =
        matches!(value.get("status"), Some(Value::Int(_) | Value::UInt(_) | Value::Float(_)));
    let belongs = |name: &Value| match name {
        Value::Text(name) => matches!(name.as_str(), "status" | "headers" | "body"),
        _ => false,
    };
    number && pairs.iter().all(|(name, _)| belongs(name))
}

/// Binds the request as the only argument.
pub(crate) fn bind(request: &Request) -> Result<Args<'static>, BadRequest> {
    let sources = Sources::new(request);
    let field = |part: &Part| Ok((Value::from(part.name), (part.value)(&sources)?));
    let fields = PARTS.iter().map(field).collect::<Result<_, BadRequest>>()?;
    Ok(Args::Values(vec![Value::Map(fields)]))
}

/// Writes a result as a response.
pub(crate) fn write(reply: &Reply) -> Result<Response, Problem> {
    let value = reply::tree(reply)?;
    match RULES.iter().find(|rule| (rule.applies)(&value)) {
        Some(rule) => (rule.write)(value),
        None => Ok(Response::empty(StatusCode::NO_CONTENT)),
    }
}

/// Writes a result as JSON, and none as no content.
pub(crate) fn json(reply: &Reply) -> Result<Response, Problem> {
    match reply::tree(reply)? {
        Value::Null => Ok(Response::empty(StatusCode::NO_CONTENT)),
        value => as_json(&value),
    }
}

fn as_json(value: &Value) -> Result<Response, Problem> {
    match serde_json::to_vec(&Json(value)) {
        Ok(text) => Ok(Response::ok(JSON, text)),
        Err(error) => Err(Problem::bad_reply(format!("the result has no JSON form: {error}"))),
    }
}
