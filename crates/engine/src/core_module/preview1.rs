//! WASI preview 1, granted by the corresponding interfaces of WASI 0.2.
//!
//! Without a grant the rule of `Ungranted` holds: output goes to the log, random numbers are served, arguments,
//! variables and folders are empty, the monotonic clock stands still, and the rest fails the call.

mod bounds;

use wasmtime::{Caller, Linker};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1::{self, wasi_snapshot_preview1 as served};

use super::interface;
use super::memory::{bytes, parts, range, u32_at, write};
use crate::denied::Denial;
use crate::host::Host;
use crate::imports::{CoreImport, Grants, Import};

/// Module name of the imports.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

const ENVIRONMENT: &str = "wasi:cli/environment";
const MONOTONIC: &str = "wasi:clocks/monotonic-clock";
const WALL: &str = "wasi:clocks/wall-clock";
const PREOPENS: &str = "wasi:filesystem/preopens";
const FILES: &str = "wasi:filesystem/types";

/// Functions by the interface that grants them.
const SERVED: &[(&str, &[&str])] = &[
    (ENVIRONMENT, &["args_get", "args_sizes_get", "environ_get", "environ_sizes_get"]),
    ("wasi:cli/exit", &["proc_exit"]),
    ("wasi:cli/stdin", &["fd_read"]),
    ("wasi:cli/stdout", &["fd_write"]),
    ("wasi:cli/stderr", &["fd_write"]),
    (MONOTONIC, &["clock_res_get", "clock_time_get", "poll_oneoff"]),
    (WALL, &["clock_res_get", "clock_time_get", "poll_oneoff"]),
    (PREOPENS, DESCRIPTORS),
    (FILES, DESCRIPTORS),
    ("wasi:io/poll", &["poll_oneoff"]),
    ("wasi:io/streams", &["fd_read", "fd_write"]),
    ("wasi:random/random", &["random_get"]),
];

/// Functions of files and folders; some also work on the standard streams.
const DESCRIPTORS: &[&str] = &[
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
];

/// Functions that need no grant, and that no grant changes.
const FREE: &[&str] =
    &["proc_raise", "sched_yield", "sock_accept", "sock_recv", "sock_send", "sock_shutdown"];

/// Values of `errno`.
const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOTSOCK: i32 = 57;
const NOTSUP: i32 = 58;

/// Clock ids.
const REALTIME: i32 = 0;
const MONOTONIC_CLOCK: i32 = 1;

/// Returns true if WASI preview 1 has a function of that name.
pub(super) fn has(name: &str) -> bool {
    FREE.contains(&name) || SERVED.iter().any(|(_, functions)| functions.contains(&name))
}

/// Returns true if a function passes values through memory, or wasmtime requires a memory anyway.
pub(super) fn needs_memory(name: &str) -> bool {
    has(name) && !["proc_exit", "proc_raise", "sched_yield"].contains(&name)
}

/// Imported functions, grouped by the interface that grants them.
pub(super) fn imports(functions: &[&str], grants: &Grants) -> Vec<Import> {
    let mut imports = Vec::new();
    for (name, all) in SERVED {
        let used = functions.iter().filter(|function| all.contains(*function));
        let used: Vec<String> = used.map(|function| (*function).to_owned()).collect();
        if used.is_empty() {
            continue;
        }
        let fails = |function: &&String| failing(function, grants) == Some(*name);
        imports.push(Import {
            name: MODULE.to_owned(),
            interface: interface(name),
            granted: grants.contains(name),
            denied: used.iter().filter(fails).cloned().collect(),
            missing: Vec::new(),
            core: Some(CoreImport { functions: used, unknown: None }),
        });
    }
    imports
}

/// The interface whose missing grant makes some or all calls of a function fail.
fn failing(function: &str, grants: &Grants) -> Option<&'static str> {
    let lacks = |interface: &'static str| (!grants.contains(interface)).then_some(interface);
    match function {
        "clock_res_get" | "clock_time_get" => lacks(WALL),
        "poll_oneoff" => lacks(MONOTONIC).or_else(|| lacks(WALL)),
        _ => without_files(function, grants),
    }
}

