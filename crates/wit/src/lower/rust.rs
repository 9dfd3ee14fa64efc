//! From any Rust value that is `Serialize`, by its type: no text and no tree in between.

use crisol_core::Value;
use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use wasmtime::component::Val;

use super::build::{
    FlagsBuilder, OneOf, RecordBuilder, TRUSTED_LEN, complete, some, split, wrong_count,
};
use super::source::key_text;
use super::{Run, scalar};
use crate::error::{Found, Mismatch, Segment, type_name};
use crate::names::kebab;
use crate::shape::{MapShape, Record, Shape};

/// Methods that hand a single value to one function, whatever its width.
macro_rules! integers {
    ($($method:ident $ty:ty => $wide:ty),* $(,)?) => {$(
        fn $method(self, v: $ty) -> Result<Self::Ok, Error> {
            self.integer(<$wide>::from(v))
        }
    )*};
}

/// A value to be written as `shape`.
#[derive(Clone, Copy)]
struct Lower<'p> {
    shape: &'p Shape,
    run: &'p Run,
}

impl<'p> Lower<'p> {
    fn of(self, shape: &'p Shape) -> Self {
        Self { shape, run: self.run }
    }

    fn done<T>(self, value: Result<T, Mismatch>) -> Result<T, Error> {
        value.map_err(|mismatch| Error::custom(self.run.note(mismatch)))
    }

    fn inside<T>(
        self,
        value: Result<T, Error>,
        segment: impl FnOnce() -> Segment,
    ) -> Result<T, Error> {
        if value.is_err() {
            self.run.came_from(segment());
        }
        value
    }

    fn integer<N: scalar::Integer>(self, number: N) -> Result<Val, Error> {
        self.done(scalar::integer(self.shape, number))
    }

    /// The shape under an option that is not marked, and whether there was one.
    fn bare(self) -> (Self, bool) {
        match self.shape {
            Shape::Option(option) if !option.marked => (self.of(&option.some), true),
            _ => (self, false),
        }
    }

    fn items(self, len: Option<usize>) -> Result<Items<'p>, Error> {
        let (to, optional) = self.bare();
        let reserved = len.unwrap_or(0).min(TRUSTED_LEN);
        let kind = match to.shape {
            Shape::List(item) => Kind::List(item),
            Shape::Bytes(None) => Kind::List(&Shape::U8),
            Shape::Bytes(Some(len)) => Kind::Fixed(&Shape::U8, *len as usize),
            Shape::FixedList(item, len) => Kind::Fixed(item, *len as usize),
            Shape::Tuple(shapes) => Kind::Tuple(shapes),
            Shape::Arguments(params) => Kind::Arguments(params),
            Shape::Flags(names) => Kind::Flags(FlagsBuilder::new(names)),
            Shape::Map(map) => Kind::Pairs(map, Vec::new()),
            _ => return self.done(Err(Mismatch::of(self.shape, Found::List))),
        };
        let values = Vec::with_capacity(reserved);
        Ok(Items { to, optional, case: None, kind, values, seen: 0 })
    }

    fn fields(self) -> Result<Fields<'p>, Error> {
        let (to, optional) = self.bare();
        let kind = match to.shape {
            Shape::Record(record) | Shape::Arguments(record) => {
                Entries::Record(RecordBuilder::new(record))
            }
            Shape::Map(map) => Entries::Map(map, Vec::new()),
            // `{}` from a source that has one empty table for all.
            Shape::List(_) | Shape::Bytes(None) => Entries::Empty(Val::List(Vec::new())),
            Shape::Flags(_) => Entries::Empty(Val::Flags(Vec::new())),
            _ => match OneOf::of(to.shape) {
                Some(cases) if !matches!(cases, OneOf::Enum(_)) => Entries::OneOf(cases, None),
                _ => return self.done(Err(Mismatch::of(self.shape, Found::Map))),
            },
        };
        Ok(Fields { to, optional, case: None, kind, key: Key::None })
    }

    /// The case that a Rust enum calls `name`, with the shape of its payload.
    fn case(self, name: &'static str) -> Result<Case<'p>, Error> {
        let (to, optional) = self.bare();
        let found = || Mismatch::of(self.shape, Found::Case(name.to_owned()));
        let cases = self.done(OneOf::of(to.shape).ok_or_else(found))?;
        // Bindings generators and plain derives name cases as Rust does: `NotFound` for `not-found`.
        let at = cases.find(name).or_else(|error| cases.find(&kebab(name)).map_err(|_| error));
        let at = self.done(at)?;
        Ok(Case { cases, at, optional })
    }

    /// The payload of a case that has none: null or unit.
    fn nothing<T: Serialize + ?Sized>(self, case: Case<'p>, value: &T) -> Result<(), Error> {
        let found = match Value::from_serialize(value).map_err(Error::custom)? {
            Value::Null => return Ok(()),
            found => Found::value(&found),
        };
        self.done(Err(case.cases.unexpected_payload(case.at, found)))
    }

    /// Text that names something: a field, a flag.
    fn name<T: Serialize + ?Sized>(self, what: &str, value: &T) -> Result<String, Error> {
        match Value::from_serialize(value).map_err(Error::custom)? {
            Value::Text(name) => Ok(name),
            found => {
                let found = Found::value(&found);
                self.done(Err(Mismatch::Type { expected: what.to_owned(), found }))
            }
        }
    }

    fn null(self) -> Result<Val, Error> {
        match self.shape {
            Shape::Arguments(params) => complete(params, Vec::new())
                .map_err(|error| Error::custom(self.run.note_whole(error))),
            _ => self.done(scalar::null(self.shape)),
        }
    }

    fn payload(self, case: Case<'p>, found: Found) -> Result<Self, Error> {
        let unexpected = || case.cases.unexpected_payload(case.at, found);
        Ok(self.of(self.done(case.cases.payload(case.at).ok_or_else(unexpected))?))
    }
}

