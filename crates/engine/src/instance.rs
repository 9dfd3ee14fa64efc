//! An instance: created with a WASI context, called within a deadline, dropped.
//!
//! This is the one place that creates a `wasmtime::Store`.
//!
//! Dropping an instance frees it, at any time, even while a call on it is suspended. A failure costs the
//! instance: after any `Err` the state of its memory is unknown, so a further call is refused.

mod callee;

use std::pin::pin;
use std::time::Instant;

use crisol_wit::{Mapping, Packed};
use wasmtime::component::Val;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::capability::{Funcs, LentFuncs};
use crate::core_module;
use crate::failure::{DeadlinePassed, Failure, is_success};
use crate::host::{Host, InstanceContext};
use crate::limits::Limits;
use crate::link::{CalleePre, FunctionPre};
use crate::output::success;
use crate::placement::Placement;
use crate::poll_timer::{Aborted, PollTimer, has_passed, until, until_since};
use crate::pre_cache::{Pre, ShardPre};
use crate::shards::TakenSlots;

use callee::Callee;

/// Epoch ticks that a guest runs before it yields to other tasks.
const TICKS_PER_TURN: u64 = 1;

/// An instance of a linked function, ready to be called.
pub struct Instance {
    pub(crate) store: Store<Host>,
    /// Freed after the store.
    _taken: TakenSlots,
    pub(crate) callee: Callee,
    /// `None` for an HTTP handler.
    mapping: Option<Mapping>,
    runs_once: bool,
    calls: u64,
    unusable: bool,
}

impl FunctionPre {
    /// Creates an instance: memory, tables, start functions. `context` is the guest's whole view of the
    /// outside; a bare WASI context means no outgoing HTTP.
    ///
    /// # Errors
    /// Fails when a start function fails or does not return by `deadline`, a memory is larger than `limits`
    /// allow, no slot is free, or the memory of all instances is used up.
    pub fn instantiate(
        &self,
        context: impl Into<InstanceContext>,
        limits: Limits,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Instance, Failure>> + Send {
        let inner = &self.0;
        let placement = Placement::choose(&inner.shared, &inner.callee);
        let store = store(placement.shard, context, limits, deadline);
        make(store, placement, inner.runs_once, deadline)
    }
}

/// Creates the store of an instance, outside of the future that creates the instance: its data is large and
/// would be copied at each level of nested futures.
pub(crate) fn store(
    shard: &ShardPre,
    context: impl Into<InstanceContext>,
    limits: Limits,
    deadline: Option<Instant>,
) -> Result<Occupied, Failure> {
    let ShardPre { pre, budget, ticks, .. } = shard;
    let taken = shard.take_slots();
    let host = Host::new(context.into(), limits, (budget, ticks));
    #[expect(clippy::disallowed_methods, reason = "the one place that creates a store")]
    let mut store = Store::new(pre.engine(), host);
    if let Pre::Module { has_folders: false, .. } = pre {
        store.data_mut().without_folders();
    }
    store.limiter(|host| &mut host.meter);
    store.epoch_deadline_callback(on_epoch_tick);
    store.set_hostcall_fuel(transfer_limit(&limits));
    if store.concurrent_resource_table().is_some() {
        store.set_max_component_handles(MAX_WAITABLES);
    }
    begin(&mut store, deadline)?;
    Ok((store, taken))
}

/// A store and the slots that its instance takes.
type Occupied = (Store<Host>, TakenSlots);

/// See [`FunctionPre::instantiate`].
pub(crate) async fn make(
    store: Result<Occupied, Failure>,
    placement: Placement<'_>,
    runs_once: bool,
    deadline: Option<Instant>,
) -> Result<Instance, Failure> {
    let (mut store, taken) = store?;
    let (made, timer) = {
        let making = pin!(instantiate(&mut store, placement));
        until(deadline, making).await
    };
    let made = made.map_err(|why| Failure::aborted(why, &timer))?;
    let callee =
        made.map_err(|error| Failure::of_instantiation(error, &store.data().meter, timer.times()))?;
    let callee = callee
        .ok_or_else(|| Failure::Host(wasmtime::Error::msg("the export is not a function")))?;
    let mapping = placement.callee.mapping.clone();
    Ok(Instance { store, _taken: taken, callee, mapping, runs_once, calls: 0, unusable: false })
}

/// Instantiates the code and resolves the callee, start functions and initializers included.
async fn instantiate(
    store: &mut Store<Host>,
    placement: Placement<'_>,
) -> wasmtime::Result<Option<Callee>> {
    let mapping = placement.callee.mapping.as_ref();
    match (&placement.shard.pre, &placement.callee.pre) {
        (Pre::Component(pre), CalleePre::Component { index }) => {
            let instance = pre.instantiate_async(&mut *store).await?;
            let func = instance.get_func(&mut *store, index);
            Ok(func.map(|func| Callee::component_function(store, func, mapping)))
        }
        (Pre::Module { pre, .. }, CalleePre::Core(target)) => {
            let instance = pre.instantiate_async(&mut *store).await?;
            core_module::initialize(store, &instance, target).await?;
            let Some(mapping) = mapping else { return Ok(None) };
            let callee = core_module::Callee::new(store, &instance, (target, mapping));
            Ok(callee.map(Callee::Core))
        }
        _ => Ok(None),
    }
}

impl Instance {
    /// Calls the function with wasmtime values, one per parameter. The result is `None` for a function without
    /// one.
    ///
    /// # Errors
    /// Fails like [`Instance::call_since`].
    pub async fn call(
        &mut self,
        args: &[Val],
        deadline: Option<Instant>,
    ) -> Result<Option<Val>, Failure> {
        let mapping = self.mapping()?.clone();
        let foreign = || Failure::Host(wasmtime::Error::msg("the arguments are not of its types"));
        let args = mapping.pack_args(args).ok_or_else(foreign)?;
        let began = tokio::time::Instant::now().into_std();
        let result = self.call_since(began, args, deadline).await?;
        Ok(result.and_then(|result| mapping.unpack_result(&result)))
    }

