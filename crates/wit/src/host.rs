//! Mapping of a function that a guest imports: lifts its arguments for the host and lowers the host's answer for the
//! guest.

use std::sync::Arc;

use crisol_core::{Signature, Type, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::component::{Val, types::ComponentFunc};

use crate::describe::{self, UnsupportedType};
use crate::error::{LiftError, LowerError};
use crate::lift::{self, Arguments};
use crate::lower;
use crate::packed::Malformed;
use crate::shape::{Record, Shape};

/// Types of one imported function, known before an instance exists.
///
/// The error side of a top-level `result` is separate from its value, as for exports.
#[derive(Debug)]
pub struct HostMapping {
    signature: Arc<Signature>,
    params: Record,
    answer: Side,
    /// Error side, for a function whose result is a `result`.
    error: Option<Side>,
}

/// Answer of the host, or one side of it: nothing, or a value of one type.
#[derive(Debug)]
struct Side(Option<Shape>);

/// Mismatch between guest and host: one of them was built for another type of the function.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostMismatch {
    /// Host function that takes other arguments than the guest passes.
    #[error("the guest's arguments do not match its parameters: {}", ArgumentsError(.0))]
    Arguments(LiftError),
    /// Host function that returns a value of another type than the guest expects.
    #[error("its {what} does not match the type that the guest expects: {error}")]
    Answer {
        /// `result` or `error`.
        what: &'static str,
        /// Place, expected type and value found.
        error: LowerError,
    },
    /// Host function that returns a value where the guest expects nothing.
    #[error(
        "its {what} does not match the type that the guest expects: expected nothing, found {found}"
    )]
    NotNothing {
        /// `result` or `error`.
        what: &'static str,
        /// Value found.
        found: Value,
    },
    /// Host function that returns an error, for a type without an error side.
    #[error("it returned an error, but its result type has no error: {0}")]
    NoErrorSide(Value),
}

/// [`LiftError`] of the arguments as a whole, shown without a place.
struct ArgumentsError<'a>(&'a LiftError);

impl std::fmt::Display for ArgumentsError<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LiftError { place, message } = self.0;
        match place.argument {
            Some(_) => write!(f, "{place}: {message}"),
            None => f.write_str(message),
        }
    }
}

impl Side {
    fn lower<T: Serialize + ?Sized>(
        &self,
        what: &'static str,
        value: &T,
    ) -> Result<Option<Val>, HostMismatch> {
        let answer = |error| HostMismatch::Answer { what, error };
        let Some(shape) = &self.0 else {
            let value = Value::from_serialize(value).map_err(|error| {
                answer(LowerError::Source { place: None, message: error.to_string() })
            })?;
            return nothing(what, value);
        };
        let lowered = lower::rust_value(shape, value);
        lowered.and_then(|value| lower::unpacked(shape, &value)).map(Some).map_err(answer)
    }

    fn lower_value(&self, what: &'static str, value: Value) -> Result<Option<Val>, HostMismatch> {
        let Some(shape) = &self.0 else { return nothing(what, value) };
        let lowered = lower::value(shape, value);
        let unpacked = lowered.and_then(|value| lower::unpacked(shape, &value));
        unpacked.map(Some).map_err(|error| HostMismatch::Answer { what, error })
    }
}

fn foreign(malformed: Malformed) -> HostMismatch {
    HostMismatch::Arguments(malformed.into())
}

/// Accepts null as the answer of a function without a result.
fn nothing(what: &'static str, found: Value) -> Result<Option<Val>, HostMismatch> {
    match found {
        Value::Null => Ok(None),
        found => Err(HostMismatch::NotNothing { what, found }),
    }
}

impl HostMapping {
    /// Reads the type of an imported function.
    ///
    /// # Errors
    /// Fails as [`Mapping::new`](crate::Mapping::new).
    pub fn new(func: &ComponentFunc) -> Result<Self, UnsupportedType> {
        Self::from_signature(describe::signature(func)?)
    }

    /// Makes the mapping of an imported function with this signature.
    ///
    /// # Errors
    /// Fails when the signature holds a type that this version does not know.
    pub fn from_signature(signature: impl Into<Arc<Signature>>) -> Result<Self, UnsupportedType> {
        let signature = signature.into();
        let unknown = || UnsupportedType::Unknown { signature: signature.to_string() };
        let params = Record::new(&signature.params).ok_or_else(unknown)?;
        let side = |ty: Option<&Type>| match ty {
            Some(ty) => Shape::new(ty).map(|shape| Side(Some(shape))).ok_or_else(unknown),
            None => Ok(Side(None)),
        };
        let (answer, error) = match &signature.result {
            Some(Type::Result { ok, err }) => (side(ok.as_deref())?, Some(side(err.as_deref())?)),
            result => (side(result.as_ref())?, None),
        };
        Ok(Self { signature, params, answer, error })
    }

    /// Signature of the function.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    /// Reads the arguments of a call into a Rust type: a tuple or a sequence takes them in order, a struct
    /// by name, `()` takes none.
    ///
    /// # Errors
    /// Fails when `A` does not take such arguments, or they are another function's.
    pub fn lift<A: DeserializeOwned>(&self, args: &[Val]) -> Result<A, HostMismatch> {
        let args = lift::pack_args(&self.params, args).map_err(foreign)?;
        let arguments = Arguments { params: &self.params, values: args.reader() };
        A::deserialize(arguments).map_err(HostMismatch::Arguments)
    }

    /// Lifts the arguments of a call into trees.
    ///
    /// # Errors
    /// Fails when they are another function's arguments.
    pub fn lift_values(&self, args: &[Val]) -> Result<Vec<Value>, HostMismatch> {
        let args = lift::pack_args(&self.params, args);
        args.and_then(|args| lift::arguments(&self.params, &args)).map_err(foreign)
    }

    /// Lowers an answer: the value, or the ok side of a `result`. Returns `None` for a function without a result.
    ///
    /// # Errors
    /// Fails when the answer is not of the function's type.
    pub fn lower<T: Serialize + ?Sized>(&self, answer: &T) -> Result<Option<Val>, HostMismatch> {
        self.answer.lower("result", answer).map(|value| self.ok(value))
    }

    /// Like [`HostMapping::lower`], for a tree.
    ///
    /// # Errors
    /// Fails as [`HostMapping::lower`].
    pub fn lower_value(&self, answer: Value) -> Result<Option<Val>, HostMismatch> {
        self.answer.lower_value("result", answer).map(|value| self.ok(value))
    }

    /// Lowers the error side of a function whose result is a `result`.
    ///
    /// # Errors
    /// Fails when the function has no error side, or one of another type.
    pub fn lower_error(&self, error: Value) -> Result<Option<Val>, HostMismatch> {
        let Some(side) = &self.error else { return Err(HostMismatch::NoErrorSide(error)) };
        let value = side.lower_value("error", error)?;
        Ok(Some(Val::Result(Err(value.map(Box::new)))))
    }

    fn ok(&self, value: Option<Val>) -> Option<Val> {
        match self.error {
            Some(_) => Some(Val::Result(Ok(value.map(Box::new)))),
            None => value,
        }
    }
}
