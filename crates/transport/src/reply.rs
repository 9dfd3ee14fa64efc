//! Results and errors as responses, by their type.

use crisol_core::{CallError, Field, Reply, Type, Value};
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::json::Json;
use crate::message::Response;
use crate::pairs;
use crate::problem::{Cause, Problem};
use crate::text::{integer_range, is_bytes, peel};

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const BYTES: &str = "application/octet-stream";
pub(crate) const JSON: &str = "application/json";

/// Headers of the connection, which a function may not set.
const CONNECTION_HEADERS: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Form of a successful response, chosen by the result's type or value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseForm {
    NoContent,
    Text,
    Bytes,
    /// The result is a record that describes the response.
    Described,
    Json,
}

impl ResponseForm {
    /// Form for a result of the type; the ok side of a `result` counts as the result itself.
    fn of_type(ty: Option<&Type>) -> Self {
        match ty.map(peel) {
            None => Self::NoContent,
            Some(Type::String) => Self::Text,
            Some(ty) if is_bytes(ty) => Self::Bytes,
            Some(ty) if is_response(ty) => Self::Described,
            Some(_) => Self::Json,
        }
    }

    /// Form for a result without a type. Any number counts as `status`, so that an invalid one is reported rather than
    /// sent as JSON.
    pub(crate) fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NoContent,
            Value::Text(_) => Self::Text,
            Value::Bytes(_) => Self::Bytes,
            value if is_response_value(value) => Self::Described,
            _ => Self::Json,
        }
    }

    fn write(self, reply: &Reply) -> Result<Response, Problem> {
        match self {
            Self::NoContent => Ok(Response::empty(StatusCode::NO_CONTENT)),
            Self::Json => write_json(reply),
            form => form.write_value(tree(reply)?),
        }
    }

    /// Writes a result that may be none although its form has a body.
    pub(crate) fn write_value(self, value: Value) -> Result<Response, Problem> {
        match (self, value) {
            (Self::NoContent, _) | (_, Value::Null) => Ok(Response::empty(StatusCode::NO_CONTENT)),
            (Self::Text, Value::Text(text)) => Ok(Response::ok(TEXT, text)),
            (Self::Text, other) => {
                Err(Problem::bad_reply(format!("expected a string, found {other}")))
            }
            (Self::Bytes, value) => bytes(value)
                .map(|bytes| Response::ok(BYTES, bytes))
                .ok_or_else(|| Problem::bad_reply("expected bytes, found another value")),
            (Self::Described, value) => record(value).map_err(Problem::bad_reply),
            (Self::Json, value) => match serde_json::to_vec(&Json(&value)) {
                Ok(text) => Ok(Response::ok(JSON, text)),
                Err(error) => Err(no_json(&error)),
            },
        }
    }
}

fn write_json(reply: &Reply) -> Result<Response, Problem> {
    let mut text = Vec::new();
    reply.write_json(&mut text).map_err(|error| no_json(&error))?;
    Ok(Response::ok(JSON, text))
}

fn no_json(error: &dyn std::fmt::Display) -> Problem {
    Problem::bad_reply(format!("the result has no JSON form: {error}"))
}

/// The type of a successful result: the ok side of a `result`, since its error side is returned as an error.
pub(crate) fn ok_side(ty: Option<&Type>) -> Option<&Type> {
    match ty {
        Some(Type::Result { ok, .. }) => ok.as_deref(),
        other => other,
    }
}

/// Writes a result as a response, by its type.
pub(crate) fn by_type(ty: Option<&Type>, reply: &Reply) -> Result<Response, Problem> {
    let ty = ok_side(ty);
    Ok(none_is_empty(ty, ResponseForm::of_type(ty).write(reply)?))
}

/// Writes a result of any type as JSON.
pub(crate) fn json(ty: Option<&Type>, reply: &Reply) -> Result<Response, Problem> {
    let ty = ok_side(ty);
    match ty {
        None => Ok(Response::empty(StatusCode::NO_CONTENT)),
        Some(_) => write_json(reply).map(|response| none_is_empty(ty, response)),
    }
}

fn none_is_empty(ty: Option<&Type>, response: Response) -> Response {
    let none = matches!(ty, Some(Type::Option(_))) && response.body == "null";
    let json = response.headers.get(CONTENT_TYPE).is_some_and(|media| media == JSON);
    if none && json { Response::empty(StatusCode::NO_CONTENT) } else { response }
}

