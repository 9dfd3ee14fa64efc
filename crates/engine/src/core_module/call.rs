//! Calls of core functions.

use std::sync::Arc;
use std::time::Instant;

use crisol_wit::{Convention, Lifting, Mapping, Memory as Guest, OverOutput, Packed};
use smallvec::SmallVec;
use wasmtime::{
    AsContextMut, Caller, Func, Instance, Memory, ModuleExport, Store, TypedFunc, Val as Core,
    ValRaw, ValType,
};

use super::CoreCalleePre;
use super::raw::{RawFunc, Slots};
use crate::failure::check;
use crate::host::{Host, Pending};
use crate::output::success;

/// Number of arguments or results that fit without an allocation.
const FEW: usize = 2;

/// Callee of an instance of a module.
pub(crate) struct Callee {
    func: Func,
    memory: Option<Memory>,
    post_return: Option<Func>,
    /// Driver for calls that also need the guest's allocator or `post-return`. Boxed, since it is large and rare.
    driven: Option<Box<Driven>>,
    target: Arc<CoreCalleePre>,
}

/// A call that needs further calls of the guest: to allocate arguments, or to free the result.
struct Driven {
    /// Function that makes all these calls on one stack.
    driver: TypedFunc<(), ()>,
}

/// Functions and memory of the guest that one call needs.
#[derive(Clone, Copy)]
struct Parts {
    call: RawFunc,
    realloc: Option<RawFunc>,
    post_return: Option<RawFunc>,
    memory: Option<Memory>,
}

impl Callee {
    pub(crate) fn new(
        store: &mut Store<Host>,
        instance: &Instance,
        (target, mapping): (&Arc<CoreCalleePre>, &Mapping),
    ) -> Option<Self> {
        let mut export = |export| instance.get_module_export(&mut *store, export);
        let func = export(&target.export)?.into_func()?;
        let memory = target.memory.as_ref().and_then(&mut export);
        let memory = memory.and_then(wasmtime::Extern::into_memory);
        let mut function = |(export, slots): &(ModuleExport, Slots)| {
            let func = instance.get_module_export(&mut *store, export)?.into_func()?;
            Some(RawFunc::new(func, *slots))
        };
        let post_return = target.post_return.as_ref().and_then(&mut function);
        let realloc = target.realloc.as_ref().filter(|_| !mapping.takes_flat());
        let realloc = realloc.and_then(&mut function);
        let is_canonical = target.convention == Convention::Canonical;
        let needs_more = realloc.is_some() || post_return.is_some();
        let driven = match target.slots.filter(|_| is_canonical && needs_more) {
            Some(slots) => {
                let call = RawFunc::new(func, slots);
                let parts = Parts { call, realloc, post_return, memory };
                let drive = move |caller: Caller<'_, Host>| drive(caller, parts);
                let driver = Func::wrap(&mut *store, drive).typed(&*store).ok()?;
                Some(Box::new(Driven { driver }))
            }
            None => None,
        };
        let post_return = post_return.map(|it| it.func());
        Some(Self { func, memory, post_return, driven, target: Arc::clone(target) })
    }

    /// Calls the function with lowered arguments.
    pub(crate) async fn call(
        &self,
        store: &mut Store<Host>,
        mapping: &Mapping,
        args: Packed,
    ) -> wasmtime::Result<Option<Packed>> {
        match self.target.convention {
            Convention::Start => {
                self.func.call_async(store, &[], &mut []).await?;
                Ok(success(mapping))
            }
            Convention::Numbers => {
                let flat = mapping.lower_numbers(&args)?;
                let results = self.numbers(store, &flat).await?;
                let lifted = mapping.lift_numbers(&results)?;
                self.post_return(store, &results).await?;
                Ok(lifted)
            }
            Convention::Canonical => {
                if let Some(driven) = &self.driven {
                    return driven.call(store, mapping, args).await;
                }
                let (flat, count) = mapping.lower_flat(&args, &mut NoMemory)?;
                let results = self.numbers(store, &flat[..count]).await?;
                let result = results.first().copied().unwrap_or_default();
                lift(store, mapping, self.memory, result)
            }
        }
    }

    /// Calls the function with its arguments' bits and returns its results' bits.
    async fn numbers(
        &self,
        store: &mut Store<Host>,
        flat: &[u64],
    ) -> wasmtime::Result<SmallVec<[u64; FEW]>> {
        let CoreCalleePre { params, results, .. } = &*self.target;
        let args: SmallVec<[Core; FEW]> =
            flat.iter().zip(params).map(|(bits, ty)| core(*bits, ty)).collect();
        let mut results: SmallVec<[Core; FEW]> = results.iter().map(|ty| core(0, ty)).collect();
        self.func.call_async(store, &args, &mut results).await?;
        Ok(results.iter().map(bits).collect())
    }

    /// Calls `post-return`, so that the guest frees its result.
    async fn post_return(&self, store: &mut Store<Host>, results: &[u64]) -> wasmtime::Result<()> {
        let Some(post_return) = &self.post_return else { return Ok(()) };
        let types = &self.target.results;
        let args: Vec<Core> = results.iter().zip(types).map(|(bits, ty)| core(*bits, ty)).collect();
        post_return.call_async(store, &args, &mut []).await
    }
}