    /// Calls the function with arguments that its mapping lowered, and returns a result for its mapping to lift.
    /// `began` is the current time, supplied by the caller because reading the clock is a large part of a small
    /// call.
    ///
    /// # Errors
    /// Fails when the guest traps, exits, calls a function that it was not granted, exceeds a limit, or does not
    /// return by `deadline`.
    pub async fn call_since(
        &mut self,
        began: Instant,
        args: Packed,
        deadline: Option<Instant>,
    ) -> Result<Option<Packed>, Failure> {
        self.begin(deadline)?;
        let mapping = self.mapping.as_ref().ok_or_else(no_function)?;
        let (called, timer) = {
            let calling = pin!(self.callee.call(&mut self.store, mapping, args));
            until_since(began.into(), deadline, calling).await
        };
        let called = called.map(|called| match called {
            // A program that exits with 0 succeeds, like one that returns.
            Err(error) if self.runs_once && is_success(&error) => Ok(success(mapping)),
            called => called,
        });
        let result = ended(called, &self.store, timer)?;
        self.end();
        self.unusable = self.runs_once;
        Ok(result)
    }

    fn mapping(&self) -> Result<&Mapping, Failure> {
        self.mapping.as_ref().ok_or_else(no_function)
    }

    /// Begins a call. The instance's state is unknown until [`Instance::end`].
    pub(crate) fn begin(&mut self, deadline: Option<Instant>) -> Result<(), Failure> {
        if std::mem::replace(&mut self.unusable, true) {
            return Err(Failure::Host(wasmtime::Error::msg(
                "the instance ended in an earlier call",
            )));
        }
        self.calls += 1;
        begin(&mut self.store, deadline)
    }

    /// Gives the guest access to other functions during the next call only. Without it, calls through `funcs`
    /// fail as unavailable.
    pub fn lend(&mut self, funcs: Funcs) {
        let host = self.store.data_mut();
        // A state of this type has no settings to fail on.
        if let Ok(lent) = host.states.get_or_create::<LentFuncs>(&host.settings) {
            lent.0 = Some(funcs);
        }
    }

    /// Ends a successful call.
    pub(crate) fn end(&mut self) {
        if let Some(lent) = self.store.data_mut().states.get_mut::<LentFuncs>() {
            lent.0 = None;
        }
        self.unusable = false;
    }

    /// Number of calls so far, including failed ones.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("calls", &self.calls).finish_non_exhaustive()
    }
}

#[cold]
fn no_function() -> Failure {
    Failure::Host(wasmtime::Error::msg("an HTTP handler is not a function"))
}

/// Prepares a store for a stretch of guest work.
fn begin(store: &mut Store<Host>, deadline: Option<Instant>) -> Result<(), Failure> {
    store.data_mut().begin(deadline);
    store.set_epoch_deadline(TICKS_PER_TURN);
    if let Some(fuel) = store.data().meter.limits().max_fuel {
        store.set_fuel(fuel).map_err(Failure::Host)?;
    }
    Ok(())
}

/// Epoch callback, after each tick of guest computation: ends a guest past its deadline, else yields to other
/// tasks.
///
/// The guest must yield through tokio's own yield, after which the scheduler polls timers and sockets first. A
/// task that merely wakes itself can delay that for a quarter of a second.
fn on_epoch_tick(store: StoreContextMut<'_, Host>) -> wasmtime::Result<UpdateDeadline> {
    match store.data().work.deadline {
        Some(deadline) if has_passed(deadline) => Err(wasmtime::Error::new(DeadlinePassed)),
        _ => Ok(UpdateDeadline::YieldCustom(TICKS_PER_TURN, Box::pin(tokio::task::yield_now()))),
    }
}

/// Classifies the outcome of a call.
///
/// A call that returns after its deadline fails, whatever its result: a host function may have taken too long, and
/// the clock is not checked on return from it. The clock is read only if enough time may have passed.
pub(crate) fn ended<T>(
    called: Result<wasmtime::Result<T>, Aborted>,
    store: &Store<Host>,
    timer: PollTimer,
) -> Result<T, Failure> {
    let host = store.data();
    let timer = timer.without(host.work.external);
    let called = called.map_err(|why| Failure::aborted(why, &timer))?;
    let result = called.map_err(|error| Failure::new(error, &host.meter, timer.times()))?;
    let is_long = timer.has_waited() || host.work.has_ticked();
    match host.work.deadline {
        Some(deadline) if is_long && has_passed(deadline) => Err(timer.times().into()),
        _ => Ok(result),
    }
}

/// Maximum handles of a guest with asynchronous functions. Each may hold a call, a timer or a stream, with a
/// future or stack in the host that no memory limit counts. In other guests a handle that is not the host's is
/// only a number, so wasmtime's own bound suffices.
const MAX_WAITABLES: usize = 4096;

/// Minimum of the transfer limit: bytes of host values that wasmtime may build from a result, and from the
/// arguments of each host call, which need far less.
const MIN_TRANSFER: usize = 128 << 20;

/// Wasmtime's limit of a transfer for these limits. It counts the size of host values, including names of fields
/// and cases, so the exact limit is checked on the result afterwards; this one bounds the values that a hostile
/// result can make the host build before that check.
fn transfer_limit(limits: &Limits) -> usize {
    let bytes = usize::try_from(limits.max_output_bytes).unwrap_or(usize::MAX);
    bytes.saturating_mul(size_of::<Val>()).max(MIN_TRANSFER)
}