pub(crate) fn tree(reply: &Reply) -> Result<Value, Problem> {
    reply.to_value().map_err(|error| Problem::bad_reply(error.to_string()))
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::List(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Int(byte) => u8::try_from(byte).ok(),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// True if the type is a response: a record with `status` and no fields but those of a response.
pub(crate) fn is_response(ty: &Type) -> bool {
    let Type::Record(fields) = ty else { return false };
    let fits = |field: &Field| match field.name.as_str() {
        "status" => integer_range(&field.ty).is_some(),
        "headers" => pairs::fits(&field.ty),
        "body" => true,
        _ => false,
    };
    fields.iter().all(fits) && fields.iter().any(|field| field.name == "status")
}

/// True if the value is a response: a record with a number as `status` and no fields but those of a response.
fn is_response_value(value: &Value) -> bool {
    let Value::Map(pairs) = value else { return false };
    let number =
        matches!(value.get("status"), Some(Value::Int(_) | Value::UInt(_) | Value::Float(_)));
    let is_part = |name: &Value| match name {
        Value::Text(name) => matches!(name.as_str(), "status" | "headers" | "body"),
        _ => false,
    };
    number && pairs.iter().all(|(name, _)| is_part(name))
}

fn status(value: &Value) -> Result<StatusCode, String> {
    let code = match value {
        Value::Int(code) => u16::try_from(*code).ok().filter(|code| (200..=599).contains(code)),
        _ => None,
    };
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| format!("expected a `status` of 200 to 599, found {value}"))
}

/// Converts a value with `status`, `headers` and `body` into a response.
pub(crate) fn record(value: Value) -> Result<Response, String> {
    let Value::Map(pairs) = value else {
        return Err(format!("expected a record with `status`, found {value}"));
    };
    let (mut response, mut body) = (Response::default(), Value::Null);
    for (name, value) in pairs {
        match &name {
            Value::Text(name) if name == "status" => response.status = status(&value)?,
            Value::Text(name) if name == "headers" => headers(value, &mut response.headers)?,
            Value::Text(name) if name == "body" => body = value,
            other => return Err(format!("unknown field `{other}` of a response")),
        }
    }
    let (media, bytes) = match body {
        Value::Null => return Ok(response),
        Value::Text(text) => (TEXT, text.into_bytes()),
        Value::Bytes(bytes) => (BYTES, bytes),
        value => (JSON, serde_json::to_vec(&Json(&value)).map_err(|error| error.to_string())?),
    };
    response.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(media));
    response.body = bytes.into();
    Ok(response)
}

/// Reads headers from any shape of pairs.
fn headers(value: Value, headers: &mut HeaderMap) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::Map(pairs) => pairs.into_iter().try_for_each(|(name, value)| match value {
            Value::List(lines) if !lines.iter().all(|line| matches!(line, Value::Int(_))) => {
                lines.into_iter().try_for_each(|line| header(headers, &name, line))
            }
            one => header(headers, &name, one),
        }),
        Value::List(items) => items.into_iter().try_for_each(|item| match item {
            Value::List(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([name, value]) => header(headers, &name, value),
                Err(pair) => Err(format!("a header is a name and a value, found {pair:?}")),
            },
            record => match (record.get("name"), record.get("value")) {
                (Some(name), Some(value)) => header(headers, name, value.clone()),
                _ => Err(format!("a header is a name and a value, found {record}")),
            },
        }),
        other => Err(format!("expected headers, found {other}")),
    }
}

fn header(headers: &mut HeaderMap, name: &Value, value: Value) -> Result<(), String> {
    let Value::Text(name) = name else { return Err(format!("invalid header name `{name}`")) };
    let text = match value {
        Value::Null => return Ok(()),
        Value::Text(text) => text.into_bytes(),
        number @ (Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Bool(_)) => {
            number.to_string().into_bytes()
        }
        other => bytes(other).ok_or_else(|| format!("header `{name}` is not text"))?,
    };
    let parsed = HeaderName::try_from(name.as_str()).map_err(|e| format!("`{name}`: {e}"))?;
    let text = HeaderValue::try_from(text).map_err(|e| format!("header `{name}`: {e}"))?;
    if !CONNECTION_HEADERS.contains(&parsed) {
        headers.append(parsed, text);
    }
    Ok(())
}

/// Writes a failed call: a function's own error that is a response as that response, every other error as a
/// problem.
pub(crate) fn failure(error: &CallError) -> Result<Response, Problem> {
    let Some(value) = error.function_error() else { return Err(Problem::from(error)) };
    let own = value.get("status").and_then(|code| status(code).ok());
    if let (Some(_), Value::Map(pairs)) = (own, value)
        && pairs.len() > 1
        && let Ok(response) = record(value.clone())
    {
        return Ok(response);
    }
    let detail = "the function returned an error";
    let problem = Problem::new(Cause::Function, detail).with_error(value.clone());
    Err(match own {
        Some(status) => problem.with_status(status),
        None => problem,
    })
}
