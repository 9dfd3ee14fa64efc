//! Calls of components with packed values, lowered into the guest's memory and lifted out of it without a tree.
//!
//! Wasmtime lets a Rust type define how it crosses into a component, by the traits `ComponentType`, `Lower` and `Lift`,
//! which its derives implement. [`Arguments`] and [`Answer`] implement them for packed values of any function: one pair
//! of Rust types for every signature. The traits are hidden parts of wasmtime, which is pinned for that reason;
//! `tests/component.rs` fails when their meaning changes.
//!
//! # Safety
//!
//! Only this module of the crate has `unsafe`: five `unsafe impl`s and no `unsafe` block. Wasmtime relies on them for
//! these facts only:
//!
//! - *`Lower` is a sequence of `ValRaw`.* It is an array of them, of 16 for arguments and of one for a result.
//! - *The storage of arguments is initialised when lowering succeeds.* [`Arguments::linear_lower_to_flat`] writes all
//!   16 slots. Wasmtime passes the function the slice of all of them, more than any lifted function takes, and reads
//!   the result from the first: for a function without a result, that slot was written here.
//! - *The values are of the function's types.* `typecheck` accepts any function, since one Rust type for all
//!   signatures has no type of its own to compare; a [`Mapping`] is made from the type of the function. The mapping of
//!   another function passes the guest numbers that mean something else to it: any 64 bits are a valid core value, a
//!   handle is looked up in the guest's own table, and memory is written only within the bounds of
//!   [`LowerContext::as_slice_mut`] at offsets that the guest's `realloc` returned. The guest may then misread them, as
//!   it may those of any caller; the host's memory is not at risk.
//!
//! Functions lifted as asynchronous pass their results in another form. They are called with wasmtime's own values
//! instead, as is a function whose values do not fit a 32-bit memory.
#![allow(
    unsafe_code,
    reason = "the traits of wasmtime that let values cross are unsafe to implement"
)]

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::__internal::wasmtime_environ::component::{
    CanonicalOptions, CanonicalOptionsDataModel, StringEncoding,
};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Func, Lift, Lower, TypedFunc};
use wasmtime::{AsContext, AsContextMut, Error, ValRaw};

use crate::abi::{Encoding, Lifting, MAX_FLAT_PARAMS, Memory};
use crate::mapping::Mapping;
use crate::packed::Packed;
use crate::plan::PlanRef;

/// Function of a component instance, called with packed values.
#[derive(Clone, Copy)]
pub struct DirectFunc(TypedFunc<Arguments, Answer>);

/// Limits of one call.
#[derive(Debug, Clone, Copy)]
pub struct CallBounds {
    /// Most bytes of content in the result, counted as in [`Lifting::max_output`].
    pub max_output: u64,
    /// Deadline: lowering and lifting stop after it.
    pub deadline: Option<Instant>,
    /// Fails when the deadline has passed.
    pub check: fn(Instant) -> wasmtime::Result<()>,
}

impl CallBounds {
    /// No limits, for trusted guests.
    pub const NONE: Self = Self { max_output: u64::MAX, deadline: None, check: |_| Ok(()) };

    fn check(&self) -> wasmtime::Result<()> {
        self.deadline.map_or(Ok(()), self.check)
    }
}

/// Plan and limits by which a call's result is lifted.
struct Job {
    plan: Arc<PlanRef>,
    bounds: CallBounds,
}

thread_local! {
    /// Job of the call that is being polled on this thread. `Lift` gets no state of ours and runs within a poll of its
    /// call's future. [`DirectFunc::call_async`] places the job here for the length of each poll, so suspended calls
    /// that resume in any order, on any thread, each find their own.
    static JOB: RefCell<Option<Job>> = const { RefCell::new(None) };
}

/// Places a call's job while it lives and restores the previous one when dropped.
struct Placed<'j>(&'j mut Option<Job>);

