//! The header that tells caches what a response depends on.

use http::header::{HeaderMap, HeaderValue, VARY};

/// Adds a name to `Vary`, unless it is there or `*` is.
pub(crate) fn add(headers: &mut HeaderMap, name: &'static str) {
    let has = |line: &HeaderValue| {
        let names = line.to_str().unwrap_or_default().split(',').map(str::trim);
        names.into_iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name))
    };
    if !headers.get_all(VARY).iter().any(has) {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}
