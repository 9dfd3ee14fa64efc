//! Calls of core functions.

use std::sync::Arc;
use std::time::Instant;

use crisol_wit::{Convention, Lifting, Mapping, Memory as Guest, OverOutput, Packed};
use wasmtime::{Caller, Func, Instance, Memory, Store, TypedFunc, Val as Core, ValRaw, ValType};

use super::CoreTarget;
use super::raw::RawFunc;
use crate::callee::{check, success};
use crate::host::Host;

/// Callee of an instance of a module.
pub(crate) struct Callee {
    func: Func,
    memory: Option<Memory>,
    post_return: Option<Func>,
    /// Calls the function by way of the guest's memory, and the function that it allocates by.
    driven: Option<Driven>,
    target: Arc<CoreTarget>,
}

/// A function whose arguments go into memory that the guest allocates.
struct Driven {
    /// Lowers and calls on a stack of its own.
    driver: TypedFunc<(), ()>,
    call: RawFunc,
    realloc: RawFunc,
    memory: Memory,
}

/// A call on its way through the driver.
pub(crate) struct Pending {
    mapping: Mapping,
    args: Packed,
    call: RawFunc,
    realloc: RawFunc,
    memory: Memory,
    /// Bits of the function's result, if it has one.
    result: u64,
}

impl Callee {
    pub(crate) fn new(
        store: &mut Store<Host>,
        instance: &Instance,
        (target, mapping): (&Arc<CoreTarget>, &Mapping),
    ) -> Option<Self> {
        let mut export = |export| instance.get_module_export(&mut *store, export);
        let func = export(&target.export)?.into_func()?;
        let memory = target.memory.as_ref().and_then(&mut export);
        let memory = memory.and_then(wasmtime::Extern::into_memory);
        let post_return = target.post_return.as_ref().and_then(&mut export);
        let post_return = post_return.and_then(wasmtime::Extern::into_func);
        let realloc = target.realloc.as_ref().filter(|_| !mapping.takes_flat());
        let realloc =
            realloc.and_then(|(index, slots)| Some((export(index)?.into_func()?, *slots)));
        let driven = match (target.slots, realloc, memory) {
            (Some(slots), Some((realloc, of_realloc)), Some(memory)) => Some(Driven {
                driver: Func::wrap(&mut *store, drive).typed(&*store).ok()?,
                call: RawFunc::new(func, slots),
                realloc: RawFunc::new(realloc, of_realloc),
                memory,
            }),
            _ => None,
        };
        Some(Self { func, memory, post_return, driven, target: Arc::clone(target) })
    }

    /// Calls the function with what its mapping lowered.
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
                let result = match &self.driven {
                    Some(driven) => driven.call(store, mapping, args).await?,
                    None => {
                        let (flat, count) = mapping.lower_flat(&args, &mut NoMemory)?;
                        let results = self.numbers(store, &flat[..count]).await?;
                        results.first().copied().unwrap_or_default()
                    }
                };
                let lifted = self.lift(store, mapping, result)?;
                self.post_return(store, &[result]).await?;
                Ok(lifted)
            }
        }
    }

    /// Calls the function with the bits of its arguments, and gives those of its results.
    async fn numbers(&self, store: &mut Store<Host>, flat: &[u64]) -> wasmtime::Result<Vec<u64>> {
        let CoreTarget { params, results, .. } = &*self.target;
        let args: Vec<Core> = flat.iter().zip(params).map(|(bits, ty)| core(*bits, ty)).collect();
        let mut results: Vec<Core> = results.iter().map(|ty| core(0, ty)).collect();
        self.func.call_async(store, &args, &mut results).await?;
        Ok(results.iter().map(bits).collect())
    }

    /// Lets the guest free what it gave.
    async fn post_return(&self, store: &mut Store<Host>, results: &[u64]) -> wasmtime::Result<()> {
        let Some(post_return) = &self.post_return else { return Ok(()) };
        let types = &self.target.results;
        let args: Vec<Core> = results.iter().zip(types).map(|(bits, ty)| core(*bits, ty)).collect();
        post_return.call_async(store, &args, &mut []).await
    }

    fn lift(
        &self,
        store: &Store<Host>,
        mapping: &Mapping,
        result: u64,
    ) -> wasmtime::Result<Option<Packed>> {
        let memory = self.memory.as_ref().map_or(&[][..], |memory| memory.data(store));
        let host = store.data();
        let max_output = host.meter.limits().max_output_bytes;
        let fuel = store.hostcall_fuel();
        mapping.lift_flat(result, memory, &mut Out { max_output, deadline: host.deadline, fuel })
    }
}

/// Runs what a module does before anything else of it is called.
pub(crate) async fn initialize(
    store: &mut Store<Host>,
    instance: &Instance,
    target: &CoreTarget,
) -> wasmtime::Result<()> {
    let Some(export) = &target.initialize else { return Ok(()) };
    match instance.get_module_export(&mut *store, export).and_then(wasmtime::Extern::into_func) {
        Some(func) => func.call_async(store, &[], &mut []).await,
        None => Ok(()),
    }
}

/// A number by its bits.
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
    ) -> wasmtime::Result<u64> {
        let (call, realloc, memory) = (self.call, self.realloc, self.memory);
        let mapping = mapping.clone();
        let pending = Pending { mapping, args, call, realloc, memory, result: 0 };
        store.data_mut().pending = Some(pending);
        self.driver.call_async(&mut *store, ()).await?;
        let ended = store.data_mut().pending.take();
        ended.map(|pending| pending.result).ok_or_else(nothing_pending)
    }
}

#[cold]
fn nothing_pending() -> wasmtime::Error {
    wasmtime::Error::msg("the driver of a call was called by itself")
}

/// Lowers the arguments of the pending call into the guest and calls its function.
fn drive(mut caller: Caller<'_, Host>) -> wasmtime::Result<()> {
    let mut pending = caller.data_mut().pending.take().ok_or_else(nothing_pending)?;
    let Pending { mapping, args, call, realloc, memory, .. } = &pending;
    let mut guest = Driver { caller: &mut caller, memory: *memory, realloc: *realloc };
    let (flat, _) = mapping.lower_flat(args, &mut guest)?;
    let mut slots = flat.map(ValRaw::u64);
    call.call(&mut caller, &mut slots)?;
    let [first, ..] = slots;
    pending.result = first.get_u64();
    caller.data_mut().pending = Some(pending);
    Ok(())
}

/// The guest that arguments are lowered into.
struct Driver<'c, 's> {
    caller: &'c mut Caller<'s, Host>,
    memory: Memory,
    realloc: RawFunc,
}

/// All that the driver has on its stack while the guest may be suspended: it may go on in another thread.
const _: fn() = || {
    fn is_send<T: Send>() {}
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
        self.caller.data().deadline.map_or(Ok(()), check)
    }
}

/// A guest that values need no memory of.
struct NoMemory;

impl Guest for NoMemory {
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]> {
        Err(wasmtime::Error::msg("the module exports no `memory` to pass values in"))
    }

    fn realloc(&mut self, _: u32, _: u32, _: u32, _: u32) -> wasmtime::Result<u32> {
        Err(wasmtime::Error::msg("the module exports no `cabi_realloc` to pass values by"))
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// Output of a guest, with its bounds.
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
