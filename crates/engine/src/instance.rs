//! One instance: made around a WASI context, called inside a deadline, thrown away.
//!
//! This is the one place that creates a `wasmtime::Store`.
//!
//! What frees an instance: dropping it, at any moment, also while a call on it is suspended. What a
//! failure costs: the instance. After an `Err` of any kind its memory is in no known state, so a
//! further call is refused.

mod callee;

use std::pin::pin;
use std::time::Instant;

use crisol_wit::{Mapping, Packed};
use wasmtime::component::Val;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::core_module;
use crate::failure::{DeadlinePassed, Failure, is_success};
use crate::host::{Funcs, Host, Surroundings};
use crate::joined::{Joined, Pre};
use crate::limits::Limits;
use crate::link::{Inner, Linked, Target};
use crate::metered::{Clock, Stopped, has_passed, until, until_since};
use crate::output::success;

use callee::Callee;

/// Ticks of the epoch that a guest runs before it gives way to other tasks.
const TICKS_PER_TURN: u64 = 1;

/// An instance of a linked function, ready to be called.
pub struct Instance {
    pub(crate) store: Store<Host>,
    pub(crate) callee: Callee,
    /// Of a handler of HTTP there is none.
    mapping: Option<Mapping>,
    runs_once: bool,
    calls: u64,
    spoiled: bool,
}

