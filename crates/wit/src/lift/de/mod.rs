//! Lifts packed values into any Rust type that is `Deserialize`.

mod access;
mod arguments;

use std::marker::PhantomData;

use crisol_core::suggest::spelling_key;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

use super::parts::{Case, count, fixed};
use crate::error::LiftError;
use crate::packed::{Malformed, Reader};
use crate::shape::{MapShape, OptionShape, Record, Shape};
use access::{Chosen, Entries, Fields, Flags, Items, One, Shapes};
pub(crate) use arguments::Arguments;

/// Item of a list of bytes.
static OCTET: Shape = Shape::U8;

/// Reads the value at the front of `reader`.
pub(super) fn read<'p, T: DeserializeOwned>(
    shape: Option<&'p Shape>,
    mut reader: Reader<'p>,
) -> Result<T, LiftError> {
    part(PhantomData, shape, &mut reader)
}

/// Reads the part at `reader` and advances to its end.
fn part<'de, 'p, T: DeserializeSeed<'de>>(
    seed: T,
    shape: Option<&'p Shape>,
    reader: &mut Reader<'p>,
) -> Result<T::Value, LiftError> {
    let start = *reader;
    let value = seed.deserialize(Source { shape, start, end: reader })?;
    if let Some(shape) = shape
        && reader.rest().len() == start.rest().len()
    {
        // The type ignored the value, or a part of it.
        reader.skip(shape)?;
    }
    Ok(value)
}

/// Packed value as a serde source; without a shape there is no value, which is unit.
struct Source<'p, 'r> {
    shape: Option<&'p Shape>,
    start: Reader<'p>,
    /// Set to the end of the value when all of it was read.
    end: &'r mut Reader<'p>,
}

impl<'p, 'r> Source<'p, 'r> {
    /// Value of an option, if it has one.
    fn some(self, option: &'p OptionShape) -> Result<Option<Self>, LiftError> {
        let mut start = self.start;
        if start.bool()? {
            return Ok(Some(Self { shape: Some(&option.some), start, end: self.end }));
        }
        *self.end = start;
        Ok(None)
    }

    /// Value as one of several cases; `None` is the inner none of a nested option.
    fn case(self, shape: &'p Shape) -> Result<Option<Chosen<'p, 'r>>, LiftError> {
        let mut start = self.start;
        let case = Case::read(shape, &mut start)?;
        let payload = case.as_ref().and_then(|case| case.payload);
        if payload.is_none() {
            *self.end = start;
        }
        let payload = Self { shape: payload, start, end: self.end };
        Ok(case.map(|Case { name, is_bare, .. }| Chosen { name, is_bare, payload }))
    }

    fn fields<'de, V: Visitor<'de>>(
        self,
        record: &'p Record,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let mut fields = Fields::new(record, known, self.start);
        let read = visitor.visit_map(&mut fields)?;
        if let Some(end) = fields.end() {
            *self.end = end;
        }
        Ok(read)
    }

    fn entries<'de, V: Visitor<'de>>(
        self,
        map: &'p MapShape,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let mut reader = self.start;
        let count = count(&map.pair, &mut reader)?;
        let mut entries = Entries::new(map, count, reader);
        let read = visitor.visit_map(&mut entries)?;
        if let Some(end) = entries.end() {
            *self.end = end;
        }
        Ok(read)
    }

    fn items<'de, V: Visitor<'de>>(
        self,
        shapes: Shapes<'p>,
        count: usize,
        reader: Reader<'p>,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let mut items = Items::new(shapes, count, reader);
        let read = visitor.visit_seq(&mut items)?;
        if let Some(end) = items.end() {
            *self.end = end;
        }
        Ok(read)
    }

    /// Reads types without parts.
    fn plain<'de, V: Visitor<'de>>(
        self,
        shape: &'p Shape,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let mut reader = self.start;
        let read = match shape {
            Shape::Bool => visitor.visit_bool(reader.bool()?),
            Shape::S8 => visitor.visit_i8(reader.i8()?),
            Shape::U8 => visitor.visit_u8(reader.u8()?),
            Shape::S16 => visitor.visit_i16(reader.i16()?),
            Shape::U16 => visitor.visit_u16(reader.u16()?),
            Shape::S32 => visitor.visit_i32(reader.i32()?),
            Shape::U32 => visitor.visit_u32(reader.u32()?),
            Shape::S64 => visitor.visit_i64(reader.i64()?),
            Shape::U64 => visitor.visit_u64(reader.u64()?),
            Shape::F32 => visitor.visit_f32(reader.f32()?),
            Shape::F64 => visitor.visit_f64(reader.f64()?),
            Shape::Char => visitor.visit_char(reader.char()?),
            Shape::String => visitor.visit_str(reader.text()?),
            Shape::Bytes(None) => visitor.visit_bytes(reader.bytes()?),
            Shape::Bytes(Some(len)) => visitor.visit_bytes(reader.take(*len as usize)?),
            Shape::Flags(names) => {
                let set = reader.flags(names.len())?;
                visitor.visit_seq(Flags::new(names, set.clone().count(), set))
            }
            _ => Err(strange()),
        }?;
        *self.end = reader;
        Ok(read)
    }
}