impl<'j> Placed<'j> {
    fn new(job: &'j mut Option<Job>) -> Self {
        JOB.with_borrow_mut(|place| std::mem::swap(place, job));
        Self(job)
    }
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        JOB.with_borrow_mut(|place| std::mem::swap(place, self.0));
    }
}

impl DirectFunc {
    /// Prepares `func`, from which `mapping` was made; `None` when its values cannot be passed directly.
    pub fn new(mapping: &Mapping, func: Func, store: impl AsContext) -> Option<Self> {
        mapping.plan.abi.as_ref()?;
        func.typed(store).ok().map(Self)
    }

    /// Calls the function with arguments that its own `mapping` has lowered.
    ///
    /// # Errors
    /// Fails when the guest traps, is interrupted, or returns an invalid value.
    pub async fn call_async(
        &self,
        store: impl AsContextMut<Data: Send>,
        mapping: &Mapping,
        args: Packed,
        bounds: CallBounds,
    ) -> wasmtime::Result<Option<Packed>> {
        let (args, mut job) = prepare(mapping, args, bounds);
        let mut call = pin!(self.0.call_async(store, args));
        let answer = poll_fn(|cx| {
            let _placed = Placed::new(&mut job);
            call.as_mut().poll(cx)
        });
        answer.await.map(|Answer(result)| result)
    }

    /// Like [`DirectFunc::call_async`], for a store in which no call can be suspended.
    ///
    /// # Errors
    /// Fails as [`DirectFunc::call_async`], and when calls in the store may be suspended.
    pub fn call(
        &self,
        store: impl AsContextMut,
        mapping: &Mapping,
        args: Packed,
        bounds: CallBounds,
    ) -> wasmtime::Result<Option<Packed>> {
        let (args, mut job) = prepare(mapping, args, bounds);
        let _placed = Placed::new(&mut job);
        self.0.call(store, args).map(|Answer(result)| result)
    }
}

fn prepare(mapping: &Mapping, args: Packed, bounds: CallBounds) -> (Arguments, Option<Job>) {
    let args = Arguments { plan: Arc::clone(&mapping.plan), args, bounds };
    (args, Some(Job { plan: Arc::clone(&mapping.plan), bounds }))
}

impl DirectFunc {
    /// Returns the function as wasmtime's type.
    #[must_use]
    pub fn func(&self) -> &Func {
        self.0.func()
    }
}

impl std::fmt::Debug for DirectFunc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DirectFunc").field(self.0.func()).finish()
    }
}

/// Arguments of a call.
struct Arguments {
    plan: Arc<PlanRef>,
    args: Packed,
    bounds: CallBounds,
}

/// Result of a call, if the function has one.
struct Answer(Option<Packed>);

const fn flat(count: u8) -> CanonicalAbiInfo {
    CanonicalAbiInfo { size32: 0, align32: 1, size64: 0, align64: 1, flat_count: Some(count) }
}

// SAFETY: see the head of the module.
unsafe impl ComponentType for Arguments {
    type Lower = [ValRaw; MAX_FLAT_PARAMS];

    const ABI: CanonicalAbiInfo = flat(MAX_FLAT_PARAMS as u8);

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

// SAFETY: see the head of the module.
unsafe impl ComponentNamedList for Arguments {}

// SAFETY: see the head of the module.
unsafe impl ComponentType for Answer {
    type Lower = [ValRaw; 1];

    const ABI: CanonicalAbiInfo = flat(1);

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

// SAFETY: see the head of the module.
unsafe impl ComponentNamedList for Answer {}

// SAFETY: all slots are written whenever this succeeds. See the head of the module.
unsafe impl Lower for Arguments {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; MAX_FLAT_PARAMS]>,
    ) -> wasmtime::Result<()> {
        let abi = self.plan.abi.as_ref().ok_or_else(no_plan)?;
        let mut flat = [0; MAX_FLAT_PARAMS];
        abi.lower(&self.args, &mut Guest::new(cx, &self.bounds), &mut flat)?;
        dst.write(flat.map(ValRaw::u64));
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: usize,
    ) -> wasmtime::Result<()> {
        Err(Error::msg("arguments are not core values"))
    }
}

