//! Lifts the arguments of one call into a Rust type: a tuple or a sequence takes them in order, a struct by name, `()`
//! takes none.

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::access::Fields;
use super::part;
use crate::error::LiftError;
use crate::packed::Reader;
use crate::shape::Record;

/// Arguments with their parameters.
pub(crate) struct Arguments<'p> {
    pub(crate) params: &'p Record,
    pub(crate) values: Reader<'p>,
}

impl Arguments<'_> {
    /// Refuses a type that takes only `wanted` arguments: the rest must not be dropped silently.
    fn count(&self, wanted: usize) -> Result<(), LiftError> {
        let found = self.params.shapes.len();
        if found == wanted {
            return Ok(());
        }
        Err(LiftError::custom(format_args!("expected {wanted} of them, found {found}")))
    }
}

impl<'de> Deserializer<'de> for Arguments<'_> {
    type Error = LiftError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        visitor.visit_seq(InOrder { params: self.params, values: self.values, next: 0 })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        self.count(0)?;
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        self.count(len)?;
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        visitor.visit_map(Fields::new(self.params, known, self.values))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct newtype_struct seq map enum identifier ignored_any
    }
}

struct InOrder<'p> {
    params: &'p Record,
    values: Reader<'p>,
    next: usize,
}

impl<'de> SeqAccess<'de> for InOrder<'_> {
    type Error = LiftError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, LiftError> {
        let at = self.next;
        let Some(shape) = self.params.shapes.get(at) else { return Ok(None) };
        self.next += 1;
        let named = |mut error: LiftError| {
            error.place.argument = Some((at, self.params.names.name(at).to_owned()));
            error
        };
        part(seed, Some(shape), &mut self.values).map(Some).map_err(named)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.params.shapes.len() - self.next)
    }
}
