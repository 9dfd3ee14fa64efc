//! Functions of WASI preview 1 whose work a guest could make arbitrarily long. They work in pieces, between which
//! other tasks run and the call's deadline is checked, or they fail with the errno of POSIX.

use wasmtime::{Caller, Linker};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as served, WasiSnapshotPreview1 as _};
use wiggle::{GuestError, GuestMemory};

use super::super::memory::{bytes, parts, range, u32_at, write};
use super::MODULE;
use crate::host::Host;

/// Values of `errno`.
const INVAL: i32 = 28;
const MFILE: i32 = 33;
const NAMETOOLONG: i32 = 37;

/// Maximum bytes of a path. Systems that allow less return an error.
const LONGEST_PATH: i32 = 4096;

/// Random bytes between two turns; each takes a few nanoseconds.
const RANDOM_PIECE: u32 = 64 << 10;
/// Bytes of a file that are read or written at once, each piece on a thread that may block.
const FILE_PIECE: u32 = 256 << 10;
/// Buffers that are scanned between two turns.
const BUFFERS: u32 = 64 << 10;

/// Bytes of an `iovec`: the buffer's address, then its length.
const BUFFER: u32 = 8;
/// Bytes of an `iovec` and a count, which precede the data in the host's scratch memory.
const HEAD: u32 = 12;

/// Handles that opening a file leaves free, for the short-lived handles of reads and waits.
const SPARE_HANDLES: usize = 8;
/// Handles that a subscription takes: a timer or stream, and its pollable.
const HANDLES_OF_SUBSCRIPTION: usize = 2;

/// Defines an asynchronous function from its parameters; it rejects paths that are too long.
macro_rules! define_async {
    ($linker:ident: $($name:ident($($arg:ident: $ty:ty),*) $(path $len:ident)*;)*) => {$(
        $linker.func_wrap_async(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, Host>, ($($arg,)*): ($($ty,)*)| Box::new(async move {
                if [$($len),*].into_iter().any(is_too_long) {
                    return Ok(NAMETOOLONG);
                }
                let (mut memory, wasi) = parts(&mut caller)?;
                checked(served::$name(wasi, &mut memory, $($arg),*).await)
            }),
        )?;
    )*};
}

/// Defines a synchronous function from its parameters.
macro_rules! define {
    ($linker:ident: $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        $linker.func_wrap(
            MODULE,
            stringify!($name),
            |mut caller: Caller<'_, Host>, $($arg: $ty),*| {
                let (mut memory, wasi) = parts(&mut caller)?;
                checked(served::$name(wasi, &mut memory, $($arg),*))
            },
        )?;
    )*};
}

/// Replaces wasmtime's functions in a linker that has all of them and allows shadowing.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    define! { linker:
        clock_res_get(id: i32, into: i32);
        clock_time_get(id: i32, precision: i64, into: i32);
        fd_fdstat_set_flags(fd: i32, flags: i32);
        fd_fdstat_set_rights(fd: i32, rights: i64, inherited: i64);
    }
    define_async! { linker:
        fd_advise(fd: i32, offset: i64, len: i64, advice: i32);
        fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32);
        fd_seek(fd: i32, offset: i64, whence: i32, into: i32);
        path_create_directory(fd: i32, path: i32, len: i32) path len;
        path_filestat_get(fd: i32, flags: i32, path: i32, len: i32, into: i32) path len;
        path_filestat_set_times(
            fd: i32, flags: i32, path: i32, len: i32, atim: i64, mtim: i64, times: i32
        ) path len;
        path_link(
            fd: i32, flags: i32, path: i32, len: i32, to: i32, new: i32, new_len: i32
        ) path len path new_len;
        path_readlink(fd: i32, path: i32, len: i32, at: i32, room: i32, into: i32) path len;
        path_remove_directory(fd: i32, path: i32, len: i32) path len;
        path_rename(
            fd: i32, path: i32, len: i32, to: i32, new: i32, new_len: i32
        ) path len path new_len;
        path_symlink(path: i32, len: i32, fd: i32, new: i32, new_len: i32) path len path new_len;
        path_unlink_file(fd: i32, path: i32, len: i32) path len;
    }
    linker.func_wrap_async(MODULE, "path_open", |mut caller, args| {
        Box::new(async move { path_open(&mut caller, args).await })
    })?;
    linker.func_wrap_async(MODULE, "poll_oneoff", |mut caller, args| {
        Box::new(async move { poll_oneoff(&mut caller, args).await })
    })?;
    linker.func_wrap_async(MODULE, "random_get", |mut caller, args| {
        Box::new(async move { random_get(&mut caller, args).await })
    })?;
    buffers(linker)
}

