//! Access of host functions to the memory of the calling module.

use wasmtime::{Caller, Extern};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::GuestMemory;

use crate::host::Host;

/// The name of the memory export in WASI preview 1.
const MEMORY: &str = "memory";

/// Error for a module that calls a function that needs memory, but exports none.
#[derive(Debug, thiserror::Error)]
#[error("the module does not export its memory as `memory`")]
pub(super) struct NoMemory;

/// Error for an address outside of memory.
#[derive(Debug, thiserror::Error)]
#[error("the guest passed an address outside its memory")]
pub(super) struct OutOfBounds;

/// Memory and state of WASI preview 1, ready for one of its functions.
pub(super) fn parts<'a>(
    caller: &'a mut Caller<'_, Host>,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut WasiP1Ctx)> {
    let Some(Extern::Memory(memory)) = caller.get_export(MEMORY) else {
        return Err(wasmtime::Error::new(NoMemory));
    };
    let fuel = wasmtime::AsContextMut::as_context_mut(caller).hostcall_fuel();
    let (bytes, host) = memory.data_and_store_mut(&mut *caller);
    let wasi = host.wasi();
    wasi.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(bytes), wasi))
}

/// The bytes of the memory.
pub(super) fn bytes<'a>(caller: &'a mut Caller<'_, Host>) -> wasmtime::Result<&'a mut [u8]> {
    match caller.get_export(MEMORY) {
        Some(Extern::Memory(memory)) => Ok(memory.data_mut(&mut *caller)),
        _ => Err(wasmtime::Error::new(NoMemory)),
    }
}

/// `len` bytes at `at`.
pub(super) fn range(bytes: &[u8], at: u32, len: u32) -> wasmtime::Result<&[u8]> {
    let start = at as usize;
    let found = start.checked_add(len as usize).and_then(|end| bytes.get(start..end));
    found.ok_or_else(|| wasmtime::Error::new(OutOfBounds))
}

/// Writes bytes at `at`.
pub(super) fn write(bytes: &mut [u8], at: u32, what: &[u8]) -> wasmtime::Result<()> {
    let start = at as usize;
    let end = start.checked_add(what.len());
    let place = end.and_then(|end| bytes.get_mut(start..end));
    place.ok_or_else(|| wasmtime::Error::new(OutOfBounds))?.copy_from_slice(what);
    Ok(())
}

/// The little-endian `u32` at `at`.
pub(super) fn u32_at(bytes: &[u8], at: u32) -> wasmtime::Result<u32> {
    let found = range(bytes, at, 4)?.first_chunk().copied();
    found.map(u32::from_le_bytes).ok_or_else(|| wasmtime::Error::new(OutOfBounds))
}
