//! Lowers packed values into a guest's memory.

use wasmtime::Error;

use super::encoding::{Encoding, checked_len};
use super::plan::{Cases, Node, Number, Typed};
use super::{MAX_FLAT_PARAMS, Memory, foreign};
use crate::packed::{Reader, discriminant_width};

/// Items of a list stored between two checks of the deadline.
pub(super) const STRETCH: usize = 4096;

/// Writer of one call's arguments into guest memory, read from the front of their packed bytes.
pub(super) struct GuestWriter<'p, 'm, M> {
    args: Reader<'p>,
    pub(super) memory: &'m mut M,
    encoding: Encoding,
}

/// Slice of guest memory that the guest's `realloc` returned.
#[inline]
pub(super) fn slice_mut(memory: &mut [u8], at: usize, len: usize) -> wasmtime::Result<&mut [u8]> {
    let end = at.checked_add(len).ok_or_else(beyond_memory)?;
    memory.get_mut(at..end).ok_or_else(beyond_memory)
}

#[cold]
fn beyond_memory() -> Error {
    Error::msg("realloc return: beyond end of memory")
}

impl<'p, 'm, M: Memory> GuestWriter<'p, 'm, M> {
    pub(super) fn new(args: Reader<'p>, memory: &'m mut M) -> Self {
        let encoding = memory.encoding();
        Self { args, memory, encoding }
    }

    pub(super) fn allocate(&mut self, align: u32, size: usize) -> wasmtime::Result<usize> {
        self.reallocate(0, 0, align, size)
    }

    pub(super) fn reallocate(
        &mut self,
        old: usize,
        old_size: usize,
        align: u32,
        size: usize,
    ) -> wasmtime::Result<usize> {
        self.reallocate_buffer(old, old_size, align, size).map(|(at, _)| at)
    }

    /// Allocates memory in the guest; returns its offset and its bytes.
    #[inline]
    pub(super) fn reallocate_buffer(
        &mut self,
        old: usize,
        old_size: usize,
        align: u32,
        size: usize,
    ) -> wasmtime::Result<(usize, &mut [u8])> {
        let at = self.realloc(old, old_size, align, size)?;
        let bytes = slice_mut(self.memory.bytes()?, at, size)?;
        Ok((at, bytes))
    }

    /// Calls the guest's `realloc`; the caller checks the bounds of the result.
    #[inline]
    fn realloc(
        &mut self,
        old: usize,
        old_size: usize,
        align: u32,
        size: usize,
    ) -> wasmtime::Result<usize> {
        let narrow = |size: usize| u32::try_from(size).map_err(|_| too_large());
        let at = self.memory.realloc(narrow(old)?, narrow(old_size)?, align, narrow(size)?)?;
        if !at.is_multiple_of(align) {
            return Err(misaligned());
        }
        Ok(at as usize)
    }

