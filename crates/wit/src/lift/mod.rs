//! Lifting: what a call gave back, on its way to any format or type.

mod de;
mod json;
mod parts;
mod ser;
mod tree;

use std::sync::Arc;

use crisol_core::{Reply, Value};
use serde::de::DeserializeOwned;
use serde::ser::Error;
use wasmtime::component::Val;

use crate::error::LiftError;
use crate::packed::{Malformed, Packed, Reader, from_val, to_val};
use crate::plan::Plan;
use crate::shape::{Record, Shape};
use crate::wave;

pub(crate) use de::Arguments;

/// The arguments of a call that has them as wasmtime's own values.
pub(crate) fn pack_args(params: &Record, args: &[Val]) -> Result<Packed, Malformed> {
    if args.len() != params.shapes.len() {
        return Err(Malformed);
    }
    let mut bytes = Vec::new();
    for (shape, arg) in params.shapes.iter().zip(args) {
        from_val(shape, arg, &mut bytes)?;
    }
    Ok(bytes.into())
}

/// Arguments as trees.
pub(crate) fn arguments(params: &Record, args: &Packed) -> Result<Vec<Value>, Malformed> {
    tree::each(&params.shapes, &mut args.reader())
}

/// What a call came to.
#[derive(Debug)]
pub enum Outcome {
    /// The value: the ok side of a top-level `result`, or whatever else the function gives.
    Value(Lifted),
    /// The error side of a top-level `result`.
    Error(Lifted),
}

impl Outcome {
    /// The same as Rust's own `Result`.
    ///
    /// # Errors
    /// The error side of the function's `result`.
    pub fn into_result(self) -> Result<Lifted, Lifted> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Error(error) => Err(error),
        }
    }
}

/// Which part of the result a [`Lifted`] holds.
#[derive(Debug, Clone, Copy)]
enum Side {
    All,
    Ok,
    Err,
}

/// A value that a call gave back, with the plan to read it by. It is written straight from there into
/// any serde format (it is `Serialize`) or Rust type ([`Lifted::deserialize`]).
///
/// Nothing at all (no result, an empty side) is written as null. A value that is not of the function's type, because it
/// came from some other function, is refused when it is written or read.
#[derive(Debug)]
pub struct Lifted {
    plan: Arc<Plan>,
    side: Side,
    packed: Packed,
    /// Offset of the value in it.
    start: usize,
}

impl Lifted {
    pub(crate) fn split(plan: Arc<Plan>, result: Option<Packed>) -> Outcome {
        let packed = result.unwrap_or_default();
        let is_error = match &plan.result {
            Some(Shape::Result(_)) => packed.reader().bool().ok(),
            _ => None,
        };
        let lifted = |side, start| Self { plan, side, packed, start };
        match is_error {
            Some(false) => Outcome::Value(lifted(Side::Ok, 1)),
            Some(true) => Outcome::Error(lifted(Side::Err, 1)),
            None => Outcome::Value(lifted(Side::All, 0)),
        }
    }

    /// The shape of what a call that succeeded is to give: of the ok side of a top-level `result`, or of
    /// whatever else.
    pub(crate) fn value_shape(plan: &Plan) -> Option<&Shape> {
        match &plan.result {
            Some(Shape::Result(result)) => result.ok.as_ref(),
            shape => shape.as_ref(),
        }
    }

    /// Holds the value of a call that succeeded, of [`Lifted::value_shape`].
    pub(crate) fn of_value(plan: Arc<Plan>, packed: Packed) -> Self {
        let is_result = matches!(plan.result, Some(Shape::Result(_)));
        Self { plan, side: if is_result { Side::Ok } else { Side::All }, packed, start: 0 }
    }

    fn shape(&self) -> Option<&Shape> {
        match (self.side, &self.plan.result) {
            (Side::Ok, Some(Shape::Result(result))) => result.ok.as_ref(),
            (Side::Err, Some(Shape::Result(result))) => result.err.as_ref(),
            (_, shape) => shape.as_ref(),
        }
    }

    fn reader(&self) -> Reader<'_> {
        let mut reader = self.packed.reader();
        // The byte that told the side is there.
        let _ = reader.take(self.start);
        reader
    }

    /// Appends the value as JSON text: what `serde_json` writes of it, in less time.
    ///
    /// # Errors
    /// Fails when it is not of the function's type.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let Some(shape) = self.shape() else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        out.reserve(json::size_hint(self.packed.len()));
        json::write(shape, &mut self.reader(), out).map_err(serde_json::Error::custom)
    }

    /// Reads it into a Rust type, with no tree in between.
    ///
    /// # Errors
    /// When `T` does not take such a value; the error names the place.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T, LiftError> {
        de::read(self.shape(), self.reader())
    }

    /// The value as WAVE text; empty when there is nothing, or what is not of the function's type.
    ///
    /// WAVE has no maps: one is written as the list of its pairs.
    #[must_use]
    pub fn to_wave(&self) -> String {
        let mut text = String::new();
        if let Some(shape) = self.shape()
            && let Ok(value) = to_val(shape, &mut self.reader())
        {
            // It fails for handles alone, which no result holds.
            let _ = wave::write(&mut text, &value);
        }
        text
    }

    /// The value as a tree; null when there is nothing, or what is not of the function's type.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let tree = self.shape().map(|shape| tree::value(shape, &mut self.reader()));
        tree.and_then(Result::ok).unwrap_or(Value::Null)
    }
}

impl From<Lifted> for Reply {
    fn from(lifted: Lifted) -> Self {
        Self::with_json(lifted, Lifted::write_json)
    }
}
