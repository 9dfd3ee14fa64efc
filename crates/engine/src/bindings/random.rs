//! Random bytes for components, as many as a guest asks for: made in turns, between which other tasks run and the deadline of
//! the call is looked at. Wasmtime's functions make all of them at once.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::bindings::random::{insecure, random};
use wasmtime_wasi::random::{DEFAULT_MAX_SIZE, WasiRandomCtx};

use crate::host::Host;
use crate::releases::definition_of;

/// Bytes between two turns: each takes a few nanoseconds.
const TURN: u64 = 64 << 10;

/// Takes the place of the functions in a linker that has those of one release of WASI; `release` is any version of it.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>, release: &str) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    define(linker, &format!("wasi:random/random@{release}"), "get-random-bytes", |random, len| {
        random::Host::get_random_bytes(random, len)
    })?;
    let interface = format!("wasi:random/insecure@{release}");
    define(linker, &interface, "get-insecure-random-bytes", |random, len| {
        insecure::Host::get_insecure_random_bytes(random, len)
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

type Source = fn(&mut WasiRandomCtx, u64) -> wasmtime::Result<Vec<u8>>;

fn define(
    linker: &mut Linker<Host>,
    interface: &str,
    function: &str,
    source: Source,
) -> wasmtime::Result<()> {
    let defined = definition_of(interface);
    // 0.3 gives no more than the bound, where 0.2 ends the guest.
    let is_short = interface.contains("@0.3");
    linker.instance(defined.as_deref().unwrap_or(interface))?.func_wrap_async(
        function,
        move |store, (len,): (u64,)| {
            let len = if is_short { len.min(DEFAULT_MAX_SIZE) } else { len };
            Box::new(async move { Ok((bytes(store, source, len).await?,)) })
        },
    )
}

async fn bytes(
    mut store: StoreContextMut<'_, Host>,
    source: Source,
    len: u64,
) -> wasmtime::Result<Vec<u8>> {
    if len > DEFAULT_MAX_SIZE {
        return Err(wasmtime::Error::msg(format!(
            "the guest asks for {len} random bytes at once, and {DEFAULT_MAX_SIZE} are the most"
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
