//! From any serde `Deserializer`: the source says what it has, the plan what it must be.

mod compound;
mod names;

use std::fmt;

use serde::Deserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use wasmtime::component::Val;

use super::build::{OneOf, RecordBuilder, some};
use super::{Run, scalar};
use crate::error::{Found, Mismatch, Segment};
use crate::shape::Shape;
use names::CaseKey;

/// Visitor methods for what a visitor has no use for: all end in its `found`.
macro_rules! otherwise {
    (@bool) => {
        fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
            self.found(Found::Bool(v))
        }
    };
    (@number) => {
        fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
            self.found(Found::number(v))
        }
        fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
            self.found(Found::number(v))
        }
        fn visit_i128<E: Error>(self, v: i128) -> Result<Self::Value, E> {
            self.found(Found::number(v))
        }
        fn visit_u128<E: Error>(self, v: u128) -> Result<Self::Value, E> {
            self.found(Found::number(v))
        }
        fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
            self.found(Found::number(v))
        }
    };
    (@text) => {
        fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
            self.found(Found::text(v))
        }
    };
    (@bytes) => {
        fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Self::Value, E> {
            self.found(Found::Bytes(v.len()))
        }
    };
    (@null) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            self.found(Found::Null)
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            self.found(Found::Null)
        }
    };
    (@list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            self.found(Found::List)
        }
    };
    (@map) => {
        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            self.found(Found::Map)
        }
    };
    ($($what:tt)*) => {
        $(otherwise!(@$what);)*

        fn visit_some<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
            source.deserialize_any(self)
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(
            self,
            source: D,
        ) -> Result<Self::Value, D::Error> {
            source.deserialize_any(self)
        }

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value of the signature's type")
        }
    };
}
use otherwise;

/// One value, to be read as `shape`.
#[derive(Clone, Copy)]
pub(crate) struct Seed<'p> {
    pub(crate) shape: &'p Shape,
    pub(crate) run: &'p Run,
}

impl<'p> Seed<'p> {
    fn of(self, shape: &'p Shape) -> Self {
        Self { shape, run: self.run }
    }

    fn done<E: Error>(self, value: Result<Val, Mismatch>) -> Result<Val, E> {
        value.map_err(|mismatch| E::custom(self.run.note(mismatch)))
    }

    fn found<E: Error>(self, found: Found) -> Result<Val, E> {
        self.done(Err(Mismatch::of(self.shape, found)))
    }

    fn inside<T, E>(self, value: Result<T, E>, segment: impl FnOnce() -> Segment) -> Result<T, E> {
        if value.is_err() {
            self.run.came_from(segment());
        }
        value
    }

    fn null<E: Error>(self) -> Result<Val, E> {
        match self.shape {
            Shape::Arguments(params) => self.complete(params, Vec::new()),
            _ => self.done(scalar::null(self.shape)),
        }
    }
}

