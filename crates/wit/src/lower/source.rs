//! From any serde `Deserializer`: the source says what it has, the plan what it must be.

use std::fmt;

use serde::Deserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use wasmtime::component::Val;

use super::build::{
    FlagsBuilder, OneOf, RecordBuilder, TRUSTED_LEN, complete, some, split, wrong_count,
};
use super::{Run, scalar};
use crate::error::{Found, Mismatch, Segment, type_name};
use crate::shape::{MapShape, Record, Shape};

/// Reserves what a source says it holds, within reason: the word of a source is not memory.
fn reserved<T>(hint: Option<usize>) -> Vec<T> {
    Vec::with_capacity(hint.unwrap_or(0).min(TRUSTED_LEN))
}

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

    /// All arguments of a call.
    fn arguments<'de, A: SeqAccess<'de>>(
        self,
        params: &'p Record,
        mut seq: A,
    ) -> Result<Val, A::Error> {
        let mut values = Vec::with_capacity(params.shapes.len());
        for (at, shape) in params.shapes.iter().enumerate() {
            let value = seq.next_element_seed(self.of(shape));
            match self.inside(value, || Segment::Index(at))? {
                Some(value) => values.push(value),
                None => return self.complete(params, values),
            }
        }
        let mut more = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more += 1;
        }
        if more > 0 {
            let error = wrong_count(params, values.len() + more);
            return Err(A::Error::custom(self.run.note_whole(error)));
        }
        Ok(Val::Tuple(values))
    }

    fn complete<E: Error>(self, params: &Record, values: Vec<Val>) -> Result<Val, E> {
        complete(params, values).map_err(|error| E::custom(self.run.note_whole(error)))
    }

    fn null<E: Error>(self) -> Result<Val, E> {
        match self.shape {
            Shape::Arguments(params) => self.complete(params, Vec::new()),
            _ => self.done(scalar::null(self.shape)),
        }
    }

    fn list<'de, A: SeqAccess<'de>>(
        self,
        item: &'p Shape,
        mut seq: A,
    ) -> Result<Vec<Val>, A::Error> {
        let mut values = reserved(seq.size_hint());
        let seed = self.of(item);
        loop {
            match seq.next_element_seed(seed) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return Ok(values),
                error => {
                    self.inside(error, || Segment::Index(values.len()))?;
                }
            }
        }
    }

    /// Exactly as many items as there are `shapes`.
    fn exactly<'de, A: SeqAccess<'de>>(
        self,
        shapes: impl ExactSizeIterator<Item = &'p Shape>,
        mut seq: A,
    ) -> Result<Vec<Val>, A::Error> {
        let len = shapes.len();
        let mut values = reserved(Some(len));
        for shape in shapes {
            let value = seq.next_element_seed(self.of(shape));
            match self.inside(value, || Segment::Index(values.len()))? {
                Some(value) => values.push(value),
                None => {
                    let mismatch = Mismatch::length(self.shape, len, values.len());
                    return Err(A::Error::custom(self.run.note(mismatch)));
                }
            }
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            let mismatch = Mismatch::length(self.shape, len, len + 1);
            return Err(A::Error::custom(self.run.note(mismatch)));
        }
        Ok(values)
    }

    fn record<'de, A: MapAccess<'de>>(
        self,
        record: &'p Record,
        mut map: A,
    ) -> Result<Val, A::Error> {
        let mut builder = RecordBuilder::new(record);
        while let Some((at, shape)) =
            map.next_key_seed(FieldKey { builder: &builder, run: self.run })?
        {
            let value = map.next_value_seed(self.of(shape));
            let value = self.inside(value, || Segment::Name(record.names.name(at).to_owned()))?;
            builder.put(at, value);
        }
        self.done(builder.finish(self.run))
    }

    fn map<'de, A: MapAccess<'de>>(self, shape: &'p MapShape, mut map: A) -> Result<Val, A::Error> {
        let mut pairs = reserved(map.size_hint());
        loop {
            let key = map.next_key_seed(self.of(shape.key()));
            let Some(key) = self.inside(key, || Segment::KeyAt(pairs.len()))? else {
                return Ok(Val::Map(pairs));
            };
            let value = map.next_value_seed(self.of(shape.value()));
            let value = self.inside(value, || Segment::Key(key_text(&key)))?;
            pairs.push((key, value));
        }
    }

    /// `{"case": payload}`
    fn one_of<'de, A: MapAccess<'de>>(self, cases: OneOf<'p>, mut map: A) -> Result<Val, A::Error> {
        let not_one = |found| {
            let expected = type_name(self.shape);
            A::Error::custom(self.run.note(Mismatch::NotOneCase { expected, found }))
        };
        let Some(at) = map.next_key_seed(CaseKey { cases, run: self.run })? else {
            return Err(not_one("no entries"));
        };
        let payload = match cases.payload(at) {
            Some(shape) => {
                let value = map.next_value_seed(self.of(shape));
                Some(self.inside(value, || Segment::Name(cases.name(at).to_owned()))?)
            }
            None => {
                map.next_value_seed(Nothing { cases, at, run: self.run })?;
                None
            }
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(cases.build(at, payload)),
            Some(_) => Err(not_one("2 entries or more")),
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
        self.done(scalar::float(self.shape, v))
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
            Shape::Flags(names) => {
                let mut flags = FlagsBuilder::new(names);
                let mut at = 0;
                loop {
                    let flag = seq.next_element_seed(Flag { flags: &mut flags, run: self.run });
                    if self.inside(flag, || Segment::Index(at))?.is_none() {
                        return Ok(flags.finish());
                    }
                    at += 1;
                }
            }
            Shape::Map(map) => {
                let mut pairs = reserved(seq.size_hint());
                loop {
                    let pair = seq.next_element_seed(self.of(&map.pair));
                    match self.inside(pair, || Segment::Index(pairs.len()))? {
                        Some(pair) => pairs.extend(split(pair)),
                        None => return Ok(Val::Map(pairs)),
                    }
                }
            }
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

/// The key of a record's field.
struct FieldKey<'b, 'p> {
    builder: &'b RecordBuilder<'p>,
    run: &'b Run,
}

impl<'p> FieldKey<'_, 'p> {
    fn found<E: Error>(self, found: Found) -> Result<(usize, &'p Shape), E> {
        let expected = "the name of a field".to_owned();
        Err(E::custom(self.run.note(Mismatch::Type { expected, found })))
    }
}

impl<'de, 'p> DeserializeSeed<'de> for FieldKey<'_, 'p> {
    type Value = (usize, &'p Shape);

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de, 'p> Visitor<'de> for FieldKey<'_, 'p> {
    type Value = (usize, &'p Shape);

    otherwise!(bool number bytes null list map);

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        self.builder.slot(name).map_err(|mismatch| E::custom(self.run.note(mismatch)))
    }
}

/// The name of a case.
struct CaseKey<'p> {
    cases: OneOf<'p>,
    run: &'p Run,
}

impl CaseKey<'_> {
    fn found<E: Error>(self, found: Found) -> Result<usize, E> {
        let expected = "the name of a case".to_owned();
        Err(E::custom(self.run.note(Mismatch::Type { expected, found })))
    }
}