/// The interface whose missing grant makes every call of a function fail. Without folders the guest has no
/// descriptor to call it on.
fn without_files(function: &str, grants: &Grants) -> Option<&'static str> {
    let of_files = function.starts_with("path_") || function == "fd_readdir";
    (of_files && has_folders(grants) && !grants.contains(FILES)).then_some(FILES)
}

/// Returns true if a guest may see the folders of its entry.
pub(crate) fn has_folders(grants: &Grants) -> bool {
    grants.contains(PREOPENS)
}

/// The denial of a function that fails every call.
pub(super) fn denied(function: &str, grants: &Grants) -> Option<Denial> {
    without_files(function, grants).map(|interface| denial(function, interface))
}

fn denial(function: &str, interface: &'static str) -> Denial {
    let (of, function) = (MODULE.to_owned(), function.to_owned());
    Denial { interface: of, function, offered: true, grant: Some(interface), reason: None }
}

/// Defines every function as if granted.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p1::add_to_linker_async(linker, Host::wasi)?;
    linker.allow_shadowing(true);
    // Every exit code is allowed; wasmtime's function accepts only codes below 126.
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(I32Exit(code).into())
    })?;
    linker.func_wrap(MODULE, "proc_raise", |_signal: i32| NOTSUP)?;
    linker.func_wrap(MODULE, "sched_yield", || 0_i32)?;
    bounds::add_to_linker(linker)?;
    sockets(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Defines the socket functions: there are no sockets. Wasmtime's functions also fail, but log each call.
fn sockets(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "sock_accept", |mut caller, (fd, _, _): (i32, i32, i32)| {
        Box::new(async move { no_socket(&mut caller, fd).await })
    })?;
    linker.func_wrap_async(
        MODULE,
        "sock_recv",
        |mut caller, (fd, _, _, _, _, _): (i32, i32, i32, i32, i32, i32)| {
            Box::new(async move { no_socket(&mut caller, fd).await })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_send",
        |mut caller, (fd, _, _, _, _): (i32, i32, i32, i32, i32)| {
            Box::new(async move { no_socket(&mut caller, fd).await })
        },
    )?;
    linker.func_wrap_async(MODULE, "sock_shutdown", |mut caller, (fd, _): (i32, i32)| {
        Box::new(async move { no_socket(&mut caller, fd).await })
    })?;
    Ok(())
}

async fn no_socket(caller: &mut Caller<'_, Host>, fd: i32) -> wasmtime::Result<i32> {
    let (mut memory, wasi) = parts(caller)?;
    // Renumbering a descriptor to itself only checks that it exists.
    match served::fd_renumber(wasi, &mut memory, fd, fd).await? {
        0 => Ok(NOTSOCK),
        error => Ok(error),
    }
}

/// Redefines functions that serve some calls without a grant, where `grants` lacks that grant.
pub(super) fn restrict(linker: &mut Linker<Host>, grants: &Grants) -> wasmtime::Result<()> {
    if !grants.contains(ENVIRONMENT) {
        for (sizes, get) in [("args_sizes_get", "args_get"), ("environ_sizes_get", "environ_get")] {
            linker.func_wrap(MODULE, sizes, none)?;
            linker.func_wrap(MODULE, get, |_: i32, _: i32| 0_i32)?;
        }
    }
    let clocks = Clocks { wall: grants.contains(WALL), monotonic: grants.contains(MONOTONIC) };
    if !clocks.wall || !clocks.monotonic {
        clocks.restrict(linker)?;
    }
    Ok(())
}

/// Sizes of an empty list: no items, no bytes.
fn none(mut caller: Caller<'_, Host>, items: i32, size: i32) -> wasmtime::Result<i32> {
    let memory = bytes(&mut caller)?;
    for at in [items, size] {
        write(memory, at.cast_unsigned(), &[0; 4])?;
    }
    Ok(0)
}

/// The granted clocks.
#[derive(Clone, Copy)]
struct Clocks {
    wall: bool,
    monotonic: bool,
}

impl Clocks {
    fn restrict(self, linker: &mut Linker<Host>) -> wasmtime::Result<()> {
        linker.func_wrap(
            MODULE,
            "clock_res_get",
            move |mut caller: Caller<'_, Host>, id: i32, into: i32| {
                self.read(&mut caller, "clock_res_get", id, into, |caller| {
                    let (mut memory, wasi) = parts(caller)?;
                    served::clock_res_get(wasi, &mut memory, id, into)
                })
            },
        )?;
        linker.func_wrap(
            MODULE,
            "clock_time_get",
            move |mut caller: Caller<'_, Host>, id: i32, precision: i64, into: i32| {
                self.read(&mut caller, "clock_time_get", id, into, |caller| {
                    let (mut memory, wasi) = parts(caller)?;
                    served::clock_time_get(wasi, &mut memory, id, precision, into)
                })
            },
        )?;
        linker.func_wrap_async(
            MODULE,
            "poll_oneoff",
            move |mut caller, (of, into, count, ready): (i32, i32, i32, i32)| {
                Box::new(async move {
                    if !bounds::has_room_for(&mut caller, count)? {
                        return Ok(INVAL);
                    }
                    let waited = subscriptions(bytes(&mut caller)?, of, count)?;
                    if let Some(lacking) = self.lacking(waited) {
                        return Err(wasmtime::Error::new(denial("poll_oneoff", lacking)));
                    }
                    bounds::poll_oneoff(&mut caller, (of, into, count, ready)).await
                })
            },
        )?;
        Ok(())
    }

    /// Reads a clock by its id. Without a grant the monotonic clock stands at 0, and the wall clock fails the call.
    fn read(
        self,
        caller: &mut Caller<'_, Host>,
        function: &str,
        id: i32,
        into: i32,
        granted: impl FnOnce(&mut Caller<'_, Host>) -> wasmtime::Result<i32>,
    ) -> wasmtime::Result<i32> {
        match id {
            REALTIME if !self.wall => Err(wasmtime::Error::new(denial(function, WALL))),
            MONOTONIC_CLOCK if !self.monotonic => {
                write(bytes(caller)?, into.cast_unsigned(), &[0; 8])?;
                Ok(0)
            }
            REALTIME | MONOTONIC_CLOCK => granted(caller),
            _ => Ok(BADF),
        }
    }

    /// The interface that waiting requires and that is not granted.
    fn lacking(self, waited: Waited) -> Option<&'static str> {
        match waited {
            Waited { clock: true, .. } if !self.monotonic => Some(MONOTONIC),
            Waited { date: true, .. } if !self.wall => Some(WALL),
            _ => None,
        }
    }
}

/// Kinds of time that a guest waits for.
#[derive(Default)]
struct Waited {
    /// Time that passes.
    clock: bool,
    /// A moment of the wall clock.
    date: bool,
}

/// Scans the subscriptions in memory: 48 bytes each, with a tag at 8, the clock at 16 and flags at 40.
fn subscriptions(memory: &[u8], of: i32, count: i32) -> wasmtime::Result<Waited> {
    const SIZE: u32 = 48;
    const CLOCK: u8 = 0;
    const ABSOLUTE: u32 = 1;
    let mut waited = Waited::default();
    let size = count.cast_unsigned().saturating_mul(SIZE);
    for subscription in range(memory, of.cast_unsigned(), size)?.chunks_exact(SIZE as usize) {
        if subscription.get(8) != Some(&CLOCK) {
            continue;
        }
        waited.clock = true;
        let is_wall = u32_at(subscription, 16)? == REALTIME.cast_unsigned();
        waited.date |= is_wall && u32_at(subscription, 40)? & ABSOLUTE != 0;
    }
    Ok(waited)
}