impl Linked {
    /// Makes an instance: memory, tables, start functions. Everything that the guest may see of the
    /// outside is in `surroundings`; a WASI context alone is one without outgoing HTTP.
    ///
    /// # Errors
    /// When a start function fails or does not end by `deadline`, a memory is larger than `limits`
    /// allow, no slot is free, or all instances hold as much memory as they may.
    pub fn instantiate(
        &self,
        surroundings: impl Into<Surroundings>,
        limits: Limits,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Instance, Failure>> + Send {
        let inner = &self.0;
        let store = store(&inner.joined, surroundings, limits, deadline);
        make(store, &inner.joined.pre, &inner.target, Some(&**inner), deadline)
    }
}

/// Makes the store of an instance. It is no part of the future that makes the instance: what the guest sees of the
/// outside is large, and would be copied at each level of futures within futures.
pub(crate) fn store(
    joined: &Joined,
    surroundings: impl Into<Surroundings>,
    limits: Limits,
    deadline: Option<Instant>,
) -> Result<Store<Host>, Failure> {
    let Joined { pre, budget, ticks, .. } = joined;
    let host = Host::new(surroundings.into(), limits, (budget, ticks));
    let mut store = Store::new(pre.engine(), host);
    if let Pre::Module { has_folders: false, .. } = pre {
        store.data_mut().without_folders();
    }
    store.limiter(|host| &mut host.meter);
    store.epoch_deadline_callback(give_way);
    store.set_hostcall_fuel(transfer_limit(&limits));
    if store.concurrent_resource_table().is_some() {
        store.set_max_component_handles(MAX_WAITABLES);
    }
    begin(&mut store, deadline)?;
    Ok(store)
}

/// See [`Linked::instantiate`].
pub(crate) async fn make(
    store: Result<Store<Host>, Failure>,
    pre: &Pre,
    target: &Target,
    function: Option<&Inner>,
    deadline: Option<Instant>,
) -> Result<Instance, Failure> {
    let mut store = store?;
    let mapping = function.map(|function| &function.mapping);
    let (made, clock) = {
        let making = pin!(instantiate(&mut store, pre, (target, mapping)));
        until(deadline, making).await
    };
    let made = made.map_err(|why| Failure::stopped(why, &clock))?;
    let callee =
        made.map_err(|error| Failure::of_making(error, &store.data().meter, clock.stretch()))?;
    let callee = callee
        .ok_or_else(|| Failure::Host(wasmtime::Error::msg("the export is not a function")))?;
    let (mapping, runs_once) = (mapping.cloned(), function.is_some_and(|it| it.runs_once));
    Ok(Instance { store, callee, mapping, runs_once, calls: 0, spoiled: false })
}

/// Makes what is called: all that runs before it belongs to that.
async fn instantiate(
    store: &mut Store<Host>,
    pre: &Pre,
    (target, mapping): (&Target, Option<&Mapping>),
) -> wasmtime::Result<Option<Callee>> {
    match (pre, target) {
        (Pre::Component(pre), Target::Component { index }) => {
            let instance = pre.instantiate_async(&mut *store).await?;
            let func = instance.get_func(&mut *store, index);
            Ok(func.map(|func| Callee::component_function(store, func, mapping)))
        }
        (Pre::Module { pre, .. }, Target::Core(target)) => {
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
    /// Calls the function with wasmtime's own values, of which there is one for each parameter; the result is `None` for
    /// a function without one.
    ///
    /// # Errors
    /// As [`Instance::call_since`].
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

    /// Calls the function with what its mapping lowered; what comes back is for its mapping to lift. `began` is a
    /// reading of the clock just now: reading it takes a good part of the time of a small call.
    ///
    /// # Errors
    /// Fails when the guest traps, exits, calls what it was not granted, goes over a limit, or is not done
    /// by `deadline`.
    pub async fn call_since(
        &mut self,
        began: Instant,
        args: Packed,
        deadline: Option<Instant>,
    ) -> Result<Option<Packed>, Failure> {
        self.begin(deadline)?;
        let mapping = self.mapping.as_ref().ok_or_else(no_function)?;
        let (called, clock) = {
            let calling = pin!(self.callee.call(&mut self.store, mapping, args));
            until_since(began.into(), deadline, calling).await
        };
        let called = called.map(|called| match called {
            // A program that exits with 0 has come to its end as one that returns.
            Err(error) if self.runs_once && is_success(&error) => Ok(success(mapping)),
            called => called,
        });
        let result = ended(called, &self.store, clock)?;
        self.end();
        self.spoiled = self.runs_once;
        Ok(result)
    }

    fn mapping(&self) -> Result<&Mapping, Failure> {
        self.mapping.as_ref().ok_or_else(no_function)
    }

    /// Begins a call. Until [`Instance::end`] the instance is in no known state.
    pub(crate) fn begin(&mut self, deadline: Option<Instant>) -> Result<(), Failure> {
        if std::mem::replace(&mut self.spoiled, true) {
            return Err(Failure::Host(wasmtime::Error::msg(
                "the instance has come to its end before",
            )));
        }
        self.calls += 1;
        begin(&mut self.store, deadline)
    }

    /// What the guest calls others through during the next call: without, its `funcs` answer that there
    /// is nothing to call through. It ends with that call.
    pub fn lend(&mut self, funcs: Funcs) {
        self.store.data_mut().funcs = Some(funcs);
    }

    /// Ends a call that went well.
    pub(crate) fn end(&mut self) {
        self.store.data_mut().funcs = None;
        self.spoiled = false;
    }

    /// Calls made so far, failed ones too.
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
    Failure::Host(wasmtime::Error::msg("a handler of HTTP is no function"))
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

/// Runs whenever a guest has computed for a tick: ends it if its time is over, else lets others run.
///
/// The guest must give way through tokio's own yield: its scheduler then looks after timers and sockets
/// first, which a task that merely wakes itself can keep it from for a quarter of a second.
fn give_way(store: StoreContextMut<'_, Host>) -> wasmtime::Result<UpdateDeadline> {
    match store.data().deadline {
        Some(deadline) if has_passed(deadline) => Err(wasmtime::Error::new(DeadlinePassed)),
        _ => Ok(UpdateDeadline::YieldCustom(TICKS_PER_TURN, Box::pin(tokio::task::yield_now()))),
    }
}

/// Finds out what it means how a call ended.
///
/// One that did what it was to do and came back after its deadline is late, whatever it answers: a host function may have
/// taken longer than the guest had, and nothing looks at the clock on the way back. The clock is read only where time
/// for that may have passed.
pub(crate) fn ended<T>(
    called: Result<wasmtime::Result<T>, Stopped>,
    store: &Store<Host>,
    clock: Clock,
) -> Result<T, Failure> {
    let host = store.data();
    let clock = clock.without(host.away);
    let called = called.map_err(|why| Failure::stopped(why, &clock))?;
    let result = called.map_err(|error| Failure::new(error, &host.meter, clock.stretch()))?;
    let is_long = clock.has_waited() || host.has_ticked();
    match host.deadline {
        Some(deadline) if is_long && has_passed(deadline) => Err(clock.stretch().into()),
        _ => Ok(result),
    }
}

/// Handles of a guest with asynchronous functions. Behind each may be a call, a timer or a stream that the host
/// keeps a future, or a stack, for, which no limit on memory counts; without, only a number is behind those
/// that are not the host's, and wasmtime's own bound will do.
const MAX_WAITABLES: usize = 4096;

/// What wasmtime may build of one transfer out of the guest: of a result, and of the arguments of each
/// call to the host, whose own need is well below the least value.
const LEAST_TRANSFER: usize = 128 << 20;

/// Wasmtime counts a transfer by the size of the host's values, names of fields and cases included, so
/// the exact limit is checked on the result afterwards; this one bounds what a hostile result can make
/// the host build before it is.
fn transfer_limit(limits: &Limits) -> usize {
    let bytes = usize::try_from(limits.max_output_bytes).unwrap_or(usize::MAX);
    bytes.saturating_mul(size_of::<Val>()).max(LEAST_TRANSFER)
}