// SAFETY: it makes no assumption on its input. See the head of the module.
unsafe impl Lift for Answer {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        src: &[ValRaw; 1],
    ) -> wasmtime::Result<Self> {
        JOB.with_borrow(|job| {
            let Job { plan, bounds } = job.as_ref().ok_or_else(no_plan)?;
            let abi = plan.abi.as_ref().ok_or_else(no_plan)?;
            let encoding = encoding(cx.options());
            let memory = if has_memory(cx.options()) { cx.memory() } else { &[] };
            let [flat] = src;
            let mut out = Out { cx, bounds, looked: 0 };
            let result = abi.lift(flat.get_u64(), memory, encoding, &mut out)?;
            Ok(Self(result))
        })
    }

    fn linear_lift_from_memory(
        _: &mut LiftContext<'_>,
        _: InterfaceType,
        _: &[u8],
    ) -> wasmtime::Result<Self> {
        Err(Error::msg("the result is not one core value"))
    }
}

#[cold]
fn no_plan() -> Error {
    Error::msg("the function was not called by its mapping")
}

fn has_memory(options: &CanonicalOptions) -> bool {
    matches!(&options.data_model, CanonicalOptionsDataModel::LinearMemory(memory) if memory.memory.is_some())
}

fn encoding(options: &CanonicalOptions) -> Encoding {
    match options.string_encoding {
        StringEncoding::Utf8 => Encoding::Utf8,
        StringEncoding::Utf16 => Encoding::Utf16,
        StringEncoding::CompactUtf16 => Encoding::CompactUtf16,
    }
}

/// Guest into which arguments are lowered.
struct Guest<'c, 's, T: 'static> {
    cx: &'c mut LowerContext<'s, T>,
    bounds: &'c CallBounds,
    has_memory: bool,
    has_realloc: bool,
    encoding: Encoding,
}

impl<'c, 's, T> Guest<'c, 's, T> {
    /// Reads the options once, because each read goes through the store.
    fn new(cx: &'c mut LowerContext<'s, T>, bounds: &'c CallBounds) -> Self {
        let options = cx.options();
        let (has_memory, encoding) = (has_memory(options), encoding(options));
        let has_realloc = matches!(&options.data_model, CanonicalOptionsDataModel::LinearMemory(memory) if memory.realloc.is_some());
        Self { cx, bounds, has_memory, has_realloc, encoding }
    }
}

impl<T> Memory for Guest<'_, '_, T> {
    #[inline]
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]> {
        if !self.has_memory {
            return Err(Error::msg("the function has no memory to pass values in"));
        }
        Ok(self.cx.as_slice_mut())
    }

    fn realloc(&mut self, old: u32, old_size: u32, align: u32, size: u32) -> wasmtime::Result<u32> {
        if !self.has_realloc {
            return Err(Error::msg("the function has no `realloc` to pass values by"));
        }
        let at = self.cx.realloc(old as usize, old_size as usize, align, size as usize)?;
        Ok(u32::try_from(at)?)
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        self.bounds.check()
    }
}

/// Bytes copied between two checks of the deadline.
const STRETCH: usize = 1 << 20;

/// Output of a guest, with its limits.
struct Out<'c, 's> {
    cx: &'c mut LiftContext<'s>,
    bounds: &'c CallBounds,
    /// Bytes copied since the last check of the deadline.
    looked: usize,
}

impl Lifting for Out<'_, '_> {
    fn max_output(&self) -> u64 {
        self.bounds.max_output
    }

    fn spend(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.cx.consume_fuel(bytes)?;
        self.looked += bytes;
        if self.looked >= STRETCH {
            self.looked = 0;
            self.bounds.check()?;
        }
        Ok(())
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        self.bounds.check()
    }
}
