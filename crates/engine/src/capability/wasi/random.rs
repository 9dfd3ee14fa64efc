//! Random bytes for components, made in turns, between which other tasks run and the call's deadline is checked.
//! Wasmtime's functions make all bytes at once, as many as a guest asks for.

use semver::Version;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::bindings::random::{insecure, random};
use wasmtime_wasi::random::{DEFAULT_MAX_SIZE, WasiRandomCtx};

use crate::host::Host;

/// Bytes per turn; each takes a few nanoseconds.
const TURN: u64 = 64 << 10;

/// Replaces the functions of one WASI release in a linker. Beyond the bound, 0.3 returns fewer bytes, while 0.2
/// ends the guest.
pub(super) fn add_to_linker(linker: &mut Linker<Host>, version: &Version) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let is_short = (version.major, version.minor) >= (0, 3);
    let interface = format!("wasi:random/random@{version}");
    define(linker, (&interface, "get-random-bytes"), is_short, |random, len| {
        random::Host::get_random_bytes(random, len)
    })?;
    let interface = format!("wasi:random/insecure@{version}");
    define(linker, (&interface, "get-insecure-random-bytes"), is_short, |random, len| {
        insecure::Host::get_insecure_random_bytes(random, len)
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

type Source = fn(&mut WasiRandomCtx, u64) -> wasmtime::Result<Vec<u8>>;

fn define(
    linker: &mut Linker<Host>,
    (interface, function): (&str, &str),
    is_short: bool,
    source: Source,
) -> wasmtime::Result<()> {
    linker.instance(interface)?.func_wrap_async(function, move |store, (len,): (u64,)| {
        let len = if is_short { len.min(DEFAULT_MAX_SIZE) } else { len };
        Box::new(async move { Ok((bytes(store, source, len).await?,)) })
    })
}

async fn bytes(
    mut store: StoreContextMut<'_, Host>,
    source: Source,
    len: u64,
) -> wasmtime::Result<Vec<u8>> {
    if len > DEFAULT_MAX_SIZE {
        return Err(wasmtime::Error::msg(format!(
            "the guest requested {len} random bytes at once, and the limit is {DEFAULT_MAX_SIZE}"
        )));
    }
    let mut bytes = Vec::new();
    let mut left = len;
    loop {
        let turn = left.min(TURN);
        bytes.extend(source(store.data_mut().ctx().ctx.random(), turn)?);
        left -= turn;
        if left == 0 {
            return Ok(bytes);
        }
        tokio::task::yield_now().await;
    }
}
