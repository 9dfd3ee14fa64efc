//! The mapping of a function that a guest imports: the other way round, its arguments are lifted for the
//! host and the host's answer is lowered for the guest.

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

/// All that is known of one imported function before an instance exists.
///
/// The error side of a top-level `result` is told apart from its value, as it is for exports.
#[derive(Debug)]
pub struct HostMapping {
    signature: Arc<Signature>,
    params: Record,
    answer: Side,
    /// The error side, for a function whose result is a `result`.
    error: Option<Side>,
}

/// What the host hands back, or one side of it: nothing, or a value of one type.
#[derive(Debug)]
struct Side(Option<Shape>);

/// Why what guest and host say to one another does not fit: one of them was built for another type of the
/// function.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostMismatch {
    /// The host function takes other arguments than the guest hands over.
    #[error("the guest's arguments are not what it takes: {}", ArgumentsError(.0))]
    Arguments(LiftError),
    /// The host function answers with something that is not of the type that the guest expects.
    #[error("its {what} is not what the guest expects: {error}")]
    Answer {
        /// `result` or `error`.
        what: &'static str,
        /// Where, what was expected and what was found.
        error: LowerError,
    },
    /// The host function answers with something where the guest expects nothing.
    #[error("its {what} is not what the guest expects: expected nothing, found {found}")]
    NotNothing {
        /// `result` or `error`.
        what: &'static str,
        /// What it is.
        found: Value,
    },
    /// The host function answers with an error, and its type has no side for one.
    #[error("it answered with an error, which its type has no place for: {0}")]
    NoErrorSide(Value),
}

/// A [`LiftError`] of arguments as a whole has no place in them.
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

/// Null is the answer of a function that gives nothing.
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
    /// As [`Mapping::new`](crate::Mapping::new).
    pub fn new(func: &ComponentFunc) -> Result<Self, UnsupportedType> {
        Self::from_signature(describe::signature(func)?)
    }

    /// The mapping of an imported function that has this signature.
    ///
    /// # Errors
    /// When the signature holds a type that this version does not know.
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

    /// What the function takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    /// Reads the arguments of a call into a Rust type: a tuple or a sequence takes them in order, a struct
    /// by name, `()` takes none.
    ///
    /// # Errors
    /// Fails when `A` does not take such arguments, or they are those of another function.
    pub fn lift<A: DeserializeOwned>(&self, args: &[Val]) -> Result<A, HostMismatch> {
        let args = lift::pack_args(&self.params, args).map_err(foreign)?;
        let arguments = Arguments { params: &self.params, values: args.reader() };
        A::deserialize(arguments).map_err(HostMismatch::Arguments)
    }

    /// The arguments of a call as trees.
    ///
    /// # Errors
    /// Fails when they are those of another function.
    pub fn lift_values(&self, args: &[Val]) -> Result<Vec<Value>, HostMismatch> {
        let args = lift::pack_args(&self.params, args);
        args.and_then(|args| lift::arguments(&self.params, &args)).map_err(foreign)
    }

    /// Lowers an answer: the value, or the ok side of a `result`. Nothing comes back for a function that
    /// gives nothing.
    ///
    /// # Errors
    /// When the answer is not of the function's type.
    pub fn lower<T: Serialize + ?Sized>(&self, answer: &T) -> Result<Option<Val>, HostMismatch> {
        self.answer.lower("result", answer).map(|value| self.ok(value))
    }

    /// As [`HostMapping::lower`], of a tree.
    ///
    /// # Errors
    /// As there.
    pub fn lower_value(&self, answer: Value) -> Result<Option<Val>, HostMismatch> {
        self.answer.lower_value("result", answer).map(|value| self.ok(value))
    }

    /// Lowers the error side of a function whose result is a `result`.
    ///
    /// # Errors
    /// When it has none, or one of another type.
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
