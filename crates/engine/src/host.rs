//! Store data: the state behind the host functions of one instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol_core::{Budget, CallContext, Invoke};
use crisol_wit::{Mapping, Packed};
use wasmtime::component::{Resource, ResourceTableError};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::limits::{Limits, Meter};
use crate::outgoing::{HttpHooks, OutgoingHttp};
use crate::ticker::Ticks;

/// Streams, files, sockets and timers that one instance may hold at a time. Each takes memory, and many a
/// file descriptor of the process; no other limit counts these.
const MAX_HANDLES: usize = 1024;

/// The outside world of an instance: its WASI context and its outgoing HTTP.
pub struct InstanceContext {
    /// Variables, folders, sockets and standard streams, for guests of every WASI.
    pub wasi: WasiP1Ctx,
    /// Outgoing HTTP; with `None` every request is refused.
    pub outgoing: Option<OutgoingHttp>,
}

impl From<WasiP1Ctx> for InstanceContext {
    fn from(wasi: WasiP1Ctx) -> Self {
        Self { wasi, outgoing: None }
    }
}

impl From<WasiCtx> for InstanceContext {
    fn from(context: WasiCtx) -> Self {
        let mut wasi = WasiCtx::builder().build_p1();
        *wasi.ctx().ctx = context;
        wasi.into()
    }
}

/// Access to other functions for a guest while it serves a call.
#[derive(Clone)]
pub struct Funcs {
    /// The invoker of the calls.
    pub invoke: Arc<dyn Invoke>,
    /// The context of each call, nested in the call that is being served.
    pub context: CallContext,
}

/// A core function's call in progress: its arguments, then its result.
pub(crate) struct Pending {
    pub(crate) mapping: Mapping,
    pub(crate) args: Packed,
    pub(crate) result: Option<Packed>,
}

/// The state behind the host functions of one instance.
pub(crate) struct Host {
    wasi: WasiP1Ctx,
    http: WasiHttpCtx,
    outgoing: HttpHooks,
    pub(crate) meter: Meter,
    /// Deadline of the current call.
    pub(crate) deadline: Option<Instant>,
    /// Ticks of the clock that interrupts guests, and their count at the start of the call.
    ticks: (Ticks, u64),
    /// Access to other functions; `None` outside of a call.
    pub(crate) funcs: Option<Funcs>,
    /// Time that other functions took inside this call's polls.
    pub(crate) away: Duration,
    /// A call of a core function while its arguments are lowered.
    pub(crate) pending: Option<Pending>,
}

impl Host {
    pub(crate) fn new(
        context: InstanceContext,
        limits: Limits,
        (budget, ticks): (&Budget, &Ticks),
    ) -> Self {
        let mut wasi = context.wasi;
        wasi.ctx().table.set_max_capacity(MAX_HANDLES);
        Self {
            wasi,
            http: WasiHttpCtx::new(),
            outgoing: HttpHooks(context.outgoing),
            meter: Meter::new(limits, budget),
            deadline: None,
            ticks: (ticks.clone(), 0),
            funcs: None,
            away: Duration::ZERO,
            pending: None,
        }
    }

    /// Begins a stretch of guest work with a deadline.
    pub(crate) fn begin(&mut self, deadline: Option<Instant>) {
        let (ticks, began) = &mut self.ticks;
        *began = ticks.count();
        self.deadline = deadline;
        self.away = Duration::ZERO;
        self.meter.begin();
    }

    /// Returns true if the clock has ticked since [`Host::begin`].
    pub(crate) fn has_ticked(&self) -> bool {
        let (ticks, began) = &self.ticks;
        ticks.count() != *began
    }

    /// The state behind WASI preview 1.
    pub(crate) fn preview1(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    /// Removes all folders from the guest's view.
    pub(crate) fn without_folders(&mut self) {
        *self.wasi.ctx().ctx.filesystem() = WasiFilesystemCtx::default();
    }

    /// The error with which a stream failed.
    pub(crate) fn stream_error(
        &mut self,
        error: &Resource<wasmtime::Error>,
    ) -> Result<&wasmtime::Error, ResourceTableError> {
        self.wasi.ctx().table.get(error)
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let table = self.wasi.ctx().table;
        WasiHttpCtxView { hooks: &mut self.outgoing, table, ctx: &mut self.http }
    }
}