impl<'de> Deserializer<'de> for Source<'_, '_> {
    type Error = LiftError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        let Some(shape) = self.shape else { return visitor.visit_unit() };
        match shape {
            Shape::Record(record) => self.fields(record, &[], visitor),
            Shape::Map(map) if map.has_text_keys() => self.entries(map, visitor),
            Shape::List(_) | Shape::FixedList(..) | Shape::Tuple(_) | Shape::Map(_) => {
                self.deserialize_seq(visitor)
            }
            Shape::Option(option) if !option.marked => match self.some(option)? {
                Some(some) => some.deserialize_any(visitor),
                None => visitor.visit_unit(),
            },
            Shape::Variant(_) | Shape::Enum(_) | Shape::Result(_) | Shape::Option(_) => {
                match self.case(shape)? {
                    Some(chosen) if chosen.is_bare => visitor.visit_str(chosen.name),
                    Some(chosen) => visitor.visit_map(One(Some(chosen))),
                    None => visitor.visit_unit(),
                }
            }
            plain => self.plain(plain, visitor),
        }
    }

    /// Reads lists of bytes too, item by item, for `Vec<u8>`.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        let mut reader = self.start;
        let (item, count) = match self.shape {
            Some(Shape::List(item)) => (&**item, count(item, &mut reader)?),
            Some(Shape::FixedList(item, len)) => (&**item, fixed(item, *len, reader)?),
            Some(Shape::Bytes(None)) => (&OCTET, count(&OCTET, &mut reader)?),
            Some(Shape::Bytes(Some(len))) => (&OCTET, fixed(&OCTET, *len, reader)?),
            Some(Shape::Map(map)) => (&map.pair, count(&map.pair, &mut reader)?),
            Some(Shape::Tuple(shapes)) => {
                return self.items(Shapes::Each(shapes), shapes.len(), reader, visitor);
            }
            Some(Shape::Option(option)) if !option.marked => {
                return match self.some(option)? {
                    Some(some) => some.deserialize_seq(visitor),
                    None => visitor.visit_unit(),
                };
            }
            _ => return self.deserialize_any(visitor),
        };
        self.items(Shapes::Same(item), count, reader, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        self.deserialize_seq(visitor)
    }

    /// Reads maps whose keys are not text too, for `HashMap<u32, T>`.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        match self.shape {
            Some(Shape::Map(map)) => self.entries(map, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        match self.shape {
            Some(Shape::Record(record)) => self.fields(record, known, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        match self.shape {
            None => visitor.visit_none(),
            Some(Shape::Option(option)) => match self.some(option)? {
                Some(some) => visitor.visit_some(some),
                None => visitor.visit_none(),
            },
            Some(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        match self.shape {
            Some(Shape::Option(option)) if !option.marked => match self.some(option)? {
                Some(some) => some.deserialize_enum("", known, visitor),
                None => visitor.visit_unit(),
            },
            Some(
                shape @ (Shape::Variant(_) | Shape::Enum(_) | Shape::Result(_) | Shape::Option(_)),
            ) => match self.case(shape)? {
                Some(mut chosen) => {
                    // Derives name cases in Rust's way by default: `NotFound` for `not-found`.
                    if !known.contains(&chosen.name)
                        && let Some(rust) =
                            known.iter().find(|known| spelling_key(known) == chosen.name)
                    {
                        chosen.name = rust;
                    }
                    visitor.visit_enum(chosen)
                }
                None => visitor.visit_unit(),
            },
            // A string may name a case of a Rust enum.
            Some(Shape::String) => {
                let mut reader = self.start;
                let name = StrDeserializer::<LiftError>::new(reader.text()?);
                let read = visitor.visit_enum(name)?;
                *self.end = reader;
                Ok(read)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// Reads nothing: the enclosing value skips it.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct identifier
    }
}

impl From<Malformed> for LiftError {
    fn from(malformed: Malformed) -> Self {
        Self::custom(malformed)
    }
}

/// Error for a value of another function's type.
fn strange() -> LiftError {
    Malformed.into()
}
