//! What assembling takes of an entry that holds WebAssembly, whichever kind it is.

use crisol_core::EntryId;
use crisol_schema::{Code, Entry, Imports, Kind, Method, SourceText, Transport, Wasi};

use crate::codes::Wanted;

/// What functions and processes have in common.
pub(crate) struct Guest<'a> {
    pub(crate) id: &'a EntryId,
    pub(crate) code: &'a Code,
    pub(crate) method: &'a Method,
    pub(crate) wit: Option<&'a SourceText>,
    pub(crate) transport: &'a Transport,
    pub(crate) imports: &'a Imports,
    pub(crate) strict_imports: bool,
    pub(crate) wasi: &'a Wasi,
    pub(crate) limits: &'a crisol_schema::Limits,
}

impl<'a> Guest<'a> {
    pub(crate) fn wanted(&self) -> Wanted<'a> {
        let Self { code, wit, method, limits, .. } = *self;
        let (method, fuel) = (method.as_str(), limits.max_fuel.is_some());
        Wanted { code, wit, method, fuel, verified: true }
    }

    /// The WebAssembly that an entry holds.
    pub(crate) fn of(entry: &'a Entry) -> Option<Self> {
        match &entry.kind {
            Kind::Function(function) => Some(Self::of_function(&entry.id, function)),
            Kind::Process(process) => Some(Self::of_process(&entry.id, process)),
            _ => None,
        }
    }

    pub(crate) fn of_function(id: &'a EntryId, function: &'a crisol_schema::Function) -> Self {
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

    pub(crate) fn of_process(id: &'a EntryId, process: &'a crisol_schema::Process) -> Self {
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
