//! Which interfaces the host implements, and the linker that has all of them.

use std::future::{Future, ready};

use semver::Version;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};

use crate::host::Host;

/// The release of WASI that the host's definitions carry in their names. Guests built against any
/// other 0.2.x link to them all the same: that is the component model's rule for versions.
pub(crate) const HOST_VERSION: Version = Version::new(0, 2, 12);

/// Every interface that the host implements, without its version, in order.
pub const HOST_INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The host interface that an import such as `wasi:clocks/wall-clock@0.2.3` is served by, without its
/// version: `None` when the host has none of that name, or only one of an incompatible version.
#[must_use]
pub fn interface_of(import: &str) -> Option<&'static str> {
    let (name, version) = import.split_once('@')?;
    let at = HOST_INTERFACES.binary_search(&name).ok()?;
    let version = Version::parse(version).ok()?;
    let compatible = version.pre.is_empty()
        && (version.major, version.minor) == (HOST_VERSION.major, HOST_VERSION.minor);
    compatible.then(|| HOST_INTERFACES[at])
}

/// A linker with everything the host implements. Building it takes a fifth of a millisecond, so it is
/// built once for an engine and copied for each function.
pub(crate) fn everything(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// Outgoing HTTP for guests without an allow-list: every request is refused.
#[derive(Debug)]
pub(crate) struct NoOutgoingHttp;

type Unsent = Box<dyn Future<Output = Result<(), HttpError>> + Send>;

impl WasiHttpHooks for NoOutgoingHttp {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Unsent,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Unsent), HttpError>> + Send>
    {
        Box::new(ready(Err(HttpError::HttpRequestDenied)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_finds_the_host_interface_of_a_compatible_version() {
        assert!(HOST_INTERFACES.is_sorted());
        let clock = Some("wasi:clocks/wall-clock");
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.2.0"), clock);
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.2.99"), clock);
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.3.0"), None);
        assert_eq!(interface_of("wasi:clocks/wall-clock@0.2.0-rc-2023-11-10"), None);
        assert_eq!(interface_of("wasi:clocks/wall-clock"), None);
        assert_eq!(interface_of("wasi:nn/graph@0.2.0"), None);
    }
}
