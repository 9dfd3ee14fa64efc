//! Stores strings in a guest's memory, in the guest's encoding.

use super::Memory;
use super::encoding::{Encoding, UTF16_TAG, checked_len};
use super::store::GuestWriter;

impl<M: Memory> GuestWriter<'_, '_, M> {
    /// Stores a string in memory that the guest allocates; returns its pointer and length.
    ///
    /// The sequence of `realloc` calls is that of `CanonicalABI.md` for a UTF-8 source; for `latin1+utf16`, that of a
    /// source that is Latin-1 so far.
    pub(super) fn store_string(&mut self, utf8: &[u8]) -> wasmtime::Result<(u32, u32)> {
        match self.memory.encoding() {
            Encoding::Utf8 => {
                let len = checked_len(utf8.len())?;
                let (at, buffer) = self.reallocate_buffer(0, 0, 1, utf8.len())?;
                buffer.copy_from_slice(utf8);
                Ok((at as u32, len))
            }
            Encoding::Utf16 => self.store_utf16(str::from_utf8(utf8)?),
            Encoding::CompactUtf16 => self.store_latin1_or_utf16(str::from_utf8(utf8)?),
        }
    }

    fn store_utf16(&mut self, text: &str) -> wasmtime::Result<(u32, u32)> {
        let worst_case = text.len() * 2;
        checked_len(worst_case)?;
        let (mut at, buffer) = self.reallocate_buffer(0, 0, 2, worst_case)?;
        let units = encode_utf16(text, buffer);
        if units * 2 < worst_case {
            at = self.reallocate(at, worst_case, 2, units * 2)?;
        }
        Ok((at as u32, units as u32))
    }

    fn store_latin1_or_utf16(&mut self, text: &str) -> wasmtime::Result<(u32, u32)> {
        checked_len(text.len())?;
        let (at, buffer) = self.reallocate_buffer(0, 0, 2, text.len())?;
        let mut len = 0;
        for (start, c) in text.char_indices() {
            let (Ok(byte), Some(slot)) = (u8::try_from(u32::from(c)), buffer.get_mut(len)) else {
                return self.inflate_to_utf16(&text[start..], at, (text.len(), len));
            };
            *slot = byte;
            len += 1;
        }
        let at = match len < text.len() {
            true => self.reallocate(at, text.len(), 2, len)?,
            false => at,
        };
        Ok((at as u32, len as u32))
    }

    /// Converts the first `len` Latin-1 characters, at `at` in an allocation of `size` bytes, to UTF-16, and appends
    /// `rest`.
    fn inflate_to_utf16(
        &mut self,
        rest: &str,
        at: usize,
        (size, len): (usize, usize),
    ) -> wasmtime::Result<(u32, u32)> {
        let worst_case = size * 2;
        checked_len(worst_case)?;
        let (at, buffer) = self.reallocate_buffer(at, size, 2, worst_case)?;
        for unit in (0..len).rev() {
            buffer[2 * unit] = buffer[unit];
            buffer[2 * unit + 1] = 0;
        }
        let units = len + encode_utf16(rest, &mut buffer[2 * len..]);
        let at = match units * 2 < worst_case {
            true => self.reallocate(at, worst_case, 2, units * 2)?,
            false => at,
        };
        Ok((at as u32, units as u32 | UTF16_TAG))
    }
}

/// Encodes text as little-endian UTF-16; returns the number of code units.
fn encode_utf16(text: &str, buffer: &mut [u8]) -> usize {
    let mut units = 0;
    for (unit, slot) in text.encode_utf16().zip(buffer.chunks_exact_mut(2)) {
        slot.copy_from_slice(&unit.to_le_bytes());
        units += 1;
    }
    units
}
