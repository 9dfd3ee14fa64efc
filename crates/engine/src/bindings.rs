//! The linker that has every interface that the host implements.

mod funcs;
mod random;
mod stream_errors;

use wasmtime::component::Linker;

use crate::config::Flavour;
use crate::host::Host;
use crate::releases::{WASI_0_2, WASI_0_3};

/// A linker with everything the host implements that `engine` can run. Building it takes a fifth of a
/// millisecond, so it is built once for an engine and copied for each function.
pub(crate) fn everything(
    engine: &wasmtime::Engine,
    flavour: Flavour,
) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    stream_errors::add_to_linker(&mut linker)?;
    random::add_to_linker(&mut linker, &WASI_0_2)?;
    funcs::add_to_linker(&mut linker)?;
    if flavour.concurrent {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        random::add_to_linker(&mut linker, &WASI_0_3)?;
    }
    Ok(linker)
}
