//! Maps and structs of Rust: records, maps, one case of many.

use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{Error as _, SerializeMap, SerializeStruct, SerializeStructVariant};
use wasmtime::component::Val;

use super::{Case, Lower, wrap};
use crate::error::{Found, Mismatch, Segment, type_name};
use crate::lower::build::{OneOf, RecordBuilder};
use crate::lower::scalar;
use crate::lower::source::key_text;
use crate::shape::{MapShape, Shape};

impl<'p> Lower<'p> {
    pub(super) fn fields(self) -> Result<Fields<'p>, Error> {
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
}

/// A map or a struct while its entries arrive.
pub(super) struct Fields<'p> {
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
    /// The same as the payload of a struct variant.
    pub(super) fn of_case(self, case: Case<'p>) -> Self {
        Self { case: Some(case), ..self }
    }

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