/// A case that was found, to be wrapped around its payload.
#[derive(Clone, Copy)]
struct Case<'p> {
    cases: OneOf<'p>,
    at: usize,
    optional: bool,
}

impl Case<'_> {
    fn wrap(self, payload: Option<Val>) -> Val {
        wrap(self.cases.build(self.at, payload), self.optional)
    }

    fn segment(self) -> Segment {
        Segment::Name(self.cases.name(self.at).to_owned())
    }
}

fn wrap(value: Val, optional: bool) -> Val {
    if optional { some(value) } else { value }
}

impl<'p> Serializer for Lower<'p> {
    type Ok = Val;
    type Error = Error;
    type SerializeSeq = Items<'p>;
    type SerializeTuple = Items<'p>;
    type SerializeTupleStruct = Items<'p>;
    type SerializeTupleVariant = Items<'p>;
    type SerializeMap = Fields<'p>;
    type SerializeStruct = Fields<'p>;
    type SerializeStructVariant = Fields<'p>;

    integers! {
        serialize_i8 i8 => i64, serialize_i16 i16 => i64, serialize_i32 i32 => i64,
        serialize_i64 i64 => i64, serialize_u8 u8 => u64, serialize_u16 u16 => u64,
        serialize_u32 u32 => u64, serialize_u64 u64 => u64, serialize_i128 i128 => i128,
        serialize_u128 u128 => u128,
    }

    fn serialize_bool(self, v: bool) -> Result<Val, Error> {
        self.done(scalar::boolean(self.shape, v))
    }

