//! The mapping of one exported function: made once when it loads, used by every call.

use std::sync::Arc;

use crisol_core::{Args, Signature, Value};
use serde::{Deserializer, Serialize};
use serde_json::de::Read;
use wasmtime::component::{Val, types::ComponentFunc};

use crate::describe::{self, UnsupportedType};
use crate::error::LowerError;
use crate::lift::{self, Lifted, Outcome};
use crate::lower::source::Seed;
use crate::lower::{self, Run, json, rust, scalar};
use crate::packed::{Packed, to_val};
use crate::shape::{Record, Shape};
use crate::wave;

/// All that is known of one exported function before an instance exists, worked out so that calls
/// follow it without looking anything up.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mapping {
    plan: Arc<Plan>,
}

#[derive(Debug)]
pub(crate) struct Plan {
    signature: Arc<Signature>,
    params: Record,
    /// The params again, as the root of what lowering follows.
    arguments: Shape,
    pub(crate) result: Option<Shape>,
}

impl Mapping {
    /// Reads the type of an exported function.
    ///
    /// # Errors
    /// When a parameter or the result holds what no plain value can stand for: resources, streams,
    /// futures, error contexts. The error names it.
    pub fn new(func: &ComponentFunc) -> Result<Self, UnsupportedType> {
        Self::from_signature(describe::signature(func)?)
    }

    /// The mapping of a function that has this signature: for tools that have no component at hand.
    ///
    /// # Errors
    /// When the signature holds a type that this version does not know.
    pub fn from_signature(signature: impl Into<Arc<Signature>>) -> Result<Self, UnsupportedType> {
        let signature = signature.into();
        let unknown = || UnsupportedType::Unknown { signature: signature.to_string() };
        let params = Record::new(&signature.params).ok_or_else(unknown)?;
        let result = match &signature.result {
            Some(ty) => Some(Shape::new(ty).ok_or_else(unknown)?),
            None => None,
        };
        let arguments = Shape::Arguments(params.clone());
        Ok(Self { plan: Arc::new(Plan { signature, params, arguments, result }) })
    }

    /// What the function takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.plan.signature
    }

    /// Lowers the sequence of arguments that `arguments` holds, each by its type, with no tree in
    /// between. Options at the end may be left out.
    ///
    /// # Errors
    /// When an argument is not of its type, their number is wrong, or the source is malformed; the
    /// error names the place and both sides.
    pub fn lower<'de, D: Deserializer<'de>>(&self, arguments: D) -> Result<Packed, LowerError> {
        let is_text = arguments.is_human_readable();
        self.lower_by(Run::new(is_text, is_text), arguments)
    }

    fn lower_by<'de, D: Deserializer<'de>>(
        &self,
        run: Run,
        arguments: D,
    ) -> Result<Packed, LowerError> {
        let root = Seed { shape: &self.plan.arguments, run: &run };
        let lowered = arguments.deserialize_any(root);
        run.finish(lowered, Some(&self.plan.params))
    }

    /// Lowers the text of a JSON array.
    ///
    /// # Errors
    /// As [`Mapping::lower`].
    pub fn lower_json(&self, text: &[u8]) -> Result<Packed, LowerError> {
        match self.read_json(text, true) {
            // A float by its own text: what is written is what was meant.
            Err(LowerError::Value { mismatch, .. })
                if scalar::may_be_rounded(&mismatch) && !json::has_integer_below_s64(text) =>
            {
                self.read_json(text, false)
            }
            lowered => lowered,
        }
    }

    fn read_json(&self, text: &[u8], rounds: bool) -> Result<Packed, LowerError> {
        // Text that is known to be UTF-8 is not looked at again for each of its strings.
        let run = Run::with_capacity(true, rounds, text.len());
        match str::from_utf8(text) {
            Ok(text) => self.lower_whole(run, serde_json::Deserializer::from_str(text)),
            Err(_) => self.lower_whole(run, serde_json::Deserializer::from_slice(text)),
        }
    }

    /// Lowers all that `reader` has.
    fn lower_whole<'de, R: Read<'de>>(
        &self,
        run: Run,
        mut reader: serde_json::Deserializer<R>,
    ) -> Result<Packed, LowerError> {
        let values = self.lower_by(run, &mut reader)?;
        match reader.end() {
            Ok(()) => Ok(values),
            Err(error) => Err(LowerError::Source { place: None, message: error.to_string() }),
        }
    }

    /// Lowers Rust values by their own types: a tuple, an array or a sequence holds the arguments in
    /// order, a struct holds them by name, `()` is no arguments.
    ///
    /// # Errors
    /// As [`Mapping::lower`].
    pub fn lower_serialize<T: Serialize + ?Sized>(&self, args: &T) -> Result<Packed, LowerError> {
        let run = Run::new(true, false);
        let lowered = rust::lower(&self.plan.arguments, &run, args);
        run.finish(lowered, Some(&self.plan.params))
    }

    /// Lowers arguments that are written as WAVE, in parentheses as in a call: `(6, {name: "Ann"})`.
    ///
    /// WAVE has no maps: a list of pairs stands for one.
    ///
    /// # Errors
    /// As [`Mapping::lower`].
    pub fn lower_wave(&self, text: &str) -> Result<Packed, LowerError> {
        wave::lower(&self.plan.params, text)
    }

    /// Lowers arguments in whichever form their owner has them.
    ///
    /// # Errors
    /// As [`Mapping::lower`].
    pub fn lower_args(&self, args: Args<'_>) -> Result<Packed, LowerError> {
        match args {
            Args::Values(values) => self.lower(Value::List(values)),
            Args::Json(text) => self.lower_json(&text),
            Args::Source(source) => self.lower(source),
            _ => Err(LowerError::Source {
                place: None,
                message: "they are in a form that is not known here".to_owned(),
            }),
        }
    }

    /// Arguments that were lowered, as values: who stands between a caller and the function sees one form of
    /// them, whichever the caller had. Lowered again they are the same.
    #[must_use]
    pub fn to_values(&self, args: &Packed) -> Vec<Value> {
        lift::arguments(&self.plan.params, &self.unpack_args(args))
    }

    /// Arguments that were lowered, as wasmtime's values, for calls that go by way of those. There are none where
    /// the arguments are those of another function.
    #[must_use]
    pub fn unpack_args(&self, args: &Packed) -> Vec<Val> {
        let mut reader = args.reader();
        let values = self.plan.params.shapes.iter().map(|shape| to_val(shape, &mut reader));
        values.collect::<Result<_, _>>().unwrap_or_default()
    }

    /// What a call that succeeded gave, from what somebody between made of it; null where the function gives
    /// nothing.
    ///
    /// # Errors
    /// When it is not of the function's type.
    pub fn lift_value(&self, value: Value) -> Result<Lifted, LowerError> {
        let empty = Lifted::of_value(Arc::clone(&self.plan), None);
        let Some(shape) = empty.shape() else {
            return match value {
                Value::Null => Ok(empty),
                other => Err(LowerError::Source {
                    place: None,
                    message: format!("the function has no result, and was given {other}"),
                }),
            };
        };
        let value = lower::unpacked(shape, &lower::value(shape, value)?)?;
        Ok(Lifted::of_value(Arc::clone(&self.plan), Some(value)))
    }

    /// Takes what the call gave back apart: a top-level `result`'s error side is the function's error,
    /// all else is its value.
    #[must_use]
    pub fn lift(&self, result: Option<Val>) -> Outcome {
        Lifted::split(Arc::clone(&self.plan), result)
    }
}
