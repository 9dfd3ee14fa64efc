//! Lifting: what a call gave back, on its way to any format or type.

mod de;
mod ser;
mod tree;

use std::sync::Arc;

use crisol_core::{Reply, Value};
use serde::de::DeserializeOwned;
use wasmtime::component::Val;

use crate::error::LiftError;
use crate::mapping::Plan;
use crate::shape::{Record, Shape};
use crate::wave;

pub(crate) use de::Arguments;

/// Arguments as trees.
pub(crate) fn arguments(params: &Record, args: &[Val]) -> Vec<Value> {
    args.iter().enumerate().map(|(at, arg)| tree::value(params.shapes.get(at), arg)).collect()
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
/// Nothing at all (no result, an empty side) is written as null.
#[derive(Debug)]
pub struct Lifted {
    plan: Arc<Plan>,
    side: Side,
    value: Option<Val>,
}

impl Lifted {
    pub(crate) fn split(plan: Arc<Plan>, result: Option<Val>) -> Outcome {
        let is_result = matches!(plan.result, Some(Shape::Result(_)));
        let lifted = |side, value| Self { plan, side, value };
        match result {
            Some(Val::Result(Ok(ok))) if is_result => {
                Outcome::Value(lifted(Side::Ok, ok.map(|value| *value)))
            }
            Some(Val::Result(Err(err))) if is_result => {
                Outcome::Error(lifted(Side::Err, err.map(|value| *value)))
            }
            value => Outcome::Value(lifted(Side::All, value)),
        }
    }

    /// What a call that succeeded is to give: the ok side of a top-level `result`, or whatever else.
    pub(crate) fn of_value(plan: Arc<Plan>, value: Option<Val>) -> Self {
        let is_result = matches!(plan.result, Some(Shape::Result(_)));
        Self { plan, side: if is_result { Side::Ok } else { Side::All }, value }
    }

    pub(crate) fn shape(&self) -> Option<&Shape> {
        match (self.side, &self.plan.result) {
            (Side::Ok, Some(Shape::Result(result))) => result.ok.as_ref(),
            (Side::Err, Some(Shape::Result(result))) => result.err.as_ref(),
            (_, shape) => shape.as_ref(),
        }
    }

    /// The component value itself; `None` when there is nothing.
    #[must_use]
    pub fn val(&self) -> Option<&Val> {
        self.value.as_ref()
    }

    /// Reads it into a Rust type, with no tree in between.
    ///
    /// # Errors
    /// When `T` does not take such a value; the error names the place.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T, LiftError> {
        let Self { plan, side, value } = self;
        let lifted = Self { plan, side, value: None };
        T::deserialize(de::Source { shape: lifted.shape(), value })
    }

    /// The value as WAVE text; empty when there is nothing.
    ///
    /// WAVE has no maps: one is written as the list of its pairs.
    #[must_use]
    pub fn to_wave(&self) -> String {
        let mut text = String::new();
        if let Some(value) = &self.value {
            // It fails for handles alone, which no result holds.
            let _ = wave::write(&mut text, value);
        }
        text
    }

    /// The value as a tree.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.value {
            Some(value) => tree::value(self.shape(), value),
            None => Value::Null,
        }
    }
}

impl From<Lifted> for Reply {
    fn from(lifted: Lifted) -> Self {
        Self::new(lifted)
    }
}
