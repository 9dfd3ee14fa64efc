//! Lowers any serde `Deserializer`: the source provides the values, the plan the types.

mod compound;
mod names;

use std::fmt;

use serde::Deserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::build::{OneOf, RecordBuilder, complete};
use super::{Run, scalar};
use crate::error::{Mismatch, Segment, Unexpected};
use crate::packed::{Malformed, Reader};
use crate::shape::{OptionShape, Record, Shape};
use names::CaseKey;

/// Visitor methods for unsupported values: each calls the visitor's `found`.
macro_rules! otherwise {
    (@bool) => {
        fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
            self.found(Unexpected::Bool(v))
        }
    };
    (@number) => {
        fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
            self.found(Unexpected::number(v))
        }
        fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
            self.found(Unexpected::number(v))
        }
        fn visit_i128<E: Error>(self, v: i128) -> Result<Self::Value, E> {
            self.found(Unexpected::number(v))
        }
        fn visit_u128<E: Error>(self, v: u128) -> Result<Self::Value, E> {
            self.found(Unexpected::number(v))
        }
        fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
            self.found(Unexpected::number(v))
        }
    };
    (@text) => {
        fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
            self.found(Unexpected::text(v))
        }
    };
    (@bytes) => {
        fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Self::Value, E> {
            self.found(Unexpected::Bytes(v.len()))
        }
    };
    (@null) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            self.found(Unexpected::Null)
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            self.found(Unexpected::Null)
        }
    };
    (@list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            self.found(Unexpected::List)
        }
    };
    (@map) => {
        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            self.found(Unexpected::Map)
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

/// Seed that reads one value of type `shape`.
#[derive(Clone, Copy)]
pub(crate) struct Seed<'p> {
    pub(crate) shape: &'p Shape,
    pub(crate) run: &'p Run,
}

impl<'p> Seed<'p> {
    fn of(self, shape: &'p Shape) -> Self {
        Self { shape, run: self.run }
    }

    #[inline]
    fn done<E: Error>(self, value: Result<(), Mismatch>) -> Result<(), E> {
        value.map_err(|mismatch| E::custom(self.run.note(mismatch)))
    }

    #[cold]
    fn found<E: Error>(self, found: Unexpected) -> Result<(), E> {
        self.done(Err(Mismatch::of(self.shape, found)))
    }

    #[inline]
    fn inside<T, E>(self, value: Result<T, E>, segment: impl FnOnce() -> Segment) -> Result<T, E> {
        if value.is_err() {
            self.run.came_from(segment());
        }
        value
    }

    fn null<E: Error>(self) -> Result<(), E> {
        match self.shape {
            Shape::Arguments(params) => self.complete(params, 0),
            _ => self.done(scalar::null(self.shape, self.run)),
        }
    }

    /// Ends the arguments after `given` of them are written.
    fn complete<E: Error>(self, params: &Record, given: usize) -> Result<(), E> {
        complete(params, given, self.run).map_err(|error| E::custom(self.run.note_whole(error)))
    }

    /// Writes the mark of an option and returns the seed of its content.
    fn held(self, option: &'p OptionShape) -> Self {
        self.run.out.some();
        self.of(&option.some)
    }
}