/// Defines the functions that read and write through lists of buffers.
fn buffers(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "fd_read", |mut caller, args: (i32, i32, i32, i32)| {
        Box::new(async move {
            let (fd, list, count, into) = args;
            transfer(&mut caller, Transfer::Read { fd }, (list, count), into).await
        })
    })?;
    linker.func_wrap_async(MODULE, "fd_write", |mut caller, args: (i32, i32, i32, i32)| {
        Box::new(async move {
            let (fd, list, count, into) = args;
            transfer(&mut caller, Transfer::Write { fd }, (list, count), into).await
        })
    })?;
    linker.func_wrap_async(MODULE, "fd_pread", |mut caller, args: (i32, i32, i32, i64, i32)| {
        Box::new(async move {
            let (fd, list, count, from, into) = args;
            transfer(&mut caller, Transfer::ReadAt { fd, from }, (list, count), into).await
        })
    })?;
    linker.func_wrap_async(
        MODULE,
        "fd_pwrite",
        |mut caller, args: (i32, i32, i32, i64, i32)| {
            Box::new(async move {
                let (fd, list, count, from, into) = args;
                transfer(&mut caller, Transfer::WriteAt { fd, from }, (list, count), into).await
            })
        },
    )?;
    Ok(())
}

fn is_too_long(len: i32) -> bool {
    len.cast_unsigned() > LONGEST_PATH.cast_unsigned()
}

/// Maps an invalid argument, such as an unknown `whence`, to its errno in POSIX; wasmtime's functions end the
/// guest instead.
pub(super) fn checked(answer: wasmtime::Result<i32>) -> wasmtime::Result<i32> {
    let Err(error) = answer else { return answer };
    let mut cause = error.downcast_ref::<GuestError>();
    while let Some(GuestError::InFunc { err, .. }) = cause {
        cause = Some(&**err);
    }
    match cause {
        Some(GuestError::InvalidFlagValue(_) | GuestError::InvalidEnumValue(_)) => Ok(INVAL),
        _ => Err(error),
    }
}

/// Returns true if `wanted` handles are free.
fn has_handles(wasi: &mut WasiP1Ctx, wanted: usize) -> wasmtime::Result<bool> {
    use wasmtime_wasi::WasiView as _;

    let table = wasi.ctx().table;
    let mut free = Vec::new();
    while free.len() < wanted
        && let Ok(handle) = table.push(())
    {
        free.push(handle);
    }
    let has = free.len() == wanted;
    for handle in free {
        table.delete(handle)?;
    }
    Ok(has)
}

type PathOpen = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

/// Opens a file if handles are free, else returns an errno; wasmtime's function ends the guest instead.
async fn path_open(caller: &mut Caller<'_, Host>, args: PathOpen) -> wasmtime::Result<i32> {
    let (fd, follow, path, len, how, rights, inherited, flags, into) = args;
    if is_too_long(len) {
        return Ok(NAMETOOLONG);
    }
    let (mut memory, wasi) = parts(caller)?;
    if !has_handles(wasi, SPARE_HANDLES)? {
        return Ok(MFILE);
    }
    let memory = &mut memory;
    checked(
        served::path_open(wasi, memory, fd, follow, path, len, how, rights, inherited, flags, into)
            .await,
    )
}

/// Returns true if there are enough handles for the subscriptions; without them wasmtime's function ends the guest.
pub(super) fn has_room_for(
    caller: &mut Caller<'_, Host>,
    subscriptions: i32,
) -> wasmtime::Result<bool> {
    let (_, wasi) = parts(caller)?;
    let count = usize::try_from(subscriptions.cast_unsigned())?;
    has_handles(wasi, count.saturating_mul(HANDLES_OF_SUBSCRIPTION))
}

/// Waits for subscriptions, as `poll_oneoff`.
pub(super) async fn poll_oneoff(
    caller: &mut Caller<'_, Host>,
    (of, into, count, ready): (i32, i32, i32, i32),
) -> wasmtime::Result<i32> {
    if !has_room_for(caller, count)? {
        return Ok(INVAL);
    }
    let (mut memory, wasi) = parts(caller)?;
    checked(served::poll_oneoff(wasi, &mut memory, of, into, count, ready).await)
}

async fn random_get(caller: &mut Caller<'_, Host>, (at, len): (i32, i32)) -> wasmtime::Result<i32> {
    let (mut at, mut left) = (at.cast_unsigned(), len.cast_unsigned());
    range(bytes(caller)?, at, left)?;
    loop {
        let piece = left.min(RANDOM_PIECE);
        let (mut memory, wasi) = parts(caller)?;
        let (place, len) = (at.cast_signed(), piece.cast_signed());
        let error = served::random_get(wasi, &mut memory, place, len)?;
        (at, left) = (at.wrapping_add(piece), left - piece);
        if error != 0 || left == 0 {
            return Ok(error);
        }
        tokio::task::yield_now().await;
    }
}

/// A function that reads or writes through a list of buffers.
#[derive(Clone, Copy)]
enum Transfer {
    Read { fd: i32 },
    ReadAt { fd: i32, from: i64 },
    Write { fd: i32 },
    WriteAt { fd: i32, from: i64 },
}

impl Transfer {
    fn fd(self) -> i32 {
        match self {
            Self::Read { fd }
            | Self::ReadAt { fd, .. }
            | Self::Write { fd }
            | Self::WriteAt { fd, .. } => fd,
        }
    }

    fn is_write(self) -> bool {
        matches!(self, Self::Write { .. } | Self::WriteAt { .. })
    }