/// Lifts a result out of the guest from its bits.
fn lift(
    mut store: impl AsContextMut<Data = Host>,
    mapping: &Mapping,
    memory: Option<Memory>,
    result: u64,
) -> wasmtime::Result<Option<Packed>> {
    let store = store.as_context_mut();
    let host = store.data();
    let max_output = host.meter.limits().max_output_bytes;
    let mut out = Out { max_output, deadline: host.work.deadline, fuel: store.hostcall_fuel() };
    let memory = memory.as_ref().map_or(&[][..], |memory| memory.data(&store));
    mapping.lift_flat(result, memory, &mut out)
}

/// Runs a module's initializer, before any other function.
pub(crate) async fn initialize(
    store: &mut Store<Host>,
    instance: &Instance,
    target: &CoreCalleePre,
) -> wasmtime::Result<()> {
    let Some(export) = &target.initialize else { return Ok(()) };
    match instance.get_module_export(&mut *store, export).and_then(wasmtime::Extern::into_func) {
        Some(func) => func.call_async(store, &[], &mut []).await,
        None => Ok(()),
    }
}

/// Converts bits to a number of a type.
fn core(bits: u64, ty: &ValType) -> Core {
    match ty {
        ValType::I64 => Core::I64(bits.cast_signed()),
        ValType::F32 => Core::F32(bits as u32),
        ValType::F64 => Core::F64(bits),
        _ => Core::I32((bits as u32).cast_signed()),
    }
}

fn bits(value: &Core) -> u64 {
    match *value {
        Core::I32(value) => value.cast_unsigned().into(),
        Core::I64(value) => value.cast_unsigned(),
        Core::F32(bits) => bits.into(),
        Core::F64(bits) => bits,
        _ => 0,
    }
}

impl Driven {
    async fn call(
        &self,
        store: &mut Store<Host>,
        mapping: &Mapping,
        args: Packed,
    ) -> wasmtime::Result<Option<Packed>> {
        let pending = Box::new(Pending { mapping: mapping.clone(), args, result: None });
        store.data_mut().work.pending = Some(pending);
        self.driver.call_async(&mut *store, ()).await?;
        let ended = store.data_mut().work.pending.take();
        ended.map(|pending| pending.result).ok_or_else(nothing_pending)
    }
}

#[cold]
fn nothing_pending() -> wasmtime::Error {
    wasmtime::Error::msg("the driver of a call was called without a call")
}

/// Makes the pending call: lowers its arguments into the guest, calls its function, lifts the result and calls
/// `post-return`.
fn drive(mut caller: Caller<'_, Host>, parts: Parts) -> wasmtime::Result<()> {
    let mut pending = caller.data_mut().work.pending.take().ok_or_else(nothing_pending)?;
    let Pending { mapping, args, .. } = &*pending;
    let (flat, _) = match (parts.memory, parts.realloc) {
        (Some(memory), Some(realloc)) => {
            mapping.lower_flat(args, &mut Driver { caller: &mut caller, memory, realloc })?
        }
        _ => mapping.lower_flat(args, &mut NoMemory)?,
    };
    let mut slots = flat.map(ValRaw::u64);
    parts.call.call(&mut caller, &mut slots)?;
    let [result, ..] = slots;
    let lifted = lift(&mut caller, mapping, parts.memory, result.get_u64())?;
    if let Some(post_return) = &parts.post_return {
        post_return.call(&mut caller, &mut [result])?;
    }
    pending.result = lifted;
    caller.data_mut().work.pending = Some(pending);
    Ok(())
}

/// The guest that arguments are lowered into.
struct Driver<'c, 's> {
    caller: &'c mut Caller<'s, Host>,
    memory: Memory,
    realloc: RawFunc,
}

/// Checks that all values on the driver's stack are `Send`: a suspended guest may resume on another thread.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Parts>();
    is_send::<Pending>();
    is_send::<Driver<'static, 'static>>();
};

impl Guest for Driver<'_, '_> {
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]> {
        Ok(self.memory.data_mut(&mut *self.caller))
    }

    fn realloc(&mut self, old: u32, old_size: u32, align: u32, size: u32) -> wasmtime::Result<u32> {
        let mut slots = [old, old_size, align, size].map(|slot| ValRaw::u64(slot.into()));
        self.realloc.call(self.caller, &mut slots)?;
        let [at, ..] = slots;
        Ok(at.get_u32())
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        self.caller.data().work.deadline.map_or(Ok(()), check)
    }
}

/// A guest for values that need no memory.
struct NoMemory;

impl Guest for NoMemory {
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]> {
        Err(wasmtime::Error::msg(
            "the module exports no memory named `memory`, which passing values needs",
        ))
    }

    fn realloc(&mut self, _: u32, _: u32, _: u32, _: u32) -> wasmtime::Result<u32> {
        Err(wasmtime::Error::msg(
            "the module exports no function `cabi_realloc`, which passing values needs",
        ))
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// Output of a guest, within its bounds.
struct Out {
    max_output: u64,
    deadline: Option<Instant>,
    fuel: usize,
}

impl Lifting for Out {
    fn max_output(&self) -> u64 {
        self.max_output
    }

    fn spend(&mut self, bytes: usize) -> wasmtime::Result<()> {
        let over = || wasmtime::Error::new(OverOutput { allowed: self.max_output });
        self.fuel = self.fuel.checked_sub(bytes).ok_or_else(over)?;
        Ok(())
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        self.deadline.map_or(Ok(()), check)
    }
}
