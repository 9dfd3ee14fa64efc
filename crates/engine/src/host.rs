//! Store data: the state behind the host functions of one instance.

use std::time::{Duration, Instant};

use crisol_core::Budget;
use crisol_wit::{Mapping, Packed};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::limits::{Limits, Meter};
use crate::outgoing::{HttpHooks, OutgoingHttp};
use crate::state::{EntrySettings, States};
use crate::ticker::Ticks;

/// Streams, files, sockets and timers that one instance may hold at a time. Each takes memory, and many a
/// file descriptor of the process; no other limit counts these.
const MAX_HANDLES: usize = 1024;

/// The outside world of an instance: its WASI context, and the settings of its entry.
#[derive(Default)]
pub struct InstanceContext {
    /// Variables, folders, sockets and standard streams. `None` stands for a context without any of them.
    wasi: Option<Box<WasiP1Ctx>>,
    settings: EntrySettings,
}

impl InstanceContext {
    /// Sets the settings of the instance's entry.
    #[must_use]
    pub fn with_settings(self, settings: EntrySettings) -> Self {
        Self { settings, ..self }
    }
}

impl From<WasiP1Ctx> for InstanceContext {
    fn from(wasi: WasiP1Ctx) -> Self {
        Box::new(wasi).into()
    }
}

impl From<Box<WasiP1Ctx>> for InstanceContext {
    fn from(wasi: Box<WasiP1Ctx>) -> Self {
        Self { wasi: Some(bounded(wasi)), settings: EntrySettings::default() }
    }
}

impl From<WasiCtx> for InstanceContext {
    fn from(context: WasiCtx) -> Self {
        let mut wasi = WasiCtx::builder().build_p1();
        *wasi.ctx().ctx = context;
        wasi.into()
    }
}

fn bounded(mut wasi: Box<WasiP1Ctx>) -> Box<WasiP1Ctx> {
    wasi.ctx().table.set_max_capacity(MAX_HANDLES);
    wasi
}

/// A core function's call in progress: its arguments, then its result.
pub(crate) struct Pending {
    pub(crate) mapping: Mapping,
    pub(crate) args: Packed,
    pub(crate) result: Option<Packed>,
}

/// State of HTTP in one instance.
struct Http {
    hooks: HttpHooks,
    context: WasiHttpCtx,
}

/// The state behind the host functions of one instance. It is moved several times for each instance, so what is large
/// or rarely needed is boxed and created on first use.
pub(crate) struct Host {
    wasi: Option<Box<WasiP1Ctx>>,
    http: Option<Box<Http>>,
    /// Settings of the instance's entry, from which the states of capabilities are created.
    pub(crate) settings: EntrySettings,
    /// States of other capabilities.
    pub(crate) states: States,
    pub(crate) meter: Meter,
    /// The stretch of guest work in progress.
    pub(crate) work: Work,
}

/// A stretch of guest work: a call, or the creation of the instance.
pub(crate) struct Work {
    pub(crate) deadline: Option<Instant>,
    /// Ticks of the clock that interrupts guests, and their count at the start.
    ticks: (Ticks, u64),
    /// Time that host functions of others took inside the guest's polls.
    pub(crate) external: Duration,
    /// A call of a core function while its arguments are lowered.
    pub(crate) pending: Option<Box<Pending>>,
}

impl Work {
    /// Returns true if the clock has ticked since the start.
    pub(crate) fn has_ticked(&self) -> bool {
        let (ticks, began) = &self.ticks;
        ticks.count() != *began
    }
}

impl Host {
    pub(crate) fn new(
        context: InstanceContext,
        limits: Limits,
        (budget, ticks): (&Budget, &Ticks),
    ) -> Self {
        let work = Work {
            deadline: None,
            ticks: (ticks.clone(), 0),
            external: Duration::ZERO,
            pending: None,
        };
        Self {
            wasi: context.wasi,
            http: None,
            settings: context.settings,
            states: States::default(),
            meter: Meter::new(limits, budget),
            work,
        }
    }

    /// Begins a stretch of guest work with a deadline.
    pub(crate) fn begin(&mut self, deadline: Option<Instant>) {
        let (ticks, began) = &mut self.work.ticks;
        *began = ticks.count();
        self.work.deadline = deadline;
        self.work.external = Duration::ZERO;
        self.meter.begin();
    }

    /// The state behind WASI, of preview 1 and later.
    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        self.wasi.get_or_insert_with(empty_context)
    }

    /// The guest's handles to resources of the host. All capabilities share the table and its bound.
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        self.wasi().ctx().table
    }

    /// Removes all folders from the guest's view.
    pub(crate) fn without_folders(&mut self) {
        if let Some(wasi) = &mut self.wasi {
            *wasi.ctx().ctx.filesystem() = WasiFilesystemCtx::default();
        }
    }
}

#[cold]
fn empty_context() -> Box<WasiP1Ctx> {
    bounded(Box::new(WasiCtx::builder().build_p1()))
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().ctx()
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Self { wasi, http, settings, .. } = self;
        let http = http.get_or_insert_with(|| {
            let hooks = HttpHooks(settings.get::<OutgoingHttp>().cloned());
            Box::new(Http { hooks, context: WasiHttpCtx::new() })
        });
        let table = wasi.get_or_insert_with(empty_context).ctx().table;
        WasiHttpCtxView { hooks: &mut http.hooks, table, ctx: &mut http.context }
    }
}
