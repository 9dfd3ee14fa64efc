//! Authority of a request: the host and port that its client requested.

use std::net::Ipv6Addr;

use http::{HeaderValue, Request, Version, header};

use crate::headers::has_repeats;

/// Error in a request's authority (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("missing `Host` header: send the requested host")]
    Missing,
    #[error("duplicate `Host` header: send it once")]
    Several,
    #[error("invalid host: expected `host` or `host:port`")]
    Malformed,
    #[error("the host contains user information: remove it")]
    UserInformation,
    #[error(
        "the `Host` header differs from the host of the request target: send the same host in both"
    )]
    Different,
    #[error("invalid request target: expected a path or a URL")]
    NoTarget,
}

/// Checks the authority of a request and writes it to `Host`, where handlers read it.
///
/// Only a request of HTTP/1.0 may omit it.
pub(crate) fn normalize<B>(request: &mut Request<B>) -> Result<(), AuthorityError> {
    let version = request.version();
    let headers = request.headers();
    if has_repeats(headers) && headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(AuthorityError::Several);
    }
    let line = headers.get(header::HOST);
    match line {
        Some(line) => check(line.as_bytes())?,
        None if version == Version::HTTP_11 => return Err(AuthorityError::Missing),
        None => {}
    }
    let Some(target) = request.uri().authority() else {
        let is_named = line.is_some() || version <= Version::HTTP_10;
        return if is_named { Ok(()) } else { Err(AuthorityError::Missing) };
    };
    if version <= Version::HTTP_11 && request.uri().scheme().is_none() {
        return Err(AuthorityError::NoTarget);
    }
    check(target.as_str().as_bytes())?;
    match line {
        Some(line) if line.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes()) => Ok(()),
        Some(_) if version == Version::HTTP_2 => Err(AuthorityError::Different),
        // For a proxy's request the target takes precedence over `Host` (RFC 9112, section 3.2.2).
        Some(_) | None => {
            let host = HeaderValue::from_str(target.as_str());
            let host = host.map_err(|_| AuthorityError::Malformed)?;
            request.headers_mut().insert(header::HOST, host);
            Ok(())
        }
    }
}

/// Checks that text is `uri-host [ ":" port ]` (RFC 3986, section 3.2) with a host.
fn check(text: &[u8]) -> Result<(), AuthorityError> {
    match split(text) {
        Some((host, port)) if !host.is_empty() && is_port(port) => Ok(()),
        _ if text.contains(&b'@') => Err(AuthorityError::UserInformation),
        _ => Err(AuthorityError::Malformed),
    }
}

/// Splits text into the host and the part after it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(rest) = text.strip_prefix(b"[") {
        let (address, after) = rest.split_at(rest.iter().position(|byte| *byte == b']')?);
        str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
        return Some((address, after.get(1..)?));
    }
    let (host, port) =
        text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len()));
    is_registered_name(host).then_some((host, port))
}

/// True for empty text, or a colon with an optional port.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            let text = str::from_utf8(digits).unwrap_or_default();
            digits.iter().all(u8::is_ascii_digit) && text.parse::<u16>().is_ok()
        }
        _ => false,
    }
}

/// True for a byte that stands for itself in a registered name: unreserved, or a delimiter.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
        || matches!(byte, b'*' | b'+' | b',' | b';' | b'=')
}

/// True if each `%` begins two hexadecimal digits and every other byte is unreserved or a delimiter.
fn is_registered_name(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let is_digit = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
        let is_taken =
            is_plain(*byte) || (*byte == b'%' && is_digit(bytes.next()) && is_digit(bytes.next()));
        if !is_taken {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthorityError::{Different, Malformed, Missing, NoTarget, Several, UserInformation};

    fn normalized(
        version: Version,
        target: &str,
        hosts: &[&str],
    ) -> Result<Option<String>, AuthorityError> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let mut request = request.body(()).unwrap();
        normalize(&mut request)?;
        let host = request.headers().get(header::HOST);
        Ok(host.map(|host| host.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "a",
            "a:1",
            "a:",
            "a:65535",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:80",
            "a_b.c-d",
            "x%20y",
            "a,b",
        ] {
            assert_eq!(
                normalized(Version::HTTP_11, "/", &[host]),
                Ok(Some(host.to_owned())),
                "{host}"
            );
        }
    }

    #[test]
    fn an_impossible_host_is_refused() {
        for host in [
            "", ":80", "a b", "a/b", "a:b", "a:65536", "a:+1", "a:1:2", "[::1", "[]", "[a]",
            "[::1]x", "::1", "a?b", "a#b", "a\\b", "%zz", "a%2", "\u{e4}", "a\tb", "<a>",
        ] {
            assert_eq!(normalized(Version::HTTP_11, "/", &[host]), Err(Malformed), "{host:?}");
        }
        for host in ["u@a", "u:p@a", "@a"] {
            assert_eq!(normalized(Version::HTTP_11, "/", &[host]), Err(UserInformation), "{host}");
        }
    }

    #[test]
    fn only_http_1_0_goes_without_a_host() {
        assert_eq!(normalized(Version::HTTP_11, "/", &[]), Err(Missing));
        assert_eq!(normalized(Version::HTTP_2, "/", &[]), Err(Missing));
        assert_eq!(normalized(Version::HTTP_10, "/", &[]), Ok(None));
        assert_eq!(normalized(Version::HTTP_10, "/", &["a b"]), Err(Malformed));
    }

    #[test]
    fn two_hosts_are_refused_though_equal() {
        assert_eq!(normalized(Version::HTTP_11, "/", &["a", "a"]), Err(Several));
        assert_eq!(normalized(Version::HTTP_10, "/", &["a", "b"]), Err(Several));
    }

    #[test]
    fn the_target_gives_the_host() {
        let found = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(normalized(Version::HTTP_2, "http://a:1/x", &[]), found("a:1"));
        assert_eq!(normalized(Version::HTTP_2, "http://a/x", &["A"]), found("A"));
        assert_eq!(normalized(Version::HTTP_2, "http://a/x", &["b"]), Err(Different));
        assert_eq!(normalized(Version::HTTP_11, "http://a/x", &["b"]), found("a"));
        assert_eq!(normalized(Version::HTTP_11, "http://u@a/x", &["a"]), Err(UserInformation));
        assert_eq!(normalized(Version::HTTP_11, "http://a/x", &[]), Err(Missing));
        assert_eq!(normalized(Version::HTTP_11, "http://a/x", &["u@a"]), Err(UserInformation));
        assert_eq!(normalized(Version::HTTP_10, "http://a/x", &[]), found("a"));
        assert_eq!(normalized(Version::HTTP_11, "a:80", &["a:80"]), Err(NoTarget));
    }
}
