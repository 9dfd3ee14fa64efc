//! Marshalling between a caller's types and a callee's: arguments in, result out.
//!
//! One type per kind of caller: [`InvokeArgs`] (edges), [`RustArgs`] (serde types), [`ValueArgs`] (trees of values) and
//! [`WaveArgs`] (WAVE text).

use std::marker::PhantomData;

use crisol_core::{Args, BoxError, Reply, Value};
use crisol_wit::{Lifted, LowerError, Mapping, Packed};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Arguments of a caller, with conversions into the callee's form and of the result back to the caller's.
pub(crate) trait Marshal: Sized {
    /// Result in the caller's form.
    type Output;

    /// Returns text that is too long to lower on the caller's thread, or else the arguments themselves.
    fn long_text(self) -> Result<Vec<u8>, Self> {
        Err(self)
    }

    /// Lowers the arguments for a function with a signature.
    fn lower(self, mapping: &Mapping) -> Result<Packed, LowerError>;

    /// Converts the arguments for a function without a signature.
    fn into_values(self) -> Result<Vec<Value>, BoxError>;

    /// Converts the lifted result of a function with a signature.
    fn of_lifted(lifted: Lifted) -> Result<Self::Output, BoxError>;

    /// Converts the result of a function without a signature.
    fn of_value(value: Value) -> Result<Self::Output, BoxError>;

    /// Converts the reply of interceptors, which may differ from the function's result.
    fn of_reply(reply: Reply, mapping: Option<&Mapping>) -> Result<Self::Output, BoxError> {
        let value = reply.into_value()?;
        match mapping {
            Some(mapping) => Self::of_lifted(mapping.lift_value(value)?),
            None => Self::of_value(value),
        }
    }
}

/// Length in bytes from which text is lowered on a blocking thread. Shorter text takes no longer than a guest's turn.
const LONG_TEXT: usize = 256 << 10;

/// Arguments of an edge, with a [`Reply`] as result.
pub(crate) struct InvokeArgs<'a>(pub(crate) Args<'a>);

impl Marshal for InvokeArgs<'_> {
    type Output = Reply;

    fn long_text(self) -> Result<Vec<u8>, Self> {
        match self.0 {
            Args::Json(text) if text.len() >= LONG_TEXT => Ok(text.into_owned()),
            args => Err(Self(args)),
        }
    }

    fn lower(self, mapping: &Mapping) -> Result<Packed, LowerError> {
        mapping.lower_args(self.0)
    }

    fn into_values(self) -> Result<Vec<Value>, BoxError> {
        Ok(self.0.into_values()?)
    }

    fn of_lifted(lifted: Lifted) -> Result<Reply, BoxError> {
        Ok(lifted.into())
    }

    fn of_value(value: Value) -> Result<Reply, BoxError> {
        Ok(Reply::new(value))
    }

    fn of_reply(reply: Reply, _: Option<&Mapping>) -> Result<Reply, BoxError> {
        Ok(reply)
    }
}

/// Rust values: a tuple or sequence holds arguments in order, a struct holds them by name, `()` passes none.
pub(crate) struct RustArgs<A, R>(pub(crate) A, PhantomData<fn() -> R>);

impl<A, R> RustArgs<A, R> {
    pub(crate) fn new(args: A) -> Self {
        Self(args, PhantomData)
    }
}

impl<A: Serialize, R: DeserializeOwned> Marshal for RustArgs<A, R> {
    type Output = R;

    fn lower(self, mapping: &Mapping) -> Result<Packed, LowerError> {
        mapping.lower_serialize(&self.0)
    }

    fn into_values(self) -> Result<Vec<Value>, BoxError> {
        match Value::from_serialize(&self.0)? {
            Value::List(args) => Ok(args),
            Value::Null => Ok(Vec::new()),
            _ => Err("arguments of a Lua function have an order: pass a tuple".into()),
        }
    }

    fn of_lifted(lifted: Lifted) -> Result<R, BoxError> {
        Ok(lifted.deserialize()?)
    }

    fn of_value(value: Value) -> Result<R, BoxError> {
        Ok(R::deserialize(value)?)
    }
}

/// Trees of values.
pub(crate) struct ValueArgs(pub(crate) Vec<Value>);

impl Marshal for ValueArgs {
    type Output = Value;

    fn lower(self, mapping: &Mapping) -> Result<Packed, LowerError> {
        mapping.lower_args(Args::Values(self.0))
    }

    fn into_values(self) -> Result<Vec<Value>, BoxError> {
        Ok(self.0)
    }

    fn of_lifted(lifted: Lifted) -> Result<Value, BoxError> {
        Ok(lifted.to_value())
    }

    fn of_value(value: Value) -> Result<Value, BoxError> {
        Ok(value)
    }
}

/// WAVE text, which needs a signature to be parsed and written.
pub(crate) struct WaveArgs<'a>(pub(crate) &'a str);

impl Marshal for WaveArgs<'_> {
    type Output = String;

    fn lower(self, mapping: &Mapping) -> Result<Packed, LowerError> {
        mapping.lower_wave(self.0)
    }

    fn into_values(self) -> Result<Vec<Value>, BoxError> {
        Err(NO_SIGNATURE.into())
    }

    fn of_lifted(lifted: Lifted) -> Result<String, BoxError> {
        Ok(lifted.to_wave())
    }

    fn of_value(_: Value) -> Result<String, BoxError> {
        Err(NO_SIGNATURE.into())
    }
}

const NO_SIGNATURE: &str = "a Lua function has no signature to read WAVE by: pass JSON";
