//! Request bodies as text, JSON or a form, by the type of their parameter.

use std::fmt;

use bytes::Bytes;
use crisol_core::{Type, Value};
use http::HeaderMap;
use serde::de::IgnoredAny;

use crate::bad_request::{BadRequest, Location};
use crate::form;
use crate::media::{expect_identity, expect_json, expect_utf8};

/// Expected media type of a JSON body.
pub(crate) const JSON: &str = "`content-type: application/json`";

/// Expected media type of a body that is a JSON object or a form.
pub(crate) const JSON_OR_FORM: &str =
    "`content-type: application/json` or `application/x-www-form-urlencoded`";

/// Decodes the body as text.
pub(crate) fn text(headers: &HeaderMap, body: Bytes) -> Result<String, BadRequest> {
    expect_identity(headers)?;
    expect_utf8(headers)?;
    String::from_utf8(Vec::from(body)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        BadRequest::Mismatch {
            location: Location::Body,
            expected: "text in UTF-8".to_owned(),
            found: format!("invalid UTF-8 at byte {at}"),
        }
    })
}

/// Checks that the body is a single JSON value. The callee parses it again by its types; the check keeps a
/// malformed body from changing the JSON array that it is placed in.
pub(crate) fn check_json(
    (headers, media): (&HeaderMap, &'static str),
    body: &[u8],
    expected: &dyn fmt::Display,
) -> Result<(), BadRequest> {
    expect_json(headers, media)?;
    if body.trim_ascii().is_empty() {
        return Err(BadRequest::Mismatch {
            location: Location::Body,
            expected: format!("{expected} as JSON"),
            found: "nothing".to_owned(),
        });
    }
    serde_json::from_slice::<IgnoredAny>(body)
        .map(|_| ())
        .map_err(|problem| BadRequest::Json { expected: expected.to_string(), problem })
}

/// The media types that a body of type `ty` may have, for errors.
pub(crate) fn media_of(ty: &Type) -> &'static str {
    if form::fits(ty) { JSON_OR_FORM } else { JSON }
}

/// Parses the body as a tree: as JSON, or as a form if the type accepts one.
pub(crate) fn tree(headers: &HeaderMap, body: &[u8], ty: &Type) -> Result<Value, BadRequest> {
    if form::is_form(headers) && form::fits(ty) {
        return form::value(headers, body, ty);
    }
    check_json((headers, media_of(ty)), body, ty)?;
    serde_json::from_slice(body)
        .map_err(|problem| BadRequest::Json { expected: ty.to_string(), problem })
}

/// Checks that a nonempty body is a JSON object, as far as its first byte shows.
pub(crate) fn expect_object(headers: &HeaderMap, body: &[u8]) -> Result<(), BadRequest> {
    expect_json(headers, JSON_OR_FORM)?;
    if body.trim_ascii_start().first() == Some(&b'{') {
        return Ok(());
    }
    Err(BadRequest::mismatch(
        Location::Body,
        "a JSON object with the parameters as fields",
        &String::from_utf8_lossy(body),
    ))
}