    async fn run(
        self,
        wasi: &mut WasiP1Ctx,
        memory: &mut GuestMemory<'_>,
        (list, count): (i32, i32),
        into: i32,
    ) -> wasmtime::Result<i32> {
        match self {
            Self::Read { fd } => served::fd_read(wasi, memory, fd, list, count, into).await,
            Self::Write { fd } => served::fd_write(wasi, memory, fd, list, count, into).await,
            Self::ReadAt { fd, from } => {
                served::fd_pread(wasi, memory, fd, list, count, from, into).await
            }
            Self::WriteAt { fd, from } => {
                served::fd_pwrite(wasi, memory, fd, list, count, from, into).await
            }
        }
    }

    /// The same function, `done` bytes further.
    fn after(self, done: u32) -> Self {
        match self {
            Self::WriteAt { fd, from } => {
                Self::WriteAt { fd, from: from.saturating_add(done.into()) }
            }
            Self::ReadAt { fd, from } => {
                Self::ReadAt { fd, from: from.saturating_add(done.into()) }
            }
            at_its_place => at_its_place,
        }
    }
}

/// Reads or writes the first non-empty buffer, like wasmtime does.
async fn transfer(
    caller: &mut Caller<'_, Host>,
    what: Transfer,
    list: (i32, i32),
    into: i32,
) -> wasmtime::Result<i32> {
    let (at, count) = first_buffer(caller, list).await?;
    if count > 0
        && let Some((place, len)) = large(bytes(caller)?, at)
        && is_file(caller, what.fd())?
    {
        range(bytes(caller)?, place, len)?;
        return in_pieces(caller, what, (place, len), into).await;
    }
    let (mut memory, wasi) = parts(caller)?;
    what.run(wasi, &mut memory, (at.cast_signed(), count.cast_signed()), into).await
}

/// Address and length of a buffer that is larger than a piece.
fn large(memory: &[u8], buffer: u32) -> Option<(u32, u32)> {
    let place = u32_at(memory, buffer).ok()?;
    let len = u32_at(memory, buffer.checked_add(4)?).ok()?;
    (len > FILE_PIECE).then_some((place, len))
}

/// Returns true if a descriptor is a file. Only streams have no position; they bound each turn by themselves.
fn is_file(caller: &mut Caller<'_, Host>, fd: i32) -> wasmtime::Result<bool> {
    let mut position = [0; 8];
    let mut own = GuestMemory::Unshared(&mut position);
    Ok(served::fd_tell(caller.data_mut().wasi(), &mut own, fd, 0)? == 0)
}

/// Finds the first non-empty buffer of a list: its address and 1, or 0 if all are empty.
async fn first_buffer(
    caller: &mut Caller<'_, Host>,
    (at, count): (i32, i32),
) -> wasmtime::Result<(u32, u32)> {
    let (mut at, mut left) = (at.cast_unsigned(), count.cast_unsigned());
    loop {
        let turn = left.min(BUFFERS);
        let memory = bytes(caller)?.get(at as usize..).unwrap_or_default();
        let list = memory.as_chunks::<{ BUFFER as usize }>().0.iter().take(turn as usize);
        let empty = list.take_while(|buffer| buffer.ends_with(&[0; 4])).count();
        // At most `turn`, and within memory.
        let empty = u32::try_from(empty)?;
        (at, left) = (at.wrapping_add(empty * BUFFER), left - empty);
        if empty < turn || left == 0 {
            return Ok((at, left.min(1)));
        }
        tokio::task::yield_now().await;
    }
}

/// Reads or writes a file's buffer piece by piece, through scratch memory of the host.
async fn in_pieces(
    caller: &mut Caller<'_, Host>,
    what: Transfer,
    (place, len): (u32, u32),
    into: i32,
) -> wasmtime::Result<i32> {
    let mut own = vec![0; (HEAD + FILE_PIECE) as usize];
    let mut done = 0;
    let mut error = 0;
    while done < len {
        let piece = FILE_PIECE.min(len - done);
        let place = (place + done) as usize;
        write(&mut own, 0, &HEAD.to_le_bytes())?;
        write(&mut own, 4, &piece.to_le_bytes())?;
        if what.is_write() {
            let from = range(bytes(caller)?, place as u32, piece)?;
            write(&mut own, HEAD, from)?;
        }
        let wasi = caller.data_mut().wasi();
        wasi.set_hostcall_fuel(own.len());
        let mut memory = GuestMemory::Unshared(&mut own);
        error = what.after(done).run(wasi, &mut memory, (0, 1), 8).await?;
        if error != 0 {
            break;
        }
        let moved = u32_at(&own, 8)?.min(piece);
        if !what.is_write() {
            write(bytes(caller)?, place as u32, range(&own, HEAD, moved)?)?;
        }
        done += moved;
        if moved < piece {
            break;
        }
        tokio::task::yield_now().await;
    }
    // Bytes transferred before an error count as success; the next call returns the error.
    if done == 0 && error != 0 {
        return Ok(error);
    }
    write(bytes(caller)?, into.cast_unsigned(), &done.to_le_bytes())?;
    Ok(0)
}