/// How a path shows a key.
pub(crate) fn key_text(key: &Val) -> String {
    match key {
        Val::String(text) | Val::Enum(text) => match Found::text(text) {
            Found::Text(text) => format!("{text:?}"),
            _ => String::new(),
        },
        Val::Char(c) => format!("{:?}", c.to_string()),
        Val::Bool(v) => v.to_string(),
        Val::S8(v) => v.to_string(),
        Val::U8(v) => v.to_string(),
        Val::S16(v) => v.to_string(),
        Val::U16(v) => v.to_string(),
        Val::S32(v) => v.to_string(),
        Val::U32(v) => v.to_string(),
        Val::S64(v) => v.to_string(),
        Val::U64(v) => v.to_string(),
        _ => "…".to_owned(),
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Val, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Val;

    otherwise!();

    fn visit_bool<E: Error>(self, v: bool) -> Result<Val, E> {
        self.done(scalar::boolean(self.shape, v))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Val, E> {
        self.done(scalar::integer(self.shape, v))
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Val, E> {
        self.done(scalar::integer(self.shape, v))
    }

    fn visit_i128<E: Error>(self, v: i128) -> Result<Val, E> {
        self.done(scalar::integer(self.shape, v))
    }

    fn visit_u128<E: Error>(self, v: u128) -> Result<Val, E> {
        self.done(scalar::integer(self.shape, v))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Val, E> {
        self.done(scalar::float(self.shape, v, self.run.rounds))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Val, E> {
        self.done(scalar::text(self.shape, v, self.run.human_readable))
    }

    fn visit_string<E: Error>(self, v: String) -> Result<Val, E> {
        self.done(scalar::text(self.shape, v, self.run.human_readable))
    }

    fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Val, E> {
        self.done(scalar::bytes(self.shape, v))
    }

    fn visit_unit<E: Error>(self) -> Result<Val, E> {
        self.null()
    }

    fn visit_none<E: Error>(self) -> Result<Val, E> {
        self.null()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Val, A::Error> {
        match self.shape {
            Shape::Arguments(params) => self.arguments(params, seq),
            Shape::List(item) => self.list(item, seq).map(Val::List),
            Shape::Bytes(None) => self.list(&Shape::U8, seq).map(Val::List),
            Shape::Bytes(Some(len)) => {
                let shapes = std::iter::repeat_n(&Shape::U8, *len as usize);
                self.exactly(shapes, seq).map(Val::FixedLengthList)
            }
            Shape::FixedList(item, len) => {
                let shapes = std::iter::repeat_n(&**item, *len as usize);
                self.exactly(shapes, seq).map(Val::FixedLengthList)
            }
            Shape::Tuple(shapes) => self.exactly(shapes.iter(), seq).map(Val::Tuple),
            Shape::Flags(names) => self.flags(names, seq),
            Shape::Map(map) => self.pairs(map, seq),
            Shape::Option(option) if !option.marked => {
                self.of(&option.some).visit_seq(seq).map(some)
            }
            // An empty Lua table says nothing of which it is.
            Shape::Record(record) => match seq.next_element::<IgnoredAny>()? {
                None => self.done(RecordBuilder::new(record).finish(self.run)),
                Some(_) => self.found(Found::List),
            },
            _ => self.found(Found::List),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Val, A::Error> {
        match self.shape {
            Shape::Record(record) => self.record(record, map),
            Shape::Map(shape) => self.map(shape, map),
            Shape::Option(option) if !option.marked => {
                self.of(&option.some).visit_map(map).map(some)
            }
            Shape::Variant(_) | Shape::Result(_) | Shape::Option(_) => {
                match OneOf::of(self.shape) {
                    Some(cases) => self.one_of(cases, map),
                    None => self.found(Found::Map),
                }
            }
            // An empty Lua table says nothing of which it is.
            Shape::List(_) | Shape::Bytes(None) | Shape::Flags(_) | Shape::Arguments(_) => {
                match (map.next_key::<IgnoredAny>()?, self.shape) {
                    (None, Shape::Flags(_)) => Ok(Val::Flags(Vec::new())),
                    (None, Shape::Arguments(params)) => self.complete(params, Vec::new()),
                    (None, _) => Ok(Val::List(Vec::new())),
                    (Some(_), _) => self.found(Found::Map),
                }
            }
            _ => self.found(Found::Map),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Val, A::Error> {
        if let Shape::Option(option) = self.shape
            && !option.marked
        {
            return self.of(&option.some).visit_enum(access).map(some);
        }
        let Some(cases) = OneOf::of(self.shape) else {
            return self.found(Found::Case("…".to_owned()));
        };
        let (at, access) = access.variant_seed(CaseKey { cases, run: self.run })?;
        let payload = match cases.payload(at) {
            Some(shape) => {
                let value = access.newtype_variant_seed(self.of(shape));
                Some(self.inside(value, || Segment::Name(cases.name(at).to_owned()))?)
            }
            None => {
                access.unit_variant()?;
                None
            }
        };
        Ok(cases.build(at, payload))
    }
}
