//! WASI 0.2, and 0.3 on engines with support for asynchronous functions. Core modules reach the same state through
//! preview 1 (module `core_module`).

mod error_text;
mod random;

use std::borrow::Cow;

use semver::Version;
use wasmtime::component::Linker;

use super::Capability;
use crate::config::VariantKey;
use crate::host::Host;
use crate::releases::{Release, denied, empty, served};

/// The WASI releases that the host implements.
pub(super) const WASI_0_2: Version = Version::new(0, 2, 12);
pub(super) const WASI_0_3: Version = Version::new(0, 3, 0);

/// Family name of both releases.
pub(super) const FAMILY: &str = "WASI";

// Output goes to the log and input is empty, unless the entry grants a command the terminal; an exit ends only the
// guest's own call. `wasi:io` has only methods of streams, errors and pollables. Random numbers reveal nothing, and
// hash tables need them as seeds. JavaScript engines read the monotonic clock at start: without a grant it stands still,
// so it cannot measure time.

static RELEASES: [Release; 2] = [
    Release {
        family: FAMILY,
        version: Some(WASI_0_2),
        interfaces: Cow::Borrowed(&[
            empty("wasi:cli/environment"),
            served("wasi:cli/exit"),
            served("wasi:cli/stderr"),
            served("wasi:cli/stdin"),
            served("wasi:cli/stdout"),
            served("wasi:cli/terminal-input"),
            served("wasi:cli/terminal-output"),
            served("wasi:cli/terminal-stderr"),
            served("wasi:cli/terminal-stdin"),
            served("wasi:cli/terminal-stdout"),
            empty("wasi:clocks/monotonic-clock"),
            denied("wasi:clocks/wall-clock"),
            empty("wasi:filesystem/preopens"),
            denied("wasi:filesystem/types"),
            served("wasi:io/error"),
            served("wasi:io/poll"),
            served("wasi:io/streams"),
            served("wasi:random/insecure"),
            served("wasi:random/insecure-seed"),
            served("wasi:random/random"),
            denied("wasi:sockets/instance-network"),
            denied("wasi:sockets/ip-name-lookup"),
            denied("wasi:sockets/network"),
            denied("wasi:sockets/tcp"),
            denied("wasi:sockets/tcp-create-socket"),
            denied("wasi:sockets/udp"),
            denied("wasi:sockets/udp-create-socket"),
        ]),
    },
    Release {
        family: FAMILY,
        version: Some(WASI_0_3),
        interfaces: Cow::Borrowed(&[
            empty("wasi:cli/environment"),
            served("wasi:cli/exit"),
            served("wasi:cli/stderr"),
            served("wasi:cli/stdin"),
            served("wasi:cli/stdout"),
            served("wasi:cli/terminal-input"),
            served("wasi:cli/terminal-output"),
            served("wasi:cli/terminal-stderr"),
            served("wasi:cli/terminal-stdin"),
            served("wasi:cli/terminal-stdout"),
            denied("wasi:cli/types"),
            empty("wasi:clocks/monotonic-clock"),
            denied("wasi:clocks/system-clock"),
            denied("wasi:clocks/types"),
            empty("wasi:filesystem/preopens"),
            denied("wasi:filesystem/types"),
            served("wasi:random/insecure"),
            served("wasi:random/insecure-seed"),
            served("wasi:random/random"),
            denied("wasi:sockets/ip-name-lookup"),
            denied("wasi:sockets/types"),
        ]),
    },
];

/// The capability of WASI. Its state is [`Host::wasi`].
pub(super) struct Wasi;

impl Capability for Wasi {
    fn releases(&self) -> &[Release] {
        &RELEASES
    }

    fn add_to_linker(&self, linker: &mut Linker<Host>, key: VariantKey) -> wasmtime::Result<()> {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        error_text::add_to_linker(linker)?;
        random::add_to_linker(linker, &WASI_0_2)?;
        if key.concurrent {
            wasmtime_wasi::p3::add_to_linker(linker)?;
            random::add_to_linker(linker, &WASI_0_3)?;
        }
        Ok(())
    }
}
