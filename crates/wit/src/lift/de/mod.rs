//! Component values into any Rust type that is `Deserialize`.

mod access;
mod arguments;

use serde::de::{Deserializer, Error, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use wasmtime::component::Val;

use super::ser::bytes;
use crate::error::LiftError;
use crate::lower::build::OneOf;
use crate::names::folded;
use crate::shape::Shape;
use access::{Chosen, Entries, Fields, Items, One};
pub(crate) use arguments::Arguments;

/// A value on its way into a Rust type; nothing at all is unit.
pub(super) struct Source<'p> {
    pub(super) shape: Option<&'p Shape>,
    pub(super) value: Option<Val>,
}

impl<'p> Source<'p> {
    fn of(shape: Option<&'p Shape>, value: Val) -> Self {
        Self { shape, value: Some(value) }
    }

    /// The value as one case of many: its position, and what it carries.
    fn case(self) -> Result<Chosen<'p>, Self> {
        let Some(cases) = self.shape.and_then(OneOf::of) else { return Err(self) };
        let (name, payload) = match self.value {
            Some(Val::Variant(name, payload)) => (name, payload),
            Some(Val::Enum(name)) => (name, None),
            Some(Val::Result(Ok(payload))) => ("ok".to_owned(), payload),
            Some(Val::Result(Err(payload))) => ("err".to_owned(), payload),
            Some(Val::Option(Some(payload))) => ("some".to_owned(), Some(payload)),
            value => return Err(Self { value, ..self }),
        };
        let shape = cases.find(&name).ok().and_then(|at| cases.payload(at));
        let bare = !matches!(cases, OneOf::Result(_)) && shape.is_none();
        let payload = Source { shape, value: payload.map(|payload| *payload) };
        Ok(Chosen { name, bare, payload })
    }
}

impl<'de> Deserializer<'de> for Source<'_> {
    type Error = LiftError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        let Some(value) = self.value else { return visitor.visit_unit() };
        match (self.shape, value) {
            (_, Val::Bool(v)) => visitor.visit_bool(v),
            (_, Val::S8(v)) => visitor.visit_i8(v),
            (_, Val::U8(v)) => visitor.visit_u8(v),
            (_, Val::S16(v)) => visitor.visit_i16(v),
            (_, Val::U16(v)) => visitor.visit_u16(v),
            (_, Val::S32(v)) => visitor.visit_i32(v),
            (_, Val::U32(v)) => visitor.visit_u32(v),
            (_, Val::S64(v)) => visitor.visit_i64(v),
            (_, Val::U64(v)) => visitor.visit_u64(v),
            (_, Val::Float32(v)) => visitor.visit_f32(v),
            (_, Val::Float64(v)) => visitor.visit_f64(v),
            (_, Val::Char(v)) => visitor.visit_char(v),
            (_, Val::String(v) | Val::Enum(v)) => visitor.visit_string(v),
            (_, Val::Flags(names)) => {
                visitor.visit_seq(Items::same(None, names.into_iter().map(Val::String)))
            }
            (Some(Shape::Bytes(_)), Val::List(items) | Val::FixedLengthList(items)) => {
                visitor.visit_byte_buf(bytes(&items))
            }
            (_, Val::Option(None)) => visitor.visit_unit(),
            (Some(Shape::Option(option)), Val::Option(Some(some))) if !option.marked => {
                Self::of(Some(&option.some), *some).deserialize_any(visitor)
            }
            (Some(Shape::Record(record)), Val::Record(fields)) => {
                visitor.visit_map(Fields::new(record, fields, &[]))
            }
            (Some(Shape::Map(map)), Val::Map(pairs)) if map.has_text_keys() => {
                visitor.visit_map(Entries::new(map, pairs))
            }
            (shape, value @ (Val::Variant(..) | Val::Result(_) | Val::Option(_))) => {
                match Self::of(shape, value).case() {
                    Ok(chosen) if chosen.bare => visitor.visit_string(chosen.name),
                    Ok(chosen) => visitor.visit_map(One(Some(chosen))),
                    Err(_) => Err(strange()),
                }
            }
            (shape, value) => Self::of(shape, value).deserialize_seq(visitor),
        }
    }

    /// Lists of bytes too, item by item: that is what `Vec<u8>` asks for.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        match (self.shape, self.value) {
            (
                Some(Shape::List(item) | Shape::FixedList(item, _)),
                Some(Val::List(items) | Val::FixedLengthList(items)),
            ) => visitor.visit_seq(Items::same(Some(item), items.into_iter())),
            (Some(Shape::Bytes(_)), Some(Val::List(items) | Val::FixedLengthList(items))) => {
                visitor.visit_seq(Items::same(Some(&Shape::U8), items.into_iter()))
            }
            (Some(Shape::Tuple(shapes)), Some(Val::Tuple(items))) => visitor.visit_seq(Items {
                next: 0,
                one: None,
                each: shapes,
                values: items.into_iter(),
            }),
            (Some(Shape::Map(map)), Some(Val::Map(pairs))) => {
                let pairs = pairs.into_iter().map(|(key, value)| Val::Tuple(vec![key, value]));
                visitor.visit_seq(Items::same(Some(&map.pair), pairs))
            }
            (Some(Shape::Option(option)), Some(Val::Option(Some(some)))) if !option.marked => {
                Self::of(Some(&option.some), *some).deserialize_seq(visitor)
            }
            (_, Some(Val::List(_) | Val::FixedLengthList(_) | Val::Tuple(_) | Val::Map(_))) => {
                Err(strange())
            }
            (shape, value) => Self { shape, value }.deserialize_any(visitor),
        }
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

    /// Maps whose keys are not text too: that is what `HashMap<u32, T>` asks for.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        match (self.shape, self.value) {
            (Some(Shape::Map(map)), Some(Val::Map(pairs))) => {
                visitor.visit_map(Entries::new(map, pairs))
            }
            (shape, value) => Self { shape, value }.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, LiftError> {
        match (self.shape, self.value) {
            (Some(Shape::Record(record)), Some(Val::Record(fields))) => {
                visitor.visit_map(Fields::new(record, fields, known))
            }
            (shape, value) => Self { shape, value }.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, LiftError> {
        match (self.shape, self.value) {
            (_, None | Some(Val::Option(None))) => visitor.visit_none(),
            (Some(Shape::Option(option)), Some(Val::Option(Some(some)))) => {
                visitor.visit_some(Self::of(Some(&option.some), *some))
            }
            (shape, value) => visitor.visit_some(Self { shape, value }),
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
        if let (Some(Shape::Option(option)), Some(Val::Option(Some(_)))) = (self.shape, &self.value)
            && !option.marked
            && let Some(Val::Option(Some(some))) = self.value
        {
            let some = Self::of(Some(&option.some), *some);
            return some.deserialize_enum("", known, visitor);
        }
        match self.case() {
            Ok(mut chosen) => {
                // Rust names cases its own way, unless told otherwise: `NotFound` for `not-found`.
                if !known.contains(&chosen.name.as_str())
                    && let Some(rust) = known.iter().find(|known| folded(known) == chosen.name)
                {
                    (*rust).clone_into(&mut chosen.name);
                }
                visitor.visit_enum(chosen)
            }
            // A string may name a case of a Rust enum.
            Err(Self { value: Some(Val::String(name)), .. }) => {
                visitor.visit_enum(name.into_deserializer())
            }
            Err(other) => other.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct identifier ignored_any
    }
}

/// A value that is not of its function's type: it came from some other function.
fn strange() -> LiftError {
    LiftError::custom("the value is not of the type that the function gives")
}