/// Path text for a key of type `shape` at the start of `key`.
#[cold]
pub(crate) fn key_text(shape: &Shape, mut key: Reader<'_>) -> String {
    let quoted = |text: &str| match Unexpected::text(text) {
        Unexpected::Text(text) => format!("{text:?}"),
        _ => String::new(),
    };
    let text = match shape {
        Shape::String => key.text().map(quoted),
        Shape::Enum(names) => key.case(names.len()).map(|at| quoted(names.name(at))),
        Shape::Char => key.char().map(|c| quoted(c.encode_utf8(&mut [0; 4]))),
        Shape::Bool => key.bool().map(|v| v.to_string()),
        Shape::S8 => key.i8().map(|v| v.to_string()),
        Shape::U8 => key.u8().map(|v| v.to_string()),
        Shape::S16 => key.i16().map(|v| v.to_string()),
        Shape::U16 => key.u16().map(|v| v.to_string()),
        Shape::S32 => key.i32().map(|v| v.to_string()),
        Shape::U32 => key.u32().map(|v| v.to_string()),
        Shape::S64 => key.i64().map(|v| v.to_string()),
        Shape::U64 => key.u64().map(|v| v.to_string()),
        _ => Err(Malformed),
    };
    text.unwrap_or_else(|Malformed| "…".to_owned())
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    otherwise!();

    #[inline]
    fn visit_bool<E: Error>(self, v: bool) -> Result<(), E> {
        self.done(scalar::boolean(self.shape, v, self.run))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
        self.done(scalar::integer(self.shape, v, self.run))
    }

    #[inline]
    fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
        // Fast path: most long lists of bytes are sent as numbers.
        if let (Shape::U8, Ok(byte)) = (self.shape, u8::try_from(v)) {
            self.run.out.byte(byte);
            return Ok(());
        }
        self.done(scalar::integer(self.shape, v, self.run))
    }

    fn visit_i128<E: Error>(self, v: i128) -> Result<(), E> {
        self.done(scalar::integer(self.shape, v, self.run))
    }

    fn visit_u128<E: Error>(self, v: u128) -> Result<(), E> {
        self.done(scalar::integer(self.shape, v, self.run))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
        self.done(scalar::float(self.shape, v, self.run.rounds, self.run))
    }

    #[inline]
    fn visit_str<E: Error>(self, v: &str) -> Result<(), E> {
        self.done(scalar::text(self.shape, v, self.run.human_readable, self.run))
    }

    fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<(), E> {
        self.done(scalar::bytes(self.shape, v, self.run))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.null()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.null()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match self.shape {
            Shape::Arguments(params) => self.arguments(params, seq),
            Shape::List(item) => self.list(item, seq),
            Shape::Bytes(None) => self.list(&Shape::U8, seq),
            Shape::Bytes(Some(len)) => {
                let shapes = std::iter::repeat_n(&Shape::U8, *len as usize);
                self.exactly(shapes, seq)
            }
            Shape::FixedList(item, len) => {
                let shapes = std::iter::repeat_n(&**item, *len as usize);
                self.exactly(shapes, seq)
            }
            Shape::Tuple(shapes) => self.exactly(shapes.iter(), seq),
            Shape::Flags(names) => self.flags(names, seq),
            Shape::Map(map) => self.list(&map.pair, seq),
            Shape::Option(option) if !option.marked => self.held(option).visit_seq(seq),
            // An empty Lua table may be a record or a list.
            Shape::Record(record) => match seq.next_element::<IgnoredAny>()? {
                None => self.done(RecordBuilder::new(record, self.run).finish()),
                Some(_) => self.found(Unexpected::List),
            },
            _ => self.found(Unexpected::List),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.shape {
            Shape::Record(record) => self.record(record, map),
            Shape::Map(shape) => self.map(shape, map),
            Shape::Option(option) if !option.marked => self.held(option).visit_map(map),
            Shape::Variant(_) | Shape::Result(_) | Shape::Option(_) => {
                match OneOf::of(self.shape) {
                    Some(cases) => self.one_of(cases, map),
                    None => self.found(Unexpected::Map),
                }
            }
            // An empty Lua table may be a record or a list.
            Shape::List(_) | Shape::Bytes(None) | Shape::Flags(_) | Shape::Arguments(_) => {
                match (map.next_key::<IgnoredAny>()?, self.shape) {
                    (None, Shape::Flags(names)) => {
                        self.run.out.no_flags(names.len());
                        Ok(())
                    }
                    (None, Shape::Arguments(params)) => self.complete(params, 0),
                    (None, _) => {
                        self.run.out.empty_list();
                        Ok(())
                    }
                    (Some(_), _) => self.found(Unexpected::Map),
                }
            }
            _ => self.found(Unexpected::Map),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        if let Shape::Option(option) = self.shape
            && !option.marked
        {
            return self.held(option).visit_enum(access);
        }
        let Some(cases) = OneOf::of(self.shape) else {
            return self.found(Unexpected::Case("…".to_owned()));
        };
        let (at, access) = access.variant_seed(CaseKey { cases, run: self.run })?;
        cases.begin(at, self.run);
        match cases.payload(at) {
            Some(shape) => {
                let value = access.newtype_variant_seed(self.of(shape));
                self.inside(value, || Segment::Name(cases.name(at).to_owned()))
            }
            None => access.unit_variant(),
        }
    }
}
