//! Encodings of strings in a guest's memory.

use wasmtime::Error;

use crate::packed::Sink;

/// Encoding of a guest's strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// `utf8`
    #[default]
    Utf8,
    /// `utf16`, little-endian.
    Utf16,
    /// `latin1+utf16`: Latin-1 where the text allows, else UTF-16 with a tag on its length.
    CompactUtf16,
}

/// Tag on a `latin1+utf16` string's length: the string is UTF-16.
pub(super) const UTF16_TAG: u32 = 1 << 31;

/// Most bytes of a string, in any encoding.
const MAX_BYTES: usize = (1 << 31) - 1;

/// Returns the length of a string in memory; fails when it is too long.
#[inline]
pub(super) fn checked_len(bytes: usize) -> wasmtime::Result<u32> {
    if bytes > MAX_BYTES {
        let found = format!("string length of {bytes} too large to copy into wasm");
        return Err(Error::msg(found));
    }
    Ok(bytes as u32)
}

impl Encoding {
    /// Size in bytes and alignment of a string whose length in memory is `len`.
    pub(super) fn extent(self, len: u32) -> (usize, usize) {
        match self {
            Self::Utf8 => (len as usize, 1),
            Self::Utf16 => (len as usize * 2, 2),
            Self::CompactUtf16 if len & UTF16_TAG == 0 => (len as usize, 2),
            Self::CompactUtf16 => ((len ^ UTF16_TAG) as usize * 2, 2),
        }
    }

    /// Decodes a guest's string, whose length in memory is `len`, and appends it.
    pub(super) fn decode(
        self,
        len: u32,
        bytes: &[u8],
        out: &mut impl Sink,
    ) -> wasmtime::Result<()> {
        match self {
            Self::Utf8 => {
                str::from_utf8(bytes)?;
                out.put(bytes);
            }
            Self::CompactUtf16 if len & UTF16_TAG == 0 => {
                for byte in bytes {
                    push(char::from(*byte), out);
                }
            }
            Self::Utf16 | Self::CompactUtf16 => {
                let (units, _) = bytes.as_chunks::<2>();
                for c in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
                    push(c?, out);
                }
            }
        }
        Ok(())
    }
}

fn push(c: char, out: &mut impl Sink) {
    out.put(c.encode_utf8(&mut [0; 4]).as_bytes());
}
