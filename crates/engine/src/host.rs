//! What a store carries: the state behind the host functions of one instance.

use std::time::{Duration, Instant};

use crisol_core::Budget;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::funcs::Funcs;
use crate::limits::{Limits, Meter};
use crate::outgoing::{Hook, Outgoing};

/// Streams, files, sockets and timers that one instance may hold at a time. Each costs memory, many a
/// file descriptor of the process, which no other limit of the guest counts.
const MAX_HANDLES: usize = 1024;

/// What an instance sees of the outside: its WASI context, and HTTP where it has that.
pub struct Surroundings {
    /// Variables, folders, sockets and standard streams.
    pub wasi: WasiCtx,
    /// By what it asks others over HTTP; without, every request is refused.
    pub outgoing: Option<Outgoing>,
}

impl From<WasiCtx> for Surroundings {
    fn from(wasi: WasiCtx) -> Self {
        Self { wasi, outgoing: None }
    }
}

/// The state behind the host functions of one instance.
pub(crate) struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Hook,
    pub(crate) meter: Meter,
    /// When the call that runs now must be over.
    pub(crate) deadline: Option<Instant>,
    /// What it may call others through; none outside of a call.
    pub(crate) funcs: Option<Funcs>,
    /// Time that others took of this call's polls.
    pub(crate) away: Duration,
}

impl Host {
    pub(crate) fn new(surroundings: Surroundings, limits: Limits, budget: &Budget) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            wasi: surroundings.wasi,
            table,
            http: WasiHttpCtx::new(),
            outgoing: Hook(surroundings.outgoing),
            meter: Meter::new(limits, budget),
            deadline: None,
            funcs: None,
            away: Duration::ZERO,
        }
    }

    /// Why a stream failed.
    pub(crate) fn stream_error(
        &self,
        error: &Resource<wasmtime::Error>,
    ) -> Result<&wasmtime::Error, ResourceTableError> {
        self.table.get(error)
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}
