//! Serde accessors of a packed value's parts: items, fields, entries, one case.
//!
//! Each advances part by part and reports the end of the value.

use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Source, part, strange};
use crate::error::{LiftError, Segment};
use crate::lower::source::key_text;
use crate::packed::Reader;
use crate::shape::{MapShape, Names, Record, Shape};

/// Chosen case of a variant, enum, option or result.
pub(super) struct Chosen<'p, 'r> {
    pub(super) name: &'p str,
    /// True if it is written as its name alone.
    pub(super) is_bare: bool,
    pub(super) payload: Source<'p, 'r>,
}

/// Shapes of the items of a sequence.
pub(super) enum Shapes<'p> {
    /// One shape for all items.
    Same(&'p Shape),
    Each(&'p [Shape]),
}

/// Items of a sequence.
pub(super) struct Items<'p> {
    shapes: Shapes<'p>,
    next: usize,
    count: usize,
    reader: Reader<'p>,
}

impl<'p> Items<'p> {
    pub(super) fn new(shapes: Shapes<'p>, count: usize, reader: Reader<'p>) -> Self {
        Self { shapes, next: 0, count, reader }
    }

    pub(super) fn end(&self) -> Option<Reader<'p>> {
        (self.next == self.count).then_some(self.reader)
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = LiftError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, LiftError> {
        let at = self.next;
        if at == self.count {
            return Ok(None);
        }
        self.next += 1;
        let shape = match self.shapes {
            Shapes::Same(shape) => Some(shape),
            Shapes::Each(shapes) => shapes.get(at),
        };
        let read = part(seed, shape, &mut self.reader);
        read.map(Some).map_err(|error| error.at(Segment::Index(at)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.next)
    }
}

/// Names of the flags that are set.
pub(super) struct Flags<'p, I> {
    names: &'p Names,
    next: usize,
    count: usize,
    set: I,
}

impl<'p, I> Flags<'p, I> {
    pub(super) fn new(names: &'p Names, count: usize, set: I) -> Self {
        Self { names, next: 0, count, set }
    }
}

impl<'de, I: Iterator<Item = usize>> SeqAccess<'de> for Flags<'_, I> {
    type Error = LiftError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, LiftError> {
        let Some(flag) = self.set.next() else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        let read = seed.deserialize(Name(self.names.name(flag)));
        read.map(Some).map_err(|error| error.at(Segment::Index(at)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count.saturating_sub(self.next))
    }
}

/// Name of a flag, as text or as a case of a Rust enum.
struct Name<'p>(&'p str);

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = LiftError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        visitor.visit_some(self)
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
        _known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        visitor.visit_enum(StrDeserializer::<LiftError>::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Fields of a record, by name.
pub(super) struct Fields<'p> {
    record: &'p Record,
    /// Field names of the Rust type; when empty, any.
    known: &'static [&'static str],
    next: usize,
    /// True after the name of the next field was read and before its value.
    is_named: bool,
    reader: Reader<'p>,
}

impl<'p> Fields<'p> {
    pub(super) fn new(
        record: &'p Record,
        known: &'static [&'static str],
        reader: Reader<'p>,
    ) -> Self {
        Self { record, known, next: 0, is_named: false, reader }
    }

    pub(super) fn end(&self) -> Option<Reader<'p>> {
        (self.next == self.record.shapes.len()).then_some(self.reader)
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = LiftError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, LiftError> {
        if self.is_named {
            self.next_value_seed(PhantomData::<IgnoredAny>)?;
        }
        let names = &self.record.names;
        let Some(name) = names.as_slice().get(self.next) else { return Ok(None) };
        let spelled = match names.alias(self.next) {
            Some(alias) if self.known.contains(&alias) && !self.known.contains(&name.as_str()) => {
                alias
            }
            _ => name,
        };
        self.is_named = true;
        seed.deserialize(StrDeserializer::<LiftError>::new(spelled)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, LiftError> {
        if !self.is_named {
            return Err(strange());
        }
        self.is_named = false;
        let at = self.next;
        self.next += 1;
        let read = part(seed, self.record.shapes.get(at), &mut self.reader);
        read.map_err(|error| error.at(Segment::Name(self.record.names.name(at).to_owned())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.record.shapes.len() - self.next)
    }
}

/// Entries of a map.
pub(super) struct Entries<'p> {
    map: &'p MapShape,
    next: usize,
    count: usize,
    /// Start of the key whose value is not read yet.
    key: Option<Reader<'p>>,
    reader: Reader<'p>,
}

impl<'p> Entries<'p> {
    pub(super) fn new(map: &'p MapShape, count: usize, reader: Reader<'p>) -> Self {
        Self { map, next: 0, count, key: None, reader }
    }

    pub(super) fn end(&self) -> Option<Reader<'p>> {
        (self.next == self.count && self.key.is_none()).then_some(self.reader)
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = LiftError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, LiftError> {
        if self.key.is_some() {
            self.next_value_seed(PhantomData::<IgnoredAny>)?;
        }
        let at = self.next;
        if at == self.count {
            return Ok(None);
        }
        self.next += 1;
        self.key = Some(self.reader);
        let read = part(seed, Some(self.map.key()), &mut self.reader);
        read.map(Some).map_err(|error| error.at(Segment::KeyAt(at)))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, LiftError> {
        let Some(key) = self.key.take() else { return Err(strange()) };
        let read = part(seed, Some(self.map.value()), &mut self.reader);
        read.map_err(|error| error.at(Segment::Key(key_text(self.map.key(), key))))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.next)
    }
}

/// `{case: payload}`, for Rust types that are not enums.
pub(super) struct One<'p, 'r>(pub(super) Option<Chosen<'p, 'r>>);

impl<'de> MapAccess<'de> for One<'_, '_> {
    type Error = LiftError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, LiftError> {
        let Some(chosen) = &self.0 else { return Ok(None) };
        seed.deserialize(StrDeserializer::<LiftError>::new(chosen.name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, LiftError> {
        let Some(Chosen { name, payload, .. }) = self.0.take() else { return Err(strange()) };
        let read = seed.deserialize(payload);
        read.map_err(|error| error.at(Segment::Name(name.to_owned())))
    }
}

impl<'de, 'p, 'r> EnumAccess<'de> for Chosen<'p, 'r> {
    type Error = LiftError;
    type Variant = Payload<'p, 'r>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Payload<'p, 'r>), LiftError> {
        let case = seed.deserialize(StrDeserializer::<LiftError>::new(self.name))?;
        Ok((case, Payload { name: self.name, value: self.payload }))
    }
}

/// Payload of a chosen case.
pub(super) struct Payload<'p, 'r> {
    name: &'p str,
    value: Source<'p, 'r>,
}

impl<'de> VariantAccess<'de> for Payload<'_, '_> {
    type Error = LiftError;

    fn unit_variant(self) -> Result<(), LiftError> {
        match self.value.shape {
            None => Ok(()),
            Some(_) => Err(LiftError::custom("it has a payload, and none was expected")
                .at(Segment::Name(self.name.to_owned()))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, LiftError> {
        let read = seed.deserialize(self.value);
        read.map_err(|error| error.at(Segment::Name(self.name.to_owned())))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let read = self.value.deserialize_seq(visitor);
        read.map_err(|error| error.at(Segment::Name(self.name.to_owned())))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let read = self.value.deserialize_struct("", known, visitor);
        read.map_err(|error| error.at(Segment::Name(self.name.to_owned())))
    }
}
