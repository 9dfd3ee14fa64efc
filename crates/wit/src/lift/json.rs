//! Packed values as JSON text, byte for byte as `serde_json` writes their `Serialize`.
//!
//! Faster than `serde_json`, because the format is known: names were quoted when the function was loaded, and text is
//! copied in runs.

use serde::Serialize;

use super::parts::{Case, count, fixed, special};
use crate::packed::{Malformed, Reader};
use crate::shape::{MapShape, Record, Shape};

/// Bytes to reserve for the text of a value of `packed` bytes. Names and punctuation about double the size; a large
/// value may be one string, so growing is cheaper than unused room.
pub(super) fn size_hint(packed: usize) -> usize {
    if packed <= 4096 { 2 * packed + 32 } else { packed }
}

/// Appends the value at `reader` and advances to its end.
pub(super) fn write(
    shape: &Shape,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    match shape {
        Shape::Bool => out.extend_from_slice(if reader.bool()? { b"true" } else { b"false" }),
        Shape::S8 => number(reader.i8()?, out)?,
        Shape::U8 => number(reader.u8()?, out)?,
        Shape::S16 => number(reader.i16()?, out)?,
        Shape::U16 => number(reader.u16()?, out)?,
        Shape::S32 => number(reader.i32()?, out)?,
        Shape::U32 => number(reader.u32()?, out)?,
        Shape::S64 => number(reader.i64()?, out)?,
        Shape::U64 => number(reader.u64()?, out)?,
        Shape::F32 => float(reader.f32()?, out)?,
        Shape::F64 => float(reader.f64()?, out)?,
        Shape::Char => named(reader.char()?.encode_utf8(&mut [0; 4]), out),
        Shape::String => text(reader, out)?,
        Shape::Bytes(None) => octets(reader.bytes()?, out),
        Shape::Bytes(Some(len)) => octets(reader.take(*len as usize)?, out),
        Shape::List(item) => {
            let count = count(item, reader)?;
            items(item, count, reader, out)?;
        }
        Shape::FixedList(item, len) => {
            let count = fixed(item, *len, *reader)?;
            items(item, count, reader, out)?;
        }
        Shape::Map(map) => entries(map, reader, out)?,
        Shape::Tuple(shapes) => {
            list(shapes.iter(), out, |shape, out| write(shape, reader, out))?;
        }
        Shape::Record(record) => fields(record, reader, out)?,
        Shape::Flags(names) => {
            list(reader.flags(names.len())?, out, |at, out| {
                named(names.name(at), out);
                Ok(())
            })?;
        }
        Shape::Option(option) if !option.marked => match reader.bool()? {
            false => out.extend_from_slice(b"null"),
            true => write(&option.some, reader, out)?,
        },
        Shape::Variant(_) | Shape::Enum(_) | Shape::Result(_) | Shape::Option(_) => {
            case(shape, reader, out)?;
        }
        // Arguments are the root of lowering and never part of a result.
        Shape::Arguments(_) => return Err(Malformed),
    }
    Ok(())
}

fn fields(record: &Record, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    for (key, shape) in record.names.keys().zip(&record.shapes) {
        out.extend_from_slice(key.as_bytes());
        match shape {
            Shape::String => text(reader, out)?,
            Shape::U32 => number(reader.u32()?, out)?,
            shape => write(shape, reader, out)?,
        }
    }
    // Replaces the first key's comma.
    match out.get_mut(start) {
        Some(open) => *open = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    Ok(())
}

/// Writes a float, or the name of one that JSON lacks.
fn float<T: Copy + Into<f64> + Serialize>(value: T, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match special(value.into()) {
        Some(name) => named(name, out),
        None => number(value, out)?,
    }
    Ok(())
}

/// Writes a number as `serde_json` does.
fn number(value: impl Serialize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    // Cannot fail: the number is finite, and memory accepts every write.
    serde_json::to_writer(out, &value).map_err(|_| Malformed)
}

/// Writes a string. Most are short and plain, and their bytes are read once.
fn text(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut ahead = *reader;
    let bytes = ahead.bytes()?;
    if is_plain(bytes) {
        *reader = ahead;
        out.reserve(bytes.len() + 2);
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    } else {
        named(reader.text()?, out);
    }
    Ok(())
}

/// Returns true if all bytes are ASCII without escapes; reads eight bytes at a time.
fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // High bit of a byte below `than`, if no byte before it has it set.
    let below = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word & HIGH;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let special = |word: u64| word & HIGH | below(word, b' ') | is(word, b'"') | is(word, b'\\');
    let (words, rest) = bytes.as_chunks();
    let mut last = [b' '; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let found = words.iter().fold(0, |found, word| found | special(u64::from_le_bytes(*word)));
    found | special(u64::from_le_bytes(last)) == 0
}

fn named(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = escaped.split_first() else { break };
        escape(*byte, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => {
            let low = byte & 0xf;
            let digit = if low < 10 { b'0' + low } else { b'a' + low - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// `[1,20,255]`
fn octets(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let digits = [b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10];
        let skipped = usize::from(*byte < 100) + usize::from(*byte < 10);
        out.extend_from_slice(digits.get(skipped..).unwrap_or_default());
    }
    out.push(b']');
}

fn list<T>(
    parts: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    out.push(b'[');
    for (at, part) in parts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(part, out)?;
    }
    out.push(b']');
    Ok(())
}

fn items(
    item: &Shape,
    count: usize,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    list(0..count, out, |_, out| write(item, reader, out))
}

fn entries(map: &MapShape, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let count = count(&map.pair, reader)?;
    if !map.has_text_keys() {
        return items(&map.pair, count, reader, out);
    }
    out.push(b'{');
    for at in 0..count {
        if at > 0 {
            out.push(b',');
        }
        write(map.key(), reader, out)?;
        out.push(b':');
        write(map.value(), reader, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// `"case"`, `{"case":payload}`, or null of a nested option.
fn case(shape: &Shape, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let Some(Case { name, payload, is_bare }) = Case::read(shape, reader)? else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    if is_bare {
        named(name, out);
        return Ok(());
    }
    out.push(b'{');
    named(name, out);
    out.push(b':');
    match payload {
        Some(shape) => write(shape, reader, out)?,
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    Ok(())
}
