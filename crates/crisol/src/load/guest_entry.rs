//! Common fields of entries that have a guest, independent of their kind.

use crisol_core::EntryId;
use crisol_schema::{
    Code, Function, Imports, Limits, Method, Process, SourceText, Transport, Wasi,
};

use super::code::CompileRequest;

/// Fields of an entry that has a guest.
#[derive(Clone, Copy)]
pub(crate) struct GuestEntry<'a> {
    pub(crate) id: &'a EntryId,
    pub(crate) code: &'a Code,
    pub(crate) method: &'a Method,
    pub(crate) wit: Option<&'a SourceText>,
    pub(crate) transport: &'a Transport,
    pub(crate) imports: &'a Imports,
    pub(crate) strict_imports: bool,
    pub(crate) wasi: &'a Wasi,
    pub(crate) limits: &'a Limits,
}

impl<'a> GuestEntry<'a> {
    pub(crate) fn request(&self) -> CompileRequest<'a> {
        let Self { code, wit, method, limits, .. } = *self;
        let (method, fuel) = (method.as_str(), limits.max_fuel.is_some());
        CompileRequest { code, wit, method, fuel, verified: true }
    }

    pub(crate) fn of_function(id: &'a EntryId, function: &'a Function) -> Self {
        Self {
            id,
            code: &function.code,
            method: &function.method,
            wit: function.wit.as_ref(),
            transport: &function.transport,
            imports: &function.imports,
            strict_imports: function.strict_imports,
            wasi: &function.wasi,
            limits: &function.limits,
        }
    }

    pub(crate) fn of_process(id: &'a EntryId, process: &'a Process) -> Self {
        Self {
            id,
            code: &process.code,
            method: &process.method,
            wit: process.wit.as_ref(),
            transport: &process.transport,
            imports: &process.imports,
            strict_imports: process.strict_imports,
            wasi: &process.wasi,
            limits: &process.limits,
        }
    }
}

/// Returns the entries that a guest's WASI plan depends on: variables and mounted folders. The folder of its binary is
/// not among them, since the hash identifies the binary.
pub(crate) fn depends_on(wasi: &Wasi) -> Vec<&EntryId> {
    let variables = wasi.env.iter().map(|mapping| &mapping.id);
    variables.chain(wasi.mounts.iter().map(|mount| &mount.fs)).collect()
}
