//! Lowers strings into a guest, in its encoding.

use super::Memory;
use super::encoding::{Encoding, UTF16_TAG, sized};
use super::store::Storing;

impl<M: Memory> Storing<'_, '_, M> {
    /// Stores a string in memory that the guest allocates; returns its pointer and length. Allocates in the pattern of
    /// `CanonicalABI.md` for a UTF-8 source; for `latin1+utf16`, in that of a source that is Latin-1 so far.
    pub(super) fn text(&mut self, text: &[u8]) -> wasmtime::Result<(u32, u32)> {
        match self.memory.encoding() {
            Encoding::Utf8 => {
                let len = sized(text.len())?;
                let (at, bytes) = self.place(0, 0, 1, text.len())?;
                bytes.copy_from_slice(text);
                Ok((at as u32, len))
            }
            Encoding::Utf16 => {
                let worst = text.len() * 2;
                sized(worst)?;
                let (mut at, room) = self.place(0, 0, 2, worst)?;
                let units = copy_units(valid(text)?, room);
                if units * 2 < worst {
                    at = self.reallocate(at, worst, 2, units * 2)?;
                }
                Ok((at as u32, units as u32))
            }
            Encoding::CompactUtf16 => self.compact(valid(text)?),
        }
    }

    fn compact(&mut self, text: &str) -> wasmtime::Result<(u32, u32)> {
        sized(text.len())?;
        let (at, room) = self.place(0, 0, 2, text.len())?;
        let mut len = 0;
        for (start, c) in text.char_indices() {
            let (Ok(byte), Some(slot)) = (u8::try_from(u32::from(c)), room.get_mut(len)) else {
                return self.widen(&text[start..], at, (text.len(), len));
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

    /// Continues in UTF-16 after `len` Latin-1 characters at `at`, in an allocation of `size` bytes.
    fn widen(
        &mut self,
        rest: &str,
        at: usize,
        (size, len): (usize, usize),
    ) -> wasmtime::Result<(u32, u32)> {
        let worst = size * 2;
        sized(worst)?;
        let (at, room) = self.place(at, size, 2, worst)?;
        for unit in (0..len).rev() {
            room[2 * unit] = room[unit];
            room[2 * unit + 1] = 0;
        }
        let units = len + copy_units(rest, &mut room[2 * len..]);
        let at = match units * 2 < worst {
            true => self.reallocate(at, worst, 2, units * 2)?,
            false => at,
        };
        Ok((at as u32, units as u32 | UTF16_TAG))
    }
}

fn valid(text: &[u8]) -> wasmtime::Result<&str> {
    Ok(str::from_utf8(text)?)
}

/// Copies text as UTF-16; returns the number of code units.
fn copy_units(text: &str, room: &mut [u8]) -> usize {
    let mut units = 0;
    for (unit, slot) in text.encode_utf16().zip(room.chunks_exact_mut(2)) {
        slot.copy_from_slice(&unit.to_le_bytes());
        units += 1;
    }
    units
}
