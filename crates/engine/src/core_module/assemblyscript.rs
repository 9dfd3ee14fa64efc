//! Functions of `env` that AssemblyScript imports: `abort`, `seed` and `trace`.

use crisol_core::{printable, shorten};
use wasmtime::{Caller, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as served;
use wiggle::GuestMemory;

use super::ENV;
use super::memory::{bytes, range, u32_at};
use crate::host::Host;

/// Maximum characters of a message and of a file name that are reported.
const LONGEST_MESSAGE: usize = 1_000;
const LONGEST_FILE: usize = 200;

/// File descriptor of the standard error stream.
const STDERR: i32 = 2;

/// Error for a program that called `abort`.
#[derive(Debug, thiserror::Error)]
#[error("abort: {}", .0)]
struct Aborted(String);

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(ENV, "abort", abort)?;
    linker.func_wrap_async(ENV, "seed", |mut caller: Caller<'_, Host>, (): ()| {
        Box::new(async move { seed(&mut caller) })
    })?;
    linker.func_wrap_async(
        ENV,
        "trace",
        |mut caller, (text, count, a, b, c, d, e): (i32, i32, f64, f64, f64, f64, f64)| {
            Box::new(async move { trace(&mut caller, text, count, [a, b, c, d, e]).await })
        },
    )?;
    Ok(())
}

/// Ends the call with the message and the source position.
fn abort(
    mut caller: Caller<'_, Host>,
    message: i32,
    file: i32,
    line: i32,
    column: i32,
) -> wasmtime::Result<()> {
    // Without memory there are no strings to read.
    let memory = bytes(&mut caller).map(|bytes| &*bytes).unwrap_or_default();
    let message = text(memory, message, LONGEST_MESSAGE).unwrap_or_else(|| "no message".to_owned());
    let file = text(memory, file, LONGEST_FILE);
    let (line, column) = (line.cast_unsigned(), column.cast_unsigned());
    let place = file.map(|file| format!(" at {file}:{line}:{column}")).unwrap_or_default();
    Err(wasmtime::Error::new(Aborted(format!("{message}{place}"))))
}

/// Reads an AssemblyScript string: UTF-16, preceded by its length in bytes. `None` if there is none.
fn text(memory: &[u8], at: i32, longest: usize) -> Option<String> {
    let at = at.cast_unsigned();
    let len = u32_at(memory, at.checked_sub(4)?).ok().filter(|_| at != 0)?;
    // Reads only the reported part: a character takes up to four bytes.
    let len = len.min(u32::try_from(4 * (longest + 1)).ok()?);
    let units = range(memory, at, len).ok()?.as_chunks().0;
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let text = String::from_utf16_lossy(&units);
    (!text.is_empty()).then(|| shorten(&printable(&text), longest).into_owned())
}

/// A random seed for the guest's generator.
fn seed(caller: &mut Caller<'_, Host>) -> wasmtime::Result<f64> {
    let mut random = [0; 8];
    let mut memory = GuestMemory::Unshared(&mut random);
    served::random_get(caller.data_mut().wasi(), &mut memory, 0, 8)?;
    // A float keeps 53 bits.
    Ok((u64::from_le_bytes(random) >> 11) as f64)
}

/// Writes a line to the standard error stream.
async fn trace(
    caller: &mut Caller<'_, Host>,
    message: i32,
    count: i32,
    values: [f64; 5],
) -> wasmtime::Result<()> {
    let memory = bytes(caller).map(|bytes| &*bytes).unwrap_or_default();
    let message = text(memory, message, LONGEST_MESSAGE).unwrap_or_default();
    let shown = values.iter().take(usize::try_from(count).unwrap_or(0)).map(f64::to_string);
    let line = format!("trace: {message} {}", shown.collect::<Vec<_>>().join(", "));
    let line = format!("{}\n", line.trim_end());
    // Laid out like a guest's call: an `iovec` of 8 bytes, room for the count, the line.
    let mut buffer =
        [12_u32, u32::try_from(line.len()).unwrap_or(0), 0].map(u32::to_le_bytes).concat();
    buffer.extend_from_slice(line.as_bytes());
    let mut memory = GuestMemory::Unshared(&mut buffer);
    let wasi = caller.data_mut().wasi();
    wasi_fuel(wasi);
    served::fd_write(wasi, &mut memory, STDERR, 0, 1, 8).await?;
    Ok(())
}

/// Sets the fuel for a write whose size is already bounded.
fn wasi_fuel(wasi: &mut wasmtime_wasi::p1::WasiP1Ctx) {
    use served::WasiSnapshotPreview1 as _;
    wasi.set_hostcall_fuel(1 << 16);
}
