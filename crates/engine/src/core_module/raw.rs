//! Calls of core functions from inside a host function, on the host function's stack.
//!
//! Arguments may need thousands of allocations in the guest, each a call of its `cabi_realloc`. `call_async` makes a
//! stack for each call, and `call` is refused where a guest can be suspended. Wasmtime's own lowering calls `realloc`
//! raw, on its caller's stack, and so does this module.
//!
//! # Safety
//!
//! [`RawFunc::call`] is one of the two functions of this crate with `unsafe`. `Func::call_unchecked` asks of it:
//!
//! - *The slots hold arguments of the function's types, and are as many as its parameters and its results.* A
//!   [`RawFunc`] is made of a type that has only numbers as parameters and results, for which all bits are valid, and
//!   counts them; a call with too few slots is refused.
//! - *The function belongs to the store.* It comes from an instance in that store; with a function of another store
//!   wasmtime panics.
//!
//! Wasmtime refuses `call` on such a stack for one more reason: an interrupted guest suspends the stack, which may
//! resume on another thread, with all values that host functions have on it. Callers of this module have only `Send`
//! values on the stack: packed values, numbers, and handles into the store.
#![allow(unsafe_code, reason = "core functions are called on the stack of a host function")]

use wasmtime::{Caller, Func, FuncType, ValRaw, ValType};

use crate::host::Host;

/// A core function with only numbers as parameters and results.
#[derive(Clone, Copy)]
pub(super) struct RawFunc {
    func: Func,
    slots: Slots,
}

/// Number of slots of such a function: its parameters or results, whichever are more.
#[derive(Clone, Copy)]
pub(super) struct Slots(usize);

impl Slots {
    /// Counts the slots of a type, if all are numbers.
    pub(super) fn of(ty: &FuncType) -> Option<Self> {
        let is_number =
            |ty: ValType| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
        let are_numbers = ty.params().all(is_number) && ty.results().all(is_number);
        are_numbers.then(|| Self(ty.params().len().max(ty.results().len())))
    }
}

impl RawFunc {
    /// Wraps a function; `slots` must be those of its type.
    pub(super) fn new(func: Func, slots: Slots) -> Self {
        Self { func, slots }
    }

    /// The wasmtime function.
    pub(super) fn func(&self) -> Func {
        self.func
    }

    /// Calls the function with the arguments at the start of `slots`, and leaves its results there. Call it only on
    /// the stack of a host function that runs inside `call_async`.
    pub(super) fn call(
        &self,
        caller: &mut Caller<'_, Host>,
        slots: &mut [ValRaw],
    ) -> wasmtime::Result<()> {
        let Some(slots) = slots.get_mut(..self.slots.0) else {
            return Err(wasmtime::Error::msg("a function has too many core values"));
        };
        // SAFETY: see the head of the module.
        unsafe { self.func.call_unchecked(caller, slots) }
    }
}
