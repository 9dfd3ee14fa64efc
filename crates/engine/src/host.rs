//! What a store carries: the state behind the host functions of one instance.

use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::NoOutgoingHttp;
use crate::limits::{Limits, Meter};

/// The state behind the host functions of one instance.
pub(crate) struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: NoOutgoingHttp,
    pub(crate) meter: Meter,
    /// When the call that runs now must be over.
    pub(crate) deadline: Option<Instant>,
}

impl Host {
    pub(crate) fn new(wasi: WasiCtx, limits: Limits) -> Self {
        Self {
            wasi,
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            outgoing: NoOutgoingHttp,
            meter: Meter::new(limits),
            deadline: None,
        }
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
