//! Lifting: results of calls into any format or type.

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
use crate::plan::{Plan, PlanRef};
use crate::shape::{Record, Shape};
use crate::wave;

pub(crate) use de::Arguments;

/// Packs a call's arguments from wasmtime's own values.
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

/// Lifts arguments into trees.
pub(crate) fn arguments(params: &Record, args: &Packed) -> Result<Vec<Value>, Malformed> {
    tree::each(&params.shapes, &mut args.reader())
}

/// Outcome of a call.
#[derive(Debug)]
pub enum Outcome {
    /// Value: the ok side of a top-level `result`, or the result of any other type.
    Value(Lifted),
    /// Error side of a top-level `result`.
    Error(Lifted),
}

impl Outcome {
    /// Converts to Rust's own `Result`.
    ///
    /// # Errors
    /// Returns the error side of the function's `result`.
    pub fn into_result(self) -> Result<Lifted, Lifted> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Error(error) => Err(error),
        }
    }
}

/// Part of the result that a [`Lifted`] holds.
#[derive(Debug, Clone, Copy)]
enum Side {
    All,
    Ok,
    Err,
}

/// Result value of a call, with the plan to read it. Written directly into any serde format (it is `Serialize`) or Rust
/// type ([`Lifted::deserialize`]).
///
/// A missing value (no result, an empty side) is written as null. A value of another function's type is refused when it
/// is written or read.
#[derive(Debug)]
pub struct Lifted {
    plan: Arc<PlanRef>,
    side: Side,
    packed: Packed,
    /// Offset of the value in the packed bytes.
    start: usize,
}

impl Lifted {
    pub(crate) fn split(plan: Arc<PlanRef>, result: Option<Packed>) -> Outcome {
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

    /// Shape of a successful call's value: the ok side of a top-level `result`, or the result of any other type.
    pub(crate) fn value_shape(plan: &Plan) -> Option<&Shape> {
        match &plan.result {
            Some(Shape::Result(result)) => result.ok.as_ref(),
            shape => shape.as_ref(),
        }
    }

    /// Holds the value of a successful call, of [`Lifted::value_shape`].
    pub(crate) fn of_value(plan: Arc<PlanRef>, packed: Packed) -> Self {
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
        // Skips the byte of the side.
        let _ = reader.take(self.start);
        reader
    }

    /// Appends the value as JSON text: the text that `serde_json` writes, in less time.
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

    /// Reads the value into a Rust type, without a tree in between.
    ///
    /// # Errors
    /// Fails when `T` does not take such a value; the error names the place.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T, LiftError> {
        de::read(self.shape(), self.reader())
    }

    /// Converts the value to WAVE text; empty without a value, or for a value of another function's type.
    ///
    /// WAVE has no maps: a map becomes the list of its pairs.
    #[must_use]
    pub fn to_wave(&self) -> String {
        let mut text = String::new();
        if let Some(shape) = self.shape()
            && let Ok(value) = to_val(shape, &mut self.reader())
        {
            // Fails for handles only, which no result holds.
            let _ = wave::write(&mut text, &value);
        }
        text
    }

    /// Converts the value to a tree; null without a value, or for a value of another function's type.
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
