//! Media types, charsets and encodings that request bodies may have.

use http::{HeaderMap, header};

use crate::bad_request::{BadRequest, quote};

/// Refuses a compressed body; request bodies are not decompressed.
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

/// The media type without its parameters, in lower case.
pub(crate) fn essence(content_type: &[u8]) -> Vec<u8> {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().to_ascii_lowercase()
}

/// True for `application/json` and for media types with the suffix `+json` (RFC 6839).
fn is_json(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    essence == b"application/json" || essence.ends_with(b"+json")
}

/// The charset parameter of a media type, if it has one.
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

/// Refuses a body with a `Content-Type` other than JSON. A body without the header is read as JSON.
pub(crate) fn expect_json(headers: &HeaderMap, expected: &'static str) -> Result<(), BadRequest> {
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
}
