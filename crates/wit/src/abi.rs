//! The canonical ABI: packed values into a guest's memory and out of it.
//!
//! Follows `CanonicalABI.md` of the component model: sizes, alignment, flattening, string encodings, and the checks on
//! guest data. [`Memory`] is the only access to a guest, so components and core modules share one implementation. The
//! plan of a type ([`Node`]) is made once, when its function loads.
//!
//! [`CanonicalABI.md`]: https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md

mod encoding;
mod load;
mod plan;
mod store;
mod string;

use wasmtime::Error;

use crate::packed::Packed;
use crate::shape::{Record, Shape};

pub use encoding::Encoding;
pub use load::{Lifting, OverOutput};

use load::Load;
use plan::{Node, Typed};
use store::GuestWriter;

/// Most core values that arguments are passed in; more go through memory.
pub(crate) const MAX_FLAT_PARAMS: usize = 16;

/// Bytes reserved for a result in memory before any of it is read.
const FIRST: usize = 256;

/// Access to a guest's memory for lifting and lowering.
///
/// The guest is not trusted: pointers that it returns are checked against [`Memory::bytes`] after each call.
pub trait Memory {
    /// Returns the whole memory; an allocation may have grown it.
    ///
    /// # Errors
    /// Fails when the guest has no memory.
    fn bytes(&mut self) -> wasmtime::Result<&mut [u8]>;

    /// Calls the guest's `realloc`.
    ///
    /// # Errors
    /// Fails when the guest has no `realloc`, traps, or is interrupted.
    fn realloc(&mut self, old: u32, old_size: u32, align: u32, size: u32) -> wasmtime::Result<u32>;

    /// Encoding of the guest's strings.
    fn encoding(&self) -> Encoding {
        Encoding::Utf8
    }

    /// Checks the deadline; called between pieces of work.
    ///
    /// # Errors
    /// Fails when the deadline has passed.
    fn check(&mut self) -> wasmtime::Result<()>;
}

/// Core type of a flattened value.
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

/// Plan of one function in the canonical ABI.
#[derive(Debug)]
pub(crate) struct Abi {
    params: Typed,
    result: Option<Typed>,
}

impl Abi {
    /// Plans a function; `None` when its values do not fit a 32-bit memory.
    pub(crate) fn new(params: &Record, result: Option<&Shape>) -> Option<Self> {
        let result = match result {
            Some(shape) => Some(Typed::new(shape)?),
            None => None,
        };
        Some(Self { params: Typed::of_each(&params.shapes)?, result })
    }

    /// Core parameter and result types of the function.
    pub(crate) fn core_type(&self) -> (Vec<CoreType>, Vec<CoreType>) {
        let params = self.params.flat();
        let params =
            if params.len() > MAX_FLAT_PARAMS { vec![CoreType::I32] } else { params.to_vec() };
        let result = self.result.as_ref().map_or(&[][..], Typed::flat);
        let result = if result.len() > 1 { vec![CoreType::I32] } else { result.to_vec() };
        (params, result)
    }

    /// Returns true if arguments are core values only, which need neither memory nor `realloc`.
    pub(crate) fn takes_flat(&self) -> bool {
        self.params.flat().len() <= MAX_FLAT_PARAMS && !self.params.points()
    }

    /// Lowers arguments that are all numbers, whatever their count.
    pub(crate) fn lower_numbers(&self, args: &Packed) -> wasmtime::Result<Vec<u64>> {
        let Node::Each(fields) = &self.params.node else { return Err(not_numbers()) };
        let mut memory = NoMemory;
        let mut store = GuestWriter::new(args.reader(), &mut memory);
        let mut flat = vec![0; fields.len()];
        for (field, slot) in fields.iter().zip(&mut flat) {
            store.flatten(&field.ty.node, std::slice::from_mut(slot))?;
        }
        Ok(flat)
    }

    /// Lifts a result that is a number or a tuple of numbers.
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

    /// Lowers the arguments of a call into `flat`, which has [`MAX_FLAT_PARAMS`] slots; a slot holds the bits of one
    /// core value. Returns the number of slots used.
    pub(crate) fn lower<M: Memory>(
        &self,
        args: &Packed,
        memory: &mut M,
        flat: &mut [u64; MAX_FLAT_PARAMS],
    ) -> wasmtime::Result<usize> {
        let mut store = GuestWriter::new(args.reader(), memory);
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

    /// Lifts the result of a call from its core result, if any, and the guest's memory.
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

/// Error for packed bytes of another function's arguments.
#[cold]
fn foreign(_: crate::packed::Malformed) -> Error {
    Error::msg("the arguments do not match the parameter types of the function")
}

#[cold]
fn not_numbers() -> Error {
    Error::msg("the parameters or results of the function are not plain numbers")
}

/// Guest without memory: numbers need none.
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

/// Limits for numbers, which are always small.
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
