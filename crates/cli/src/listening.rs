//! Output lines for services.

use crisol::http::{Address, Listening};

/// Formats a service, for people and for scripts that wait for it.
pub(crate) fn show(endpoint: &Listening) -> String {
    let scheme = if endpoint.secure { "https" } else { "http" };
    let place = match &endpoint.addr {
        Address::Unix(path) => format!("{scheme}+unix://{}", path.display()),
        addr => format!("{scheme}://{addr}"),
    };
    format!("serving {} on {place}", endpoint.service)
}
