//! The linker with all interfaces that the host implements.

mod funcs;
mod random;
mod stream_errors;

use wasmtime::component::Linker;

use crate::config::VariantKey;
use crate::host::Host;
use crate::releases::{WASI_0_2, WASI_0_3};

/// Builds a linker with all interfaces that the host implements and `engine` can run. This takes a fifth of a
/// millisecond, so it is built once per engine and cloned for each function.
pub(crate) fn everything(
    engine: &wasmtime::Engine,
    key: VariantKey,
) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    stream_errors::add_to_linker(&mut linker)?;
    random::add_to_linker(&mut linker, &WASI_0_2)?;
    funcs::add_to_linker(&mut linker)?;
    if key.concurrent {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        random::add_to_linker(&mut linker, &WASI_0_3)?;
    }
    Ok(linker)
}
