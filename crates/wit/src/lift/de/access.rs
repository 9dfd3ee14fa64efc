//! The parts of a value on their way into a Rust type: items, fields, entries, one case.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use wasmtime::component::Val;

use super::{Source, strange};
use crate::error::{LiftError, Segment};
use crate::lower::source::key_text;
use crate::packed::{Reader, from_val};
use crate::shape::{MapShape, Record, Shape};

/// One case, chosen.
pub(super) struct Chosen<'p> {
    pub(super) name: String,
    /// It is written as its name alone.
    pub(super) bare: bool,
    pub(super) payload: Source<'p>,
}

/// The items of a sequence.
pub(super) struct Items<'p, I> {
    pub(super) next: usize,
    /// The shape of all items, where they share one.
    pub(super) one: Option<&'p Shape>,
    pub(super) each: &'p [Shape],
    pub(super) values: I,
}

impl<'p, I> Items<'p, I> {
    pub(super) fn same(one: Option<&'p Shape>, values: I) -> Self {
        Self { next: 0, one, each: &[], values }
    }
}

impl<'de, I: ExactSizeIterator<Item = Val>> SeqAccess<'de> for Items<'_, I> {
    type Error = LiftError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, LiftError> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        let shape = self.one.or_else(|| self.each.get(at));
        let read = seed.deserialize(Source::of(shape, value));
        read.map(Some).map_err(|error| error.at(Segment::Index(at)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

/// The fields of a record, by name.
pub(super) struct Fields<'p> {
    record: &'p Record,
    pub(super) next: usize,
    /// The names that the Rust type goes by; when empty, any.
    known: &'static [&'static str],
    fields: std::vec::IntoIter<(String, Val)>,
    value: Option<(String, Val)>,
}

impl<'p> Fields<'p> {
    pub(super) fn new(
        record: &'p Record,
        fields: Vec<(String, Val)>,
        known: &'static [&'static str],
    ) -> Self {
        Self { record, next: 0, known, fields: fields.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = LiftError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, LiftError> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        let spelled = match self.record.names.alias(self.next) {
            Some(alias) if self.known.contains(&alias) && !self.known.contains(&name.as_str()) => {
                alias
            }
            _ => &name,
        };
        let key = seed.deserialize(StrDeserializer::<LiftError>::new(spelled));
        self.value = Some((name, value));
        key.map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, LiftError> {
        let Some((name, value)) = self.value.take() else { return Err(strange()) };
        let shape = self.record.shapes.get(self.next);
        self.next += 1;
        let read = seed.deserialize(Source::of(shape, value));
        read.map_err(|error| error.at(Segment::Name(name)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// The entries of a map.
pub(super) struct Entries<'p> {
    map: &'p MapShape,
    pub(super) next: usize,
    pairs: std::vec::IntoIter<(Val, Val)>,
    value: Option<(String, Val)>,
}

impl<'p> Entries<'p> {
    pub(super) fn new(map: &'p MapShape, pairs: Vec<(Val, Val)>) -> Self {
        Self { map, next: 0, pairs: pairs.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = LiftError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, LiftError> {
        let Some((key, value)) = self.pairs.next() else { return Ok(None) };
        let mut packed = Vec::new();
        let shown = match from_val(self.map.key(), &key, &mut packed) {
            Ok(()) => key_text(self.map.key(), Reader::new(&packed)),
            Err(_) => String::new(),
        };
        self.value = Some((shown, value));
        let at = self.next;
        self.next += 1;
        let read = seed.deserialize(Source::of(Some(self.map.key()), key));
        read.map(Some).map_err(|error| error.at(Segment::KeyAt(at)))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, LiftError> {
        let Some((key, value)) = self.value.take() else { return Err(strange()) };
        let read = seed.deserialize(Source::of(Some(self.map.value()), value));
        read.map_err(|error| error.at(Segment::Key(key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

/// `{case: payload}`, for types that ask for no enum.
pub(super) struct One<'p>(pub(super) Option<Chosen<'p>>);

impl<'de> MapAccess<'de> for One<'_> {
    type Error = LiftError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, LiftError> {
        let Some(chosen) = &self.0 else { return Ok(None) };
        seed.deserialize(StrDeserializer::<LiftError>::new(&chosen.name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, LiftError> {
        let Some(chosen) = self.0.take() else { return Err(strange()) };
        let read = seed.deserialize(chosen.payload);
        read.map_err(|error| error.at(Segment::Name(chosen.name)))
    }
}

impl<'de, 'p> EnumAccess<'de> for Chosen<'p> {
    type Error = LiftError;
    type Variant = Payload<'p>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Payload<'p>), LiftError> {
        let case = seed.deserialize(StrDeserializer::<LiftError>::new(&self.name))?;
        Ok((case, Payload { name: self.name, value: self.payload }))
    }
}

/// What a chosen case carries.
pub(super) struct Payload<'p> {
    pub(super) name: String,
    value: Source<'p>,
}

impl<'de> VariantAccess<'de> for Payload<'_> {
    type Error = LiftError;

    fn unit_variant(self) -> Result<(), LiftError> {
        match self.value.value {
            None => Ok(()),
            Some(_) => Err(LiftError::custom("it has a payload, and none was expected")
                .at(Segment::Name(self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, LiftError> {
        let read = seed.deserialize(self.value);
        read.map_err(|error| error.at(Segment::Name(self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let read = self.value.deserialize_seq(visitor);
        read.map_err(|error| error.at(Segment::Name(self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        let read = self.value.deserialize_struct("", known, visitor);
        read.map_err(|error| error.at(Segment::Name(self.name)))
    }
}
