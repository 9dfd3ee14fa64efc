//! Bodies: which media types are read, JSON text in and out, no tree built on the way.

use std::fmt;

use bytes::Bytes;
use crisol_core::{Type, Value};
use http::{HeaderMap, header};
use serde::de::IgnoredAny;
use serde::ser::{Serialize, Serializer};

use crate::bad_request::{BadRequest, Place, quote};
use crate::form;

/// Expected where a body is JSON.
pub(crate) const JSON: &str = "`content-type: application/json`";

/// Expected where a body is JSON of an object, or a form.
pub(crate) const JSON_OR_FORM: &str =
    "`content-type: application/json` or `application/x-www-form-urlencoded`";

/// Refuses a body that is compressed: nothing here inflates it.
pub(crate) fn expect_identity(headers: &HeaderMap) -> Result<(), BadRequest> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(BadRequest::UnsupportedMedia {
                expected: "no encoding",
                header: "content-encoding",
                found: show(value.as_bytes()),
            })
        }
        _ => Ok(()),
    }
}

fn show(value: &[u8]) -> String {
    quote(&String::from_utf8_lossy(value)).trim_matches('`').to_owned()
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(content_type: &[u8]) -> Vec<u8> {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().to_ascii_lowercase()
}

/// Whether a media type is `application/json` or has the suffix `+json` (RFC 6839).
fn is_json(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    essence == b"application/json" || essence.ends_with(b"+json")
}

/// The charset that a media type names, if it names one.
fn charset(content_type: &[u8]) -> Option<Vec<u8>> {
    content_type.split(|&byte| byte == b';').skip(1).find_map(|parameter| {
        let parameter = parameter.trim_ascii().to_ascii_lowercase();
        let value = parameter.strip_prefix(b"charset=")?;
        Some(value.iter().copied().filter(|&byte| byte != b'"').collect())
    })
}

/// The refusal of a body for its `Content-Type`.
pub(crate) fn unsupported(headers: &HeaderMap, expected: &'static str) -> BadRequest {
    let found = headers.get(header::CONTENT_TYPE).map(|value| show(value.as_bytes()));
    BadRequest::UnsupportedMedia {
        expected,
        header: "content-type",
        found: found.unwrap_or_default(),
    }
}

/// Refuses a body whose `Content-Type` says that it is not JSON. Without the header it is taken for
/// JSON, and its text decides.
fn expect_json(headers: &HeaderMap, expected: &'static str) -> Result<(), BadRequest> {
    expect_identity(headers)?;
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if !is_json(value.as_bytes()) => Err(unsupported(headers, expected)),
        _ => Ok(()),
    }
}

/// Refuses a body whose `Content-Type` names a charset other than UTF-8.
pub(crate) fn expect_utf8(headers: &HeaderMap) -> Result<(), BadRequest> {
    let value = headers.get(header::CONTENT_TYPE);
    match value.and_then(|value| charset(value.as_bytes())).as_deref() {
        None | Some(b"utf-8" | b"utf8" | b"us-ascii") => Ok(()),
        Some(_) => Err(unsupported(headers, "text in UTF-8")),
    }
}

/// The body as text.
pub(crate) fn text(headers: &HeaderMap, body: Bytes) -> Result<String, BadRequest> {
    expect_identity(headers)?;
    expect_utf8(headers)?;
    String::from_utf8(Vec::from(body)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        BadRequest::Mismatch {
            place: Place::Body,
            expected: "text in UTF-8".to_owned(),
            found: format!("a byte sequence that is none at byte {at}"),
        }
    })
}

/// Checks that the body is one JSON value. It is read again by the callee, by its types; here only its
/// extent matters, so that what is put around it stays around it.
pub(crate) fn check_json(
    (headers, media): (&HeaderMap, &'static str),
    body: &[u8],
    expected: &dyn fmt::Display,
) -> Result<(), BadRequest> {
    expect_json(headers, media)?;
    if body.trim_ascii().is_empty() {
        return Err(BadRequest::Mismatch {
            place: Place::Body,
            expected: format!("{expected} as JSON"),
            found: "nothing".to_owned(),
        });
    }
    serde_json::from_slice::<IgnoredAny>(body)
        .map(|_| ())
        .map_err(|problem| BadRequest::Json { expected: expected.to_string(), problem })
}

/// The media types that a body of the type may have; for errors.
pub(crate) fn media_of(ty: &Type) -> &'static str {
    if form::fits(ty) { JSON_OR_FORM } else { JSON }
}

/// The body as a tree: JSON, or a form where the type takes one.
pub(crate) fn tree(headers: &HeaderMap, body: &[u8], ty: &Type) -> Result<Value, BadRequest> {
    if form::is_form(headers) && form::fits(ty) {
        return form::value(headers, body, ty);
    }
    check_json((headers, media_of(ty)), body, ty)?;
    serde_json::from_slice(body)
        .map_err(|problem| BadRequest::Json { expected: ty.to_string(), problem })
}

/// Checks that the body, which is not empty, is to be JSON of an object.
pub(crate) fn expect_object(headers: &HeaderMap, body: &[u8]) -> Result<(), BadRequest> {
    expect_json(headers, JSON_OR_FORM)?;
    if body.trim_ascii_start().first() == Some(&b'{') {
        return Ok(());
    }
    Err(BadRequest::mismatch(
        Place::Body,
        "a JSON object with the parameters as fields",
        &String::from_utf8_lossy(body),
    ))
}

/// A value as JSON text the way values are written everywhere: numbers that JSON lacks as `"NaN"`,
/// `"Infinity"` and `"-Infinity"`.
pub(crate) struct Json<'a>(pub(crate) &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Float(v) if v.is_nan() => serializer.serialize_str("NaN"),
            Value::Float(v) if v.is_infinite() && *v > 0.0 => serializer.serialize_str("Infinity"),
            Value::Float(v) if v.is_infinite() => serializer.serialize_str("-Infinity"),
            Value::List(items) => serializer.collect_seq(items.iter().map(Json)),
            Value::Map(pairs) => {
                serializer.collect_map(pairs.iter().map(|(key, value)| (Json(key), Json(value))))
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_by_its_essence_and_suffix() {
        for yes in ["application/json", "Application/JSON; charset=utf-8", "application/a+json"] {
            assert!(is_json(yes.as_bytes()), "{yes}");
        }
        for no in ["text/plain", "application/x-www-form-urlencoded", "json", "application/jsonp"] {
            assert!(!is_json(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn a_charset_is_found_quoted_or_not() {
        assert_eq!(charset(b"text/plain; Charset=\"UTF-8\"").as_deref(), Some(&b"utf-8"[..]));
        assert_eq!(charset(b"text/plain; a=b;charset=latin1").as_deref(), Some(&b"latin1"[..]));
        assert_eq!(charset(b"text/plain"), None);
    }

    #[test]
    fn numbers_that_json_lacks_are_text() -> Result<(), serde_json::Error> {
        let value = Value::List(vec![Value::Float(f64::NAN), Value::Float(f64::NEG_INFINITY)]);
        assert_eq!(serde_json::to_string(&Json(&value))?, r#"["NaN","-Infinity"]"#);
        Ok(())
    }
}