    /// Stores the next string as UTF-8 in memory that the guest allocates, and its pointer and length at `at`.
    #[inline]
    fn put_utf8(&mut self, at: usize) -> wasmtime::Result<()> {
        let text = self.args.bytes().map_err(foreign)?;
        let len = checked_len(text.len())?;
        let start = self.realloc(0, 0, 1, text.len())?;
        let memory = self.memory.bytes()?;
        slice_mut(memory, start, text.len())?.copy_from_slice(text);
        let pair = start as u64 | u64::from(len) << 32;
        slice_mut(memory, at, 8)?.copy_from_slice(&pair.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn copy(&mut self, at: usize, len: usize) -> wasmtime::Result<()> {
        let bytes = self.args.take(len).map_err(foreign)?;
        slice_mut(self.memory.bytes()?, at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn array<const N: usize>(&mut self, at: usize) -> wasmtime::Result<()> {
        let bytes: [u8; N] = self.args.array().map_err(foreign)?;
        slice_mut(self.memory.bytes()?, at, N)?.copy_from_slice(&bytes);
        Ok(())
    }

    #[inline]
    fn put_pair(&mut self, at: usize, (pointer, len): (u32, u32)) -> wasmtime::Result<()> {
        let pair = u64::from(pointer) | u64::from(len) << 32;
        slice_mut(self.memory.bytes()?, at, 8)?.copy_from_slice(&pair.to_le_bytes());
        Ok(())
    }

    /// Stores the next value at `at`, inside an allocation.
    pub(super) fn put(&mut self, node: &Node, at: usize) -> wasmtime::Result<()> {
        match node {
            Node::Bool => self.array::<1>(at),
            Node::Char => self.array::<4>(at),
            Node::Number(number) => match number.width() {
                1 => self.array::<1>(at),
                2 => self.array::<2>(at),
                4 => self.array::<4>(at),
                _ => self.array::<8>(at),
            },
            Node::Flags(width) => self.copy(at, *width as usize),
            Node::Text if self.encoding == Encoding::Utf8 => self.put_utf8(at),
            Node::Text => {
                let pair = self.next_string()?;
                self.put_pair(at, pair)
            }
            Node::List(item, _) => {
                let pair = self.list(item)?;
                self.put_pair(at, pair)
            }
            Node::Fixed(item, len) => self.items(item, *len as usize, at),
            Node::Each(fields) => {
                for field in fields {
                    let at = at + field.offset as usize;
                    match &field.ty.node {
                        Node::Bool => self.array::<1>(at)?,
                        Node::Text if self.encoding == Encoding::Utf8 => self.put_utf8(at)?,
                        node => self.put(node, at)?,
                    }
                }
                Ok(())
            }
            Node::Enum(cases) => {
                let mut ahead = self.args;
                ahead.case(*cases).map_err(foreign)?;
                self.copy(at, discriminant_width(*cases))
            }
            Node::Cases(cases) => {
                let case = self.peek_case(cases)?;
                self.copy(at, cases.width)?;
                match case {
                    Some(payload) => self.put(&payload.node, at + cases.payload as usize),
                    None => Ok(()),
                }
            }
        }
    }

    fn next_string(&mut self) -> wasmtime::Result<(u32, u32)> {
        let text = self.args.bytes().map_err(foreign)?;
        self.store_string(text)
    }

    /// Reads ahead the payload type of the next case.
    fn peek_case<'c>(&self, cases: &'c Cases) -> wasmtime::Result<Option<&'c Typed>> {
        let mut ahead = self.args;
        let case = ahead.case(cases.payloads.len()).map_err(foreign)?;
        Ok(cases.payloads.get(case).and_then(Option::as_ref))
    }

    /// Stores a list in memory that the guest allocates; returns its pointer and length.
    fn list(&mut self, item: &Typed) -> wasmtime::Result<(u32, u32)> {
        let count = self.args.count().map_err(foreign)?;
        let size = count.checked_mul(item.size as usize).ok_or_else(too_large)?;
        let at = self.allocate(item.align, size)?;
        self.items(item, count, at)?;
        Ok((at as u32, count as u32))
    }

    fn items(&mut self, item: &Typed, count: usize, at: usize) -> wasmtime::Result<()> {
        let size = item.size as usize;
        if item.is_plain() {
            return self.copy(at, count * size);
        }
        for index in 0..count {
            if index % STRETCH == STRETCH - 1 {
                self.memory.check()?;
            }
            self.put(&item.node, at + index * size)?;
        }
        Ok(())
    }

    /// Flattens the next value into the first slots of `flat`; returns the number of slots.
    pub(super) fn flatten(&mut self, node: &Node, flat: &mut [u64]) -> wasmtime::Result<usize> {
        match node {
            Node::Bool => {
                let bits = self.args.u8().map_err(foreign)?;
                set(flat, bits.into())
            }
            Node::Char => {
                let bits = self.args.u32().map_err(foreign)?;
                set(flat, bits.into())
            }
            Node::Number(number) => {
                let bits = self.number(*number)?;
                set(flat, bits)
            }
            Node::Flags(width) => self.flatten_flags(*width as usize, flat),
            Node::Text => {
                let pair = self.next_string()?;
                set_pair(flat, pair)
            }
            Node::List(item, _) => {
                let pair = self.list(item)?;
                set_pair(flat, pair)
            }
            Node::Fixed(item, len) => {
                let mut count = 0;
                for _ in 0..*len {
                    count += self.flatten(&item.node, from(flat, count)?)?;
                }
                Ok(count)
            }
            Node::Each(fields) => {
                let mut count = 0;
                for field in fields {
                    count += self.flatten(&field.ty.node, from(flat, count)?)?;
                }
                Ok(count)
            }
            Node::Enum(cases) => {
                let case = self.args.case(*cases).map_err(foreign)?;
                set(flat, case as u64)
            }
            Node::Cases(cases) => {
                let case = self.args.case(cases.payloads.len()).map_err(foreign)?;
                set(flat, case as u64)?;
                let payloads = from(flat, 1)?;
                if let Some(payload) = cases.payloads.get(case).and_then(Option::as_ref) {
                    self.flatten(&payload.node, payloads)?;
                }
                // Slots of other cases were zero from the start.
                Ok(1 + cases.flat)
            }
        }
    }

    fn flatten_flags(&mut self, width: usize, flat: &mut [u64]) -> wasmtime::Result<usize> {
        let bytes = self.args.take(width).map_err(foreign)?;
        let mut count = 0;
        for (slot, word) in flat.iter_mut().zip(bytes.chunks(4)) {
            let mut bits = [0; 4];
            bits[..word.len()].copy_from_slice(word);
            *slot = u32::from_le_bytes(bits).into();
            count += 1;
        }
        Ok(count)
    }

    /// Bits of the next number as a core value.
    fn number(&mut self, number: Number) -> wasmtime::Result<u64> {
        let signed = |value: i32| u64::from(value as u32);
        Ok(match number {
            Number::S8 => signed(self.args.i8().map_err(foreign)?.into()),
            Number::U8 => self.args.u8().map_err(foreign)?.into(),
            Number::S16 => signed(self.args.i16().map_err(foreign)?.into()),
            Number::U16 => self.args.u16().map_err(foreign)?.into(),
            Number::I32 | Number::F32 => self.args.u32().map_err(foreign)?.into(),
            Number::I64 | Number::F64 => self.args.u64().map_err(foreign)?,
        })
    }
}

#[cold]
fn misaligned() -> Error {
    Error::msg("realloc return: result not aligned")
}

#[cold]
fn too_large() -> Error {
    Error::msg("size overflow copying a list")
}

/// Error for a missing slot; slots were counted when the function loaded.
#[cold]
fn no_slot() -> Error {
    Error::msg(format!(
        "a value has more core values than its type: at most {MAX_FLAT_PARAMS} are allowed"
    ))
}

fn set(flat: &mut [u64], bits: u64) -> wasmtime::Result<usize> {
    *flat.first_mut().ok_or_else(no_slot)? = bits;
    Ok(1)
}

fn set_pair(flat: &mut [u64], (pointer, len): (u32, u32)) -> wasmtime::Result<usize> {
    set(flat, pointer.into())?;
    set(from(flat, 1)?, len.into())?;
    Ok(2)
}

fn from(flat: &mut [u64], at: usize) -> wasmtime::Result<&mut [u64]> {
    flat.get_mut(at..).ok_or_else(no_slot)
}
