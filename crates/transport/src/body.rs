//! Bodies: which media types are read, JSON text in and out, no tree built on the way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use crisol_core::{Type, Value};
use http::{HeaderMap, header};
use serde::de::IgnoredAny;
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::bad_request::{BadRequest, Place, quote};

/// The fields of a JSON object, as text.
pub(crate) type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Refuses a body that is compressed: nothing here inflates it.
fn expect_identity(headers: &HeaderMap) -> Result<(), BadRequest> {
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

/// Whether a media type is `application/json` or has the suffix `+json` (RFC 6839).
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
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

/// Refuses a body whose `Content-Type` says that it is not JSON. Without the header it is taken for
/// JSON, and its text decides.
fn expect_json(headers: &HeaderMap) -> Result<(), BadRequest> {
    expect_identity(headers)?;
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if !is_json(value.as_bytes()) => Err(BadRequest::UnsupportedMedia {
            expected: "`content-type: application/json`",
            header: "content-type",
            found: show(value.as_bytes()),
        }),
        _ => Ok(()),
    }
}

/// The body as text.
pub(crate) fn text(headers: &HeaderMap, body: Bytes) -> Result<String, BadRequest> {
    expect_identity(headers)?;
    if let Some(value) = headers.get(header::CONTENT_TYPE)
        && let Some(charset) = charset(value.as_bytes())
        && !matches!(charset.as_slice(), b"utf-8" | b"utf8" | b"us-ascii")
    {
        return Err(BadRequest::UnsupportedMedia {
            expected: "text in UTF-8",
            header: "content-type",
            found: show(value.as_bytes()),
        });
    }
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
    headers: &HeaderMap,
    body: &[u8],
    expected: &dyn fmt::Display,
) -> Result<(), BadRequest> {
    expect_json(headers)?;
    if body.trim_ascii().is_empty() {
        return Err(BadRequest::Mismatch {
            place: Place::Body,
            expected: format!("{expected} as JSON"),
            found: "nothing".to_owned(),
        });
    }
    serde_json::from_slice::<IgnoredAny>(body)
        .map(|_| ())
        .map_err(|source| BadRequest::Json { expected: expected.to_string(), source })
}

/// The body as a tree.
pub(crate) fn json_value(headers: &HeaderMap, body: &[u8], ty: &Type) -> Result<Value, BadRequest> {
    check_json(headers, body, ty)?;
    serde_json::from_slice(body)
        .map_err(|source| BadRequest::Json { expected: ty.to_string(), source })
}

/// The fields of the JSON object that the body is; none for an empty body.
pub(crate) fn fields<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Fields<'a>, BadRequest> {
    if body.is_empty() {
        return Ok(Fields::new());
    }
    expect_json(headers)?;
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(BadRequest::mismatch(
            Place::Body,
            "a JSON object with the parameters as fields",
            &String::from_utf8_lossy(body),
        ));
    }
    serde_json::from_slice(body)
        .map_err(|source| BadRequest::Json { expected: "an object".to_owned(), source })
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
