//! The mapping of one exported function: made once when it loads, used by every call.

use std::sync::Arc;

use crisol_core::{Args, Signature, Value};
use serde::{Deserializer, Serialize};
use serde_json::de::Read;
use wasmtime::component::{Val, types::ComponentFunc};

use crate::abi::{Abi, CoreType, Encoding, Lifting, MAX_FLAT_PARAMS, Memory};
use crate::describe::{self, UnsupportedType};
use crate::error::LowerError;
use crate::lift::{self, Lifted, Outcome};
use crate::lower::source::Seed;
use crate::lower::{self, Run, json, rust, scalar};
use crate::packed::{Packed, from_val, to_val};
use crate::plan::Plan;
use crate::shape::{Record, Shape};
use crate::wave;

/// All that is known of one exported function before an instance exists, worked out so that calls
/// follow it without looking anything up.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(crate) plan: Arc<Plan>,
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
        let abi = Abi::new(&params, result.as_ref());
        let arguments = Shape::Arguments(params.clone());
        Ok(Self { plan: Arc::new(Plan { signature, params, arguments, result, abi }) })
    }

    /// What the function takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.plan.signature
    }

    /// The core function that the function is, in the canonical ABI: parameters and results. Nothing, when its values
    /// are too large for a memory of 32 bits.
    #[must_use]
    pub fn core_type(&self) -> Option<(Vec<CoreType>, Vec<CoreType>)> {
        self.plan.abi.as_ref().map(Abi::core_type)
    }

    /// Whether arguments are core values alone, so that they need neither the guest's memory nor its `realloc`.
    #[must_use]
    pub fn takes_flat(&self) -> bool {
        self.plan.abi.as_ref().is_some_and(Abi::takes_flat)
    }

    /// Lowers packed arguments each of which is a number: gives the bits of the core values.
    ///
    /// # Errors
    /// Fails when they are more than that.
    pub fn lower_numbers(&self, args: &Packed) -> wasmtime::Result<Vec<u64>> {
        self.plan.abi.as_ref().ok_or_else(no_abi)?.lower_numbers(args)
    }

    /// Lifts a result that is a number, or a tuple of them, from the bits of the core values that a function gave.
    ///
    /// # Errors
    /// Fails when it is more than that.
    pub fn lift_numbers(&self, flat: &[u64]) -> wasmtime::Result<Option<Packed>> {
        self.plan.abi.as_ref().ok_or_else(no_abi)?.lift_numbers(flat)
    }

    /// Lowers packed arguments into a guest: gives the bits of the core values to call it with, and how many they
    /// are.
    ///
    /// # Errors
    /// Fails when the guest does not give the memory that they need, or they are another function's.
    pub fn lower_flat(
        &self,
        args: &Packed,
        memory: &mut impl Memory,
    ) -> wasmtime::Result<([u64; MAX_FLAT_PARAMS], usize)> {
        let abi = self.plan.abi.as_ref().ok_or_else(no_abi)?;
        let mut flat = [0; MAX_FLAT_PARAMS];
        let count = abi.lower(args, memory, &mut flat)?;
        Ok((flat, count))
    }

    /// Lifts the result of a call out of a guest: from the bits of the core value that it gave, if any, and its
    /// memory.
    ///
    /// # Errors
    /// Fails when that is no value of the function's type, or too large.
    pub fn lift_flat(
        &self,
        flat: u64,
        memory: &[u8],
        lifting: &mut impl Lifting,
    ) -> wasmtime::Result<Option<Packed>> {
        let abi = self.plan.abi.as_ref().ok_or_else(no_abi)?;
        abi.lift(flat, memory, Encoding::Utf8, lifting)
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
    ///
    /// # Errors
    /// Fails when they are the arguments of another function.
    pub fn to_values(&self, args: &Packed) -> Result<Vec<Value>, LowerError> {
        lift::arguments(&self.plan.params, args).map_err(|_| LowerError::Source {
            place: None,
            message: "they are those of another function".to_owned(),
        })
    }

    /// What a call that succeeded gave, from what somebody between made of it; null where the function gives
    /// nothing.
    ///
    /// # Errors
    /// When it is not of the function's type.
    pub fn lift_value(&self, value: Value) -> Result<Lifted, LowerError> {
        let packed = match (Lifted::value_shape(&self.plan), value) {
            (Some(shape), value) => lower::value(shape, value)?,
            (None, Value::Null) => Packed::default(),
            (None, other) => {
                return Err(LowerError::Source {
                    place: None,
                    message: format!("the function has no result, and was given {other}"),
                });
            }
        };
        Ok(Lifted::of_value(Arc::clone(&self.plan), packed))
    }

    /// Takes what the call gave back apart: a top-level `result`'s error side is the function's error,
    /// all else is its value.
    #[must_use]
    pub fn lift(&self, result: Option<Packed>) -> Outcome {
        Lifted::split(Arc::clone(&self.plan), result)
    }

    /// The result of a call that gave one of wasmtime's own values. Lifting one that is not of the function's
    /// type is refused, as it is of anything that another function gave.
    #[must_use]
    pub fn pack_result(&self, result: Option<Val>) -> Option<Packed> {
        let shape = self.plan.result.as_ref()?;
        result.map(|value| pack(shape, &value))
    }

    /// Arguments from wasmtime's own values, of which there is one for each parameter; nothing, when they are those of
    /// another function.
    #[must_use]
    pub fn pack_args(&self, args: &[Val]) -> Option<Packed> {
        lift::pack_args(&self.plan.params, args).ok()
    }

    /// A result as wasmtime's own value; nothing, when it is another function's.
    #[must_use]
    pub fn unpack_result(&self, result: &Packed) -> Option<Val> {
        to_val(self.plan.result.as_ref()?, &mut result.reader()).ok()
    }

    /// Arguments that were lowered, as wasmtime's values, for calls that go by way of those. There are none where
    /// the arguments are those of another function.
    #[must_use]
    pub fn unpack_args(&self, args: &Packed) -> Vec<Val> {
        let mut reader = args.reader();
        let values = self.plan.params.shapes.iter().map(|shape| to_val(shape, &mut reader));
        values.collect::<Result<_, _>>().unwrap_or_default()
    }
}

/// The value as bytes: none when it is not of the type, which no reader takes for a value.
fn pack(shape: &Shape, value: &Val) -> Packed {
    let mut bytes = Vec::new();
    match from_val(shape, value, &mut bytes) {
        Ok(()) => bytes.into(),
        Err(_) => Packed::default(),
    }
}

#[cold]
fn no_abi() -> wasmtime::Error {
    wasmtime::Error::msg("the function's values are too large for a memory of 32 bits")
}