impl<'de> DeserializeSeed<'de> for CaseKey<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<usize, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CaseKey<'_> {
    type Value = usize;

    otherwise!(bool number bytes null list map);

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        self.cases.find(name).map_err(|mismatch| E::custom(self.run.note(mismatch)))
    }
}

/// The payload of a case that has none: null, as serde writes it.
struct Nothing<'p> {
    cases: OneOf<'p>,
    at: usize,
    run: &'p Run,
}

impl Nothing<'_> {
    fn found<E: Error>(self, found: Found) -> Result<(), E> {
        match found {
            Found::Null => Ok(()),
            found => {
                let mismatch = self.cases.unexpected_payload(self.at, found);
                Err(E::custom(self.run.note(mismatch)))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Nothing<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nothing<'_> {
    type Value = ();

    otherwise!(bool number text bytes null list map);
}

/// One name of a set of flags.
struct Flag<'f, 'p> {
    flags: &'f mut FlagsBuilder<'p>,
    run: &'f Run,
}

impl Flag<'_, '_> {
    fn found<E: Error>(self, found: Found) -> Result<(), E> {
        let expected = "the name of a flag".to_owned();
        Err(E::custom(self.run.note(Mismatch::Type { expected, found })))
    }
}

impl<'de> DeserializeSeed<'de> for Flag<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flag<'_, '_> {
    type Value = ();

    otherwise!(bool number bytes null list map);

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        self.flags.put(name).map_err(|mismatch| E::custom(self.run.note(mismatch)))
    }
}
