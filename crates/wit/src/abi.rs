//! The canonical ABI: packed values into a guest's memory and out of it.
//!
//! Follows `CanonicalABI.md` of the component model: sizes, alignment, flattening, string encodings, and the checks
//! on what a guest hands over. A [`Memory`] is all that it asks of a guest, so that components and core modules
//! are served by one implementation; the plan of a type ([`Node`]) is made once, when its function loads.
//!
//! [`CanonicalABI.md`]: https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md

mod encoding;
mod load;
mod plan;
mod store;
mod text;

use wasmtime::Error;

use crate::packed::Packed;
use crate::shape::{Record, Shape};

pub use encoding::Encoding;
pub use load::{Lifting, OverOutput};

use load::Load;
use plan::{Node, Typed};
use store::Storing;

/// Core values that arguments are passed in; more of them go through memory.
pub(crate) const MAX_FLAT_PARAMS: usize = 16;

/// Bytes that are reserved for a result in memory before any of it has been seen.
const FIRST: usize = 256;

/// A guest's memory, as far as values are concerned.
///
/// Answers of a guest are not trusted: pointers are checked against [`Memory::bytes`] after each call.
pub trait Memory {
    /// All of the memory as it is now: an allocation may grow it.
    ///
    /// # Errors
    /// Fails when the guest has none.
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]>;

    /// Calls the guest's `realloc`.
    ///
    /// # Errors
    /// Fails when the guest has none, traps, or is interrupted.
    fn realloc(&mut self, old: u32, old_size: u32, align: u32, size: u32) -> wasmtime::Result<u32>;

    /// Encoding that the guest wants its strings in.
    fn encoding(&self) -> Encoding {
        Encoding::Utf8
    }

    /// Looks at the clock, between stretches of work.
    ///
    /// # Errors
    /// Fails when time is up.
    fn check(&mut self) -> wasmtime::Result<()>;
}

/// A core type, as values are flattened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoreType {
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `f32`
    F32,
    /// `f64`
    F64,
}

/// One function in the canonical ABI.
#[derive(Debug)]
pub(crate) struct Abi {
    params: Typed,
    result: Option<Typed>,
}

impl Abi {
    /// The plan of a function, unless its values have no size in a memory of 32 bits.
    pub(crate) fn new(params: &Record, result: Option<&Shape>) -> Option<Self> {
        let result = match result {
            Some(shape) => Some(Typed::new(shape)?),
            None => None,
        };
        Some(Self { params: Typed::of_each(&params.shapes)?, result })
    }

    /// The core type of the function.
    pub(crate) fn core_type(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        let params = self.params.flat();
        let params =
            if params.len() > MAX_FLAT_PARAMS { vec![CoreType::I32] } else { params.to_vec() };
        let result = self.result.as_ref().map_or(&[][..], Typed::flat);
        let result = if result.len() > 1 { vec![CoreType::I32] } else { result.to_vec() };
        (params, result)
    }

    /// Whether arguments are core values alone, so that they need neither memory nor `realloc`.
    pub(crate) fn takes_flat(&self) -> bool {
        self.params.flat().len() <= MAX_FLAT_PARAMS && !self.params.points()
    }

    /// Lowers arguments each of which is a number, however many they are.
    pub(crate) fn lower_numbers(&self, args: &Packed) -> wasmtime::Result<Vec<u64>> {
        let Node::Each(fields) = &self.params.node else { return Err(not_numbers()) };
        let mut memory = NoMemory;
        let mut store = Storing::new(args.reader(), &mut memory);
        let mut flat = vec![0; fields.len()];
        for (field, slot) in fields.iter().zip(&mut flat) {
            store.flatten(&field.ty.node, std::slice::from_mut(slot))?;
        }
        Ok(flat)
    }

    /// Lifts a result that is a number, or a tuple of them.
    pub(crate) fn lift_numbers(&self, flat: &[u64]) -> wasmtime::Result<Option<Packed>> {
        let Some(result) = &self.result else { return Ok(None) };
        let (memory, encoding, out) = (&[][..], Encoding::Utf8, Packed::default());
        let mut load = Load { memory, encoding, lifting: &mut Unbounded, out, lengths: 0 };
        match (&result.node, flat) {
            (Node::Each(fields), flat) if fields.len() == flat.len() => {
                for (field, bits) in fields.iter().zip(flat) {
                    load.flat(&field.ty.node, *bits)?;
                }
            }
            (node, [bits]) => load.flat(node, *bits)?,
            _ => return Err(not_numbers()),
        }
        Ok(Some(load.out))
    }

    /// Lowers the arguments of a call into `flat`, which has room for [`MAX_FLAT_PARAMS`]; the slots are the bits of
    /// each core value. Gives how many there are.
    pub(crate) fn lower<M: Memory>(
        &self,
        args: &Packed,
        memory: &mut M,
        flat: &mut [u64; MAX_FLAT_PARAMS],
    ) -> wasmtime::Result<usize> {
        let mut store = Storing::new(args.reader(), memory);
        let count = self.params.flat().len();
        if count <= MAX_FLAT_PARAMS {
            store.flatten(&self.params.node, flat)?;
            return Ok(count);
        }
        let at = store.allocate(self.params.align, self.params.size as usize)?;
        store.put(&self.params.node, at)?;
        flat[0] = at as u64;
        Ok(1)
    }

    /// Lifts the result of a call from the core value that it gave, if any, and the guest's memory.
    pub(crate) fn lift<L: Lifting>(
        &self,
        flat: u64,
        memory: &[u8],
        encoding: Encoding,
        lifting: &mut L,
    ) -> wasmtime::Result<Option<Packed>> {
        let Some(result) = &self.result else { return Ok(None) };
        if result.flat().len() <= 1 {
            let out = Packed::default();
            let mut load = Load { memory, encoding, lifting, out, lengths: 0 };
            load.flat(&result.node, flat)?;
            load.bound(0)?;
            return Ok(Some(load.out));
        }
        let at = flat as u32 as usize;
        if !at.is_multiple_of(result.align as usize) {
            return Err(Error::msg("return pointer not aligned"));
        }
        if at.checked_add(result.size as usize).is_none_or(|end| end > memory.len()) {
            return Err(Error::msg("pointer out of bounds of memory"));
        }
        let mut load =
            Load { memory, encoding, lifting, out: Vec::with_capacity(FIRST), lengths: 0 };
        load.get(&result.node, at)?;
        load.bound(0)?;
        Ok(Some(Packed::from(load.out)))
    }
}

/// Packed bytes that are not those of the function's arguments: they are another function's.
#[cold]
fn foreign(_: crate::packed::Malformed) -> Error {
    Error::msg("the arguments are not of the types that the function takes")
}

#[cold]
fn not_numbers() -> Error {
    Error::msg("the function takes or gives more than numbers")
}

/// A guest that numbers need no memory of.
struct NoMemory;

impl Memory for NoMemory {
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]> {
        Err(not_numbers())
    }

    fn realloc(&mut self, _: u32, _: u32, _: u32, _: u32) -> wasmtime::Result<u32> {
        Err(not_numbers())
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// Numbers, which are never many bytes.
struct Unbounded;

impl Lifting for Unbounded {
    fn max_output(&self) -> u64 {
        u64::MAX
    }

    fn spend(&mut self, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }
}
