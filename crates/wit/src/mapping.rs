//! Mapping of one exported function: made once when it loads, used by every call.

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
use crate::plan::{Plan, PlanRef};
use crate::shape::{Record, Shape};
use crate::wave;

/// Types of one exported function, known before an instance exists and prepared so that calls look up nothing.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(crate) plan: Arc<PlanRef>,
}

impl Mapping {
    /// Reads the type of an exported function.
    ///
    /// # Errors
    /// Fails when a parameter or the result has a type without plain values: a resource, stream, future or error
    /// context. The error names it.
    pub fn new(func: &ComponentFunc) -> Result<Self, UnsupportedType> {
        Self::from_signature(describe::signature(func)?)
    }

    /// Makes the mapping of a function with this signature, for tools without a component.
    ///
    /// # Errors
    /// Fails when the signature holds a type that this version does not know.
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
        Ok(Self { plan: PlanRef::new(Plan { signature, params, arguments, result, abi }) })
    }

    /// Returns the same mapping with a reference count of its own, for threads that must not share one with others.
    #[must_use]
    pub fn lane(&self) -> Self {
        Self { plan: self.plan.lane() }
    }

    /// Signature of the function.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.plan.signature
    }

    /// Core parameter and result types of the function in the canonical ABI; `None` when its values do not fit a 32-bit
    /// memory.
    #[must_use]
    pub fn core_type(&self) -> Option<(Vec<CoreType>, Vec<CoreType>)> {
        self.plan.abi.as_ref().map(Abi::core_type)
    }

    /// Returns true if arguments are core values only, which need neither the guest's memory nor its `realloc`.
    #[must_use]
    pub fn takes_flat(&self) -> bool {
        self.plan.abi.as_ref().is_some_and(Abi::takes_flat)
    }

    /// Lowers packed arguments that are all numbers; returns the bits of the core values.
    ///
    /// # Errors
    /// Fails when an argument is not a number.
    pub fn lower_numbers(&self, args: &Packed) -> wasmtime::Result<Vec<u64>> {
        self.plan.abi.as_ref().ok_or_else(no_abi)?.lower_numbers(args)
    }

    /// Lifts a result that is a number or a tuple of numbers, from the bits of the function's core results.
    ///
    /// # Errors
    /// Fails for any other result type.
    pub fn lift_numbers(&self, flat: &[u64]) -> wasmtime::Result<Option<Packed>> {
        self.plan.abi.as_ref().ok_or_else(no_abi)?.lift_numbers(flat)
    }

    /// Lowers packed arguments into a guest; returns the bits of the core values to call it with, and their number.
    ///
    /// # Errors
    /// Fails when the guest does not allocate the memory, or the arguments are another function's.
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

    /// Lifts the result of a call out of a guest: from the bits of its core result, if any, and its memory.
    ///
    /// # Errors
    /// Fails when the result is invalid for the function's type, or too large.
    pub fn lift_flat(
        &self,
        flat: u64,
        memory: &[u8],
        lifting: &mut impl Lifting,
    ) -> wasmtime::Result<Option<Packed>> {
        let abi = self.plan.abi.as_ref().ok_or_else(no_abi)?;
        abi.lift(flat, memory, Encoding::Utf8, lifting)
    }

    /// Lowers the sequence of arguments in `arguments`, each by its type, without a tree in between. Options at the end
    /// may be omitted.
    ///
    /// # Errors
    /// Fails when an argument is not of its type, the number of arguments is wrong, or the source is malformed. The
    /// error names the place, the expected type and the value found.
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
    /// Fails as [`Mapping::lower`].
    pub fn lower_json(&self, text: &[u8]) -> Result<Packed, LowerError> {
        match self.read_json(text, true) {
            // The text decides about a rounded float: the integer as written counts.
            Err(LowerError::Value { mismatch, .. })
                if scalar::may_be_rounded(&mismatch) && !json::has_integer_below_s64(text) =>
            {
                self.read_json(text, false)
            }
            lowered => lowered,
        }
    }

    fn read_json(&self, text: &[u8], rounds: bool) -> Result<Packed, LowerError> {
        // Validates UTF-8 once here, instead of once for each string.
        let run = Run::with_capacity(true, rounds, text.len());
        match str::from_utf8(text) {
            Ok(text) => self.lower_whole(run, serde_json::Deserializer::from_str(text)),
            Err(_) => self.lower_whole(run, serde_json::Deserializer::from_slice(text)),
        }
    }

    /// Lowers the whole input of `reader`.
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

    /// Lowers Rust values by their own types: a tuple, an array or a sequence holds the arguments in order, a struct
    /// holds them by name, `()` means no arguments.
    ///
    /// # Errors
    /// Fails as [`Mapping::lower`].
    pub fn lower_serialize<T: Serialize + ?Sized>(&self, args: &T) -> Result<Packed, LowerError> {
        let run = Run::new(true, false);
        let lowered = rust::lower(&self.plan.arguments, &run, args);
        run.finish(lowered, Some(&self.plan.params))
    }

    /// Lowers arguments in WAVE text, in parentheses as in a call: `(6, {name: "Ann"})`.
    ///
    /// WAVE has no maps: a list of pairs is read as a map.
    ///
    /// # Errors
    /// Fails as [`Mapping::lower`].
    pub fn lower_wave(&self, text: &str) -> Result<Packed, LowerError> {
        wave::lower(&self.plan.params, text)
    }

    /// Lowers arguments in any of the supported forms.
    ///
    /// # Errors
    /// Fails as [`Mapping::lower`].
    pub fn lower_args(&self, args: Args<'_>) -> Result<Packed, LowerError> {
        match args {
            Args::Values(values) => self.lower(Value::List(values)),
            Args::Json(text) => self.lower_json(&text),
            Args::Source(source) => self.lower(source),
            _ => Err(LowerError::Source {
                place: None,
                message: "they are in an unsupported form".to_owned(),
            }),
        }
    }

    /// Converts lowered arguments to values, so that an interceptor sees one form of them for all callers. Lowering the
    /// values again gives the same arguments.
    ///
    /// # Errors
    /// Fails when they are the arguments of another function.
    pub fn to_values(&self, args: &Packed) -> Result<Vec<Value>, LowerError> {
        lift::arguments(&self.plan.params, args).map_err(|_| LowerError::Source {
            place: None,
            message: "they are those of another function".to_owned(),
        })
    }

    /// Makes a call's result from the value that an interceptor returned; null for a function without a result.
    ///
    /// # Errors
    /// Fails when the value is not of the function's type.
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

    /// Splits the result of a call: the error side of a top-level `result` is the function's error, all else is its
    /// value.
    #[must_use]
    pub fn lift(&self, result: Option<Packed>) -> Outcome {
        Lifted::split(Arc::clone(&self.plan), result)
    }

    /// Packs a result of wasmtime's own value. A value of another function's type is refused later, when it is lifted.
    #[must_use]
    pub fn pack_result(&self, result: Option<Val>) -> Option<Packed> {
        let shape = self.plan.result.as_ref()?;
        result.map(|value| pack(shape, &value))
    }

    /// Packs arguments of wasmtime's own values, one for each parameter; `None` when they are another function's.
    #[must_use]
    pub fn pack_args(&self, args: &[Val]) -> Option<Packed> {
        lift::pack_args(&self.plan.params, args).ok()
    }

    /// Converts a result to wasmtime's own value; `None` when it is another function's.
    #[must_use]
    pub fn unpack_result(&self, result: &Packed) -> Option<Val> {
        to_val(self.plan.result.as_ref()?, &mut result.reader()).ok()
    }

    /// Converts lowered arguments to wasmtime's own values, for calls that take those; empty when they are another
    /// function's.
    #[must_use]
    pub fn unpack_args(&self, args: &Packed) -> Vec<Val> {
        let mut reader = args.reader();
        let values = self.plan.params.shapes.iter().map(|shape| to_val(shape, &mut reader));
        values.collect::<Result<_, _>>().unwrap_or_default()
    }
}

/// Packs a value; empty when it is not of the type, which every reader refuses.
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
