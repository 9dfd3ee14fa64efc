//! Packed values into any serde format, read from the front while they are written.

use std::cell::Cell;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer};

use super::Lifted;
use super::parts::{Case, count, fixed, special};
use crate::packed::{Malformed, Reader};
use crate::shape::{MapShape, Names, Record, Shape};

impl Serialize for Lifted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shape() {
            Some(shape) => part(&mut self.reader(), shape, |value| value.serialize(serializer)),
            None => serializer.serialize_unit(),
        }
    }
}

fn strange<E: Error>(malformed: Malformed) -> E {
    E::custom(malformed)
}

/// Value to serialize. A serializer may write it several times: each time starts at the same place.
struct Typed<'a, 'r> {
    shape: &'a Shape,
    start: Reader<'a>,
    /// Set to the value's end after it was written; the enclosing value continues there.
    end: &'r Cell<Reader<'a>>,
}

/// Writes the part at `reader` and advances to its end.
fn part<'a, T, E: Error>(
    reader: &mut Reader<'a>,
    shape: &'a Shape,
    write: impl FnOnce(&Typed<'a, '_>) -> Result<T, E>,
) -> Result<T, E> {
    let end = Cell::new(*reader);
    let written = write(&Typed { shape, start: *reader, end: &end })?;
    let left = reader.rest().len();
    *reader = end.into_inner();
    if reader.rest().len() == left {
        // The serializer ignored the value.
        reader.skip(shape).map_err(strange)?;
    }
    Ok(written)
}

impl Serialize for Typed<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reader = self.start;
        let written = write(self.shape, &mut reader, serializer)?;
        self.end.set(reader);
        Ok(written)
    }
}

fn write<'a, S: Serializer>(
    shape: &'a Shape,
    reader: &mut Reader<'a>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match shape {
        Shape::Bool => serializer.serialize_bool(reader.bool().map_err(strange)?),
        Shape::S8 => serializer.serialize_i8(reader.i8().map_err(strange)?),
        Shape::U8 => serializer.serialize_u8(reader.u8().map_err(strange)?),
        Shape::S16 => serializer.serialize_i16(reader.i16().map_err(strange)?),
        Shape::U16 => serializer.serialize_u16(reader.u16().map_err(strange)?),
        Shape::S32 => serializer.serialize_i32(reader.i32().map_err(strange)?),
        Shape::U32 => serializer.serialize_u32(reader.u32().map_err(strange)?),
        Shape::S64 => serializer.serialize_i64(reader.i64().map_err(strange)?),
        Shape::U64 => serializer.serialize_u64(reader.u64().map_err(strange)?),
        Shape::F32 => {
            let number = reader.f32().map_err(strange)?;
            match special(number.into()) {
                Some(name) if serializer.is_human_readable() => serializer.serialize_str(name),
                _ => serializer.serialize_f32(number),
            }
        }
        Shape::F64 => {
            let number = reader.f64().map_err(strange)?;
            match special(number) {
                Some(name) if serializer.is_human_readable() => serializer.serialize_str(name),
                _ => serializer.serialize_f64(number),
            }
        }
        Shape::Char => serializer.serialize_char(reader.char().map_err(strange)?),
        Shape::String => serializer.serialize_str(reader.text().map_err(strange)?),
        Shape::Bytes(None) => serializer.serialize_bytes(reader.bytes().map_err(strange)?),
        Shape::Bytes(Some(len)) => {
            serializer.serialize_bytes(reader.take(*len as usize).map_err(strange)?)
        }
        Shape::List(item) => {
            let count = count(item, reader).map_err(strange)?;
            items(serializer, item, count, reader)
        }
        Shape::FixedList(item, len) => {
            let count = fixed(item, *len, *reader).map_err(strange)?;
            items(serializer, item, count, reader)
        }
        Shape::Map(map) => entries(serializer, map, reader),
        Shape::Tuple(shapes) => tuple(serializer, shapes, reader),
        Shape::Record(record) => fields(serializer, record, reader),
        Shape::Flags(names) => flags(serializer, names, reader),
        Shape::Option(option) if !option.marked => match reader.bool().map_err(strange)? {
            false => serializer.serialize_none(),
            true => part(reader, &option.some, |some| serializer.serialize_some(some)),
        },
        Shape::Variant(_) | Shape::Enum(_) | Shape::Result(_) | Shape::Option(_) => {
            case(serializer, shape, reader)
        }
        // Arguments are the root of lowering and never part of a result.
        Shape::Arguments(_) => Err(strange(Malformed)),
    }
}

fn flags<'a, S: Serializer>(
    serializer: S,
    names: &'a Names,
    reader: &mut Reader<'a>,
) -> Result<S::Ok, S::Error> {
    let set = reader.flags(names.len()).map_err(strange)?;
    let mut seq = serializer.serialize_seq(Some(set.clone().count()))?;
    for at in set {
        seq.serialize_element(names.name(at))?;
    }
    seq.end()
}

fn items<'a, S: Serializer>(
    serializer: S,
    item: &'a Shape,
    count: usize,
    reader: &mut Reader<'a>,
) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(count))?;
    for _ in 0..count {
        part(reader, item, |value| seq.serialize_element(value))?;
    }
    seq.end()
}

fn tuple<'a, S: Serializer>(
    serializer: S,
    shapes: &'a [Shape],
    reader: &mut Reader<'a>,
) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(shapes.len())?;
    for shape in shapes {
        part(reader, shape, |value| tuple.serialize_element(value))?;
    }
    tuple.end()
}

fn fields<'a, S: Serializer>(
    serializer: S,
    record: &'a Record,
    reader: &mut Reader<'a>,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(record.shapes.len()))?;
    for (name, shape) in record.names.as_slice().iter().zip(&record.shapes) {
        part(reader, shape, |value| map.serialize_entry(name, value))?;
    }
    map.end()
}

fn entries<'a, S: Serializer>(
    serializer: S,
    shape: &'a MapShape,
    reader: &mut Reader<'a>,
) -> Result<S::Ok, S::Error> {
    let count = count(&shape.pair, reader).map_err(strange)?;
    if !shape.has_text_keys() {
        return items(serializer, &shape.pair, count, reader);
    }
    let mut map = serializer.serialize_map(Some(count))?;
    for _ in 0..count {
        // The serializer takes key and value together and cannot report the value's start.
        let start = *reader;
        reader.skip(shape.key()).map_err(strange)?;
        let key = Typed { shape: shape.key(), start, end: &Cell::new(start) };
        part(reader, shape.value(), |value| map.serialize_entry(&key, value))?;
    }
    map.end()
}

/// Writes `"case"`, `{"case": payload}`, or none for a nested option. A side of a `result` without a payload is null.
fn case<'a, S: Serializer>(
    serializer: S,
    shape: &'a Shape,
    reader: &mut Reader<'a>,
) -> Result<S::Ok, S::Error> {
    let Some(Case { name, payload, is_bare }) = Case::read(shape, reader).map_err(strange)? else {
        return serializer.serialize_none();
    };
    if is_bare {
        return serializer.serialize_str(name);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    match payload {
        Some(shape) => part(reader, shape, |value| map.serialize_entry(name, value))?,
        None => map.serialize_entry(name, &())?,
    }
    map.end()
}
