//! Text of a failed stream's error for guests of WASI 0.2. Wasmtime's own function is replaced, since its text includes
//! the host's backtrace with build paths if `RUST_BACKTRACE` is set.

use std::fmt::Write as _;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};

use super::WASI_0_2;
use crate::host::Host;

/// Replaces the function in a linker that has all of WASI 0.2.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker
        .instance(&format!("wasi:io/error@{WASI_0_2}"))?
        .func_wrap("[method]error.to-debug-string", to_debug_string)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn to_debug_string(
    mut store: StoreContextMut<'_, Host>,
    (error,): (Resource<wasmtime::Error>,),
) -> wasmtime::Result<(String,)> {
    let mut text = String::new();
    for (depth, cause) in store.data_mut().table().get(&error)?.chain().enumerate() {
        let before = if depth == 0 { "" } else { ": " };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}{cause}");
    }
    Ok((text,))
}
