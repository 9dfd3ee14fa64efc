//! Helpers for header fields.

use http::header::{HeaderMap, HeaderName, HeaderValue, VARY};

/// Sets a field if there is a value for it.
pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

/// Adds a name to `Vary`, which tells caches the request headers that a response depends on, unless the name or `*`
/// is present.
pub(crate) fn vary_by(headers: &mut HeaderMap, name: &'static str) {
    let has = |line: &HeaderValue| {
        let names = line.to_str().unwrap_or_default().split(',').map(str::trim);
        names.into_iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name))
    };
    if !headers.get_all(VARY).iter().any(has) {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}

/// True if any field has more than one line. It costs no look-up.
pub(crate) fn has_repeats(headers: &HeaderMap) -> bool {
    headers.keys_len() < headers.len()
}
