//! Checks on a request's head before it is handled, and its conversion into a form that is the same for all
//! versions of HTTP.

use crisol_transport::{Cause, Problem};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body::Body as _;

use crate::authority;
use crate::body::Body;
use crate::headers::has_repeats;

/// Checks a head and converts it into the form that handlers see.
///
/// # Errors
/// Returns the response to a head that is refused.
pub(crate) fn normalize(request: &mut Request<Body>) -> Result<(), Problem> {
    if request.method() == Method::CONNECT {
        let detail = "`CONNECT` is not supported: this server opens no tunnels";
        return Err(Problem::new(Cause::NotImplemented, detail));
    }
    if !request.body().is_end_stream() && !is_plainly_coded(request.headers()) {
        let detail = "unsupported transfer coding: use a single `chunked`";
        return Err(Problem::new(Cause::NotImplemented, detail));
    }
    authority::normalize(request)
        .map_err(|error| Problem::new(Cause::BadRequest, error.to_string()))?;
    if has_repeats(request.headers()) {
        join_cookies(request.headers_mut());
    }
    Ok(())
}

/// True if a body has no transfer coding, or only `chunked` (RFC 9112, section 6.1).
fn is_plainly_coded(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// Joins the pieces in which HTTP/2 sends cookies (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (pieces.next(), pieces.next()) else { return };
    let mut joined = [first.as_bytes(), second.as_bytes()].join(&b"; "[..]);
    for piece in pieces {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(piece.as_bytes());
    }
    // Valid values joined by a valid separator are valid.
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn one_chunked_is_the_only_transfer_coding() {
        let taken = |lines: &[&'static str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("transfer-encoding", *line)).collect();
            is_plainly_coded(&headers(&lines))
        };
        for lines in [&[][..], &["chunked"], &["Chunked"]] {
            assert!(taken(lines), "{lines:?}");
        }
        for lines in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["identity"],
            &["chunked;x=1"],
            &[""],
        ] {
            assert!(!taken(lines), "{lines:?}");
        }
    }

    #[test]
    fn cookies_become_one_line() {
        for (pieces, line) in [
            (&["a=1"][..], "a=1"),
            (&["a=1", "b=2"], "a=1; b=2"),
            (&["a=1", "b=2; c=3", "d=\u{e4}"], "a=1; b=2; c=3; d=\u{e4}"),
        ] {
            let lines: Vec<_> = pieces.iter().map(|piece| ("cookie", *piece)).collect();
            let mut headers = HeaderMap::new();
            for (_, value) in lines {
                headers.append(header::COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            join_cookies(&mut headers);
            let all: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
            assert_eq!(all, [&HeaderValue::from_bytes(line.as_bytes()).unwrap()]);
        }
    }
}