    fn serialize_f32(self, v: f32) -> Result<Val, Error> {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Result<Val, Error> {
        self.done(scalar::float(self.shape, v))
    }

    fn serialize_char(self, v: char) -> Result<Val, Error> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<Val, Error> {
        self.done(scalar::text(self.shape, v, true))
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<Val, Error> {
        self.done(scalar::bytes(self.shape, v))
    }

    fn serialize_none(self) -> Result<Val, Error> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Val, Error> {
        match self.shape {
            Shape::Option(option) => value.serialize(self.of(&option.some)).map(some),
            _ => value.serialize(self),
        }
    }

    fn serialize_unit(self) -> Result<Val, Error> {
        self.null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Val, Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
    ) -> Result<Val, Error> {
        match self.bare().0.shape {
            Shape::String => self.serialize_str(case),
            _ => {
                let case = self.case(case)?;
                let value = self.done(case.cases.bare_at(case.at))?;
                Ok(wrap(value, case.optional))
            }
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Val, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        value: &T,
    ) -> Result<Val, Error> {
        let case = self.case(case)?;
        if case.cases.payload(case.at).is_none() {
            self.nothing(case, value)?;
            return Ok(case.wrap(None));
        }
        let payload = value.serialize(self.payload(case, Found::Null)?);
        Ok(case.wrap(Some(self.inside(payload, || case.segment())?)))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'p>, Error> {
        self.items(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'p>, Error> {
        self.items(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Items<'p>, Error> {
        self.items(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        len: usize,
    ) -> Result<Items<'p>, Error> {
        let case = self.case(case)?;
        let items = self.payload(case, Found::List)?.items(Some(len));
        let items = self.inside(items, || case.segment())?;
        Ok(Items { case: Some(case), ..items })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Fields<'p>, Error> {
        self.fields()
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Fields<'p>, Error> {
        self.fields()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        _len: usize,
    ) -> Result<Fields<'p>, Error> {
        let case = self.case(case)?;
        let fields = self.payload(case, Found::Map)?.fields();
        let fields = self.inside(fields, || case.segment())?;
        Ok(Fields { case: Some(case), ..fields })
    }
}

/// A sequence while its items arrive.
struct Items<'p> {
    to: Lower<'p>,
    optional: bool,
    /// Of a tuple variant.
    case: Option<Case<'p>>,
    kind: Kind<'p>,
    values: Vec<Val>,
    seen: usize,
}

enum Kind<'p> {
    List(&'p Shape),
    Fixed(&'p Shape, usize),
    Tuple(&'p [Shape]),
    Arguments(&'p Record),
    Flags(FlagsBuilder<'p>),
    Pairs(&'p MapShape, Vec<(Val, Val)>),
}

impl<'p> Items<'p> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let (at, to) = (self.seen, self.to);
        self.seen += 1;
        let shape = match &mut self.kind {
            Kind::List(item) => Some(*item),
            Kind::Fixed(item, len) => (at < *len).then_some(*item),
            Kind::Tuple(shapes) => shapes.get(at),
            Kind::Arguments(params) => params.shapes.get(at),
            Kind::Flags(flags) => {
                let name = to.name("the name of a flag", value);
                let put = name.and_then(|name| to.done(flags.put(&name)));
                let put = to.inside(put, || Segment::Index(at));
                return self.path(put);
            }
            Kind::Pairs(map, pairs) => {
                let pair = value.serialize(to.of(&map.pair));
                let pair = to.inside(pair, || Segment::Index(at));
                let pushed = pair.map(|pair| pairs.extend(split(pair)));
                return self.path(pushed);
            }
        };
        // Items too many are counted, and told at the end.
        if let Some(shape) = shape {
            let value = to.inside(value.serialize(to.of(shape)), || Segment::Index(at));
            self.values.push(self.path(value)?);
        }
        Ok(())
    }

    /// Tells the case that this is the payload of, when it failed.
    fn path<T>(&self, value: Result<T, Error>) -> Result<T, Error> {
        match (value, self.case) {
            (Err(error), Some(case)) => {
                self.to.run.came_from(case.segment());
                Err(error)
            }
            (value, _) => value,
        }
    }

    fn finish(self) -> Result<Val, Error> {
        let wanted = match &self.kind {
            Kind::Fixed(_, len) => Some(*len),
            Kind::Tuple(shapes) => Some(shapes.len()),
            _ => None,
        };
        if let Some(wanted) = wanted
            && wanted != self.seen
        {
            let expected = type_name(self.to.shape);
            let found = self.seen;
            let mismatch = Mismatch::Length { expected, items: wanted, found, more: false };
            return self.path(self.to.done(Err(mismatch)));
        }
        let value = match self.kind {
            Kind::Arguments(params) => {
                let all = match self.seen.checked_sub(params.shapes.len()) {
                    None | Some(0) => complete(params, self.values),
                    Some(_) => Err(wrong_count(params, self.seen)),
                };
                all.map_err(|error| Error::custom(self.to.run.note_whole(error)))?
            }
            Kind::List(_) => Val::List(self.values),
            Kind::Fixed(..) => Val::FixedLengthList(self.values),
            Kind::Tuple(_) => Val::Tuple(self.values),
            Kind::Flags(flags) => flags.finish(),
            Kind::Pairs(_, pairs) => Val::Map(pairs),
        };
        let value = wrap(value, self.optional);
        Ok(match self.case {
            Some(case) => case.wrap(Some(value)),
            None => value,
        })
    }
}

/// The sequence-like traits of serde differ in their names alone.
macro_rules! sequence {
    ($($trait:ident $push:ident),*) => {$(
        impl $trait for Items<'_> {
            type Ok = Val;
            type Error = Error;

            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<Val, Error> {
                self.finish()
            }
        }
    )*};
}

sequence!(
    SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field
);

/// A map or a struct while its entries arrive.
struct Fields<'p> {
    to: Lower<'p>,
    optional: bool,
    /// Of a struct variant.
    case: Option<Case<'p>>,
    kind: Entries<'p>,
    key: Key<'p>,
}

enum Entries<'p> {
    Record(RecordBuilder<'p>),
    Map(&'p MapShape, Vec<(Val, Val)>),
    OneOf(OneOf<'p>, Option<Val>),
    Empty(Val),
}

/// The key whose value comes next.
enum Key<'p> {
    None,
    Field(usize, &'p Shape),
    Entry(Val),
    Case(usize),
}

impl<'p> Fields<'p> {
    /// Tells the case that this is the payload of, when it failed.
    fn path<T>(&self, value: Result<T, Error>) -> Result<T, Error> {
        if let (Err(_), Some(case)) = (&value, self.case) {
            self.to.run.came_from(case.segment());
        }
        value
    }

    fn failed(&self, mismatch: Mismatch) -> Error {
        let error = Error::custom(self.to.run.note(mismatch));
        if let Some(case) = self.case {
            self.to.run.came_from(case.segment());
        }
        error
    }

    fn name_key(&mut self, name: &str) -> Result<(), Error> {
        let key = match &mut self.kind {
            Entries::Record(builder) => builder.slot(name).map(|(at, shape)| Key::Field(at, shape)),
            Entries::Map(map, _) => scalar::text(map.key(), name, true).map(Key::Entry),
            Entries::OneOf(cases, None) => cases.find(name).map(Key::Case),
            Entries::OneOf(..) => Err(Mismatch::NotOneCase {
                expected: type_name(self.to.shape),
                found: "2 entries or more",
            }),
            Entries::Empty(_) => Err(Mismatch::of(self.to.shape, Found::Map)),
        };
        self.key = key.map_err(|mismatch| self.failed(mismatch))?;
        Ok(())
    }

    fn put_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let to = self.to;
        let put = match (std::mem::replace(&mut self.key, Key::None), &mut self.kind) {
            (Key::Field(at, shape), Entries::Record(builder)) => {
                let value = value.serialize(to.of(shape));
                let name = || Segment::Name(field_name(to.shape, at));
                to.inside(value, name).map(|value| builder.put(at, value))
            }
            (Key::Entry(key), Entries::Map(map, pairs)) => {
                let value = value.serialize(to.of(map.value()));
                let value = to.inside(value, || Segment::Key(key_text(&key)));
                value.map(|value| pairs.push((key, value)))
            }
            (Key::Case(at), Entries::OneOf(cases, done)) => {
                let case = Case { cases: *cases, at, optional: false };
                match cases.payload(at) {
                    Some(shape) => {
                        let value = to.inside(value.serialize(to.of(shape)), || case.segment());
                        value.map(|value| *done = Some(case.wrap(Some(value))))
                    }
                    None => to.nothing(case, value).map(|()| *done = Some(case.wrap(None))),
                }
            }
            _ => Err(Error::custom("a map's value came before its key")),
        };
        if let (Err(_), Some(case)) = (&put, self.case) {
            to.run.came_from(case.segment());
        }
        put
    }

    fn finish(self) -> Result<Val, Error> {
        let (case, optional, to) = (self.case, self.optional, self.to);
        let built = match self.kind {
            Entries::Record(builder) => builder.finish(to.run),
            Entries::Map(_, pairs) => Ok(Val::Map(pairs)),
            Entries::OneOf(_, Some(value)) | Entries::Empty(value) => Ok(value),
            Entries::OneOf(_, None) => {
                Err(Mismatch::NotOneCase { expected: type_name(to.shape), found: "no entries" })
            }
        };
        match (built, case) {
            (Ok(value), None) => Ok(wrap(value, optional)),
            (Ok(value), Some(case)) => Ok(case.wrap(Some(wrap(value, optional)))),
            (Err(mismatch), case) => {
                let error = to.done(Err(mismatch));
                if let Some(case) = case {
                    to.run.came_from(case.segment());
                }
                error
            }
        }
    }
}

fn field_name(shape: &Shape, at: usize) -> String {
    match shape {
        Shape::Record(record) | Shape::Arguments(record) => record.names.name(at).to_owned(),
        _ => String::new(),
    }
}

impl SerializeMap for Fields<'_> {
    type Ok = Val;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let to = self.to;
        if let Entries::Map(map, pairs) = &self.kind {
            let at = pairs.len();
            let key = to.inside(key.serialize(to.of(map.key())), || Segment::KeyAt(at))?;
            self.key = Key::Entry(key);
            return Ok(());
        }
        let name = to.name("a name as key", key);
        let name = self.path(name)?;
        self.name_key(&name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.put_value(value)
    }

    fn end(self) -> Result<Val, Error> {
        self.finish()
    }
}

macro_rules! structs {
    ($($trait:ident),*) => {$(
        impl $trait for Fields<'_> {
            type Ok = Val;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.name_key(key)?;
                self.put_value(value)
            }

            fn end(self) -> Result<Val, Error> {
                self.finish()
            }
        }
    )*};
}

structs!(SerializeStruct, SerializeStructVariant);

/// All of `args`, by `arguments`, which is the root of a plan.
pub(crate) fn lower<T: Serialize + ?Sized>(
    arguments: &Shape,
    run: &Run,
    args: &T,
) -> Result<Val, Error> {
    args.serialize(Lower { shape: arguments, run })
}
