//! Lowers maps and structs of Rust into records, maps, or one case of several.

use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{Error as _, SerializeMap, SerializeStruct, SerializeStructVariant};

use super::{Case, Lower};
use crate::error::{Mismatch, Segment, Unexpected, type_name};
use crate::lower::build::{OneOf, RecordBuilder};
use crate::lower::scalar;
use crate::lower::source::key_text;
use crate::shape::{MapShape, Shape};

impl<'p> Lower<'p> {
    pub(super) fn fields(self) -> Result<Fields<'p>, Error> {
        let to = self.held();
        let out = &to.run.out;
        let kind = match to.shape {
            Shape::Record(record) | Shape::Arguments(record) => {
                Entries::Record(RecordBuilder::new(record, to.run))
            }
            Shape::Map(map) => Entries::Map { map, start: out.begin_list(), count: 0 },
            // Source format with one empty table for all types, which writes `{}`.
            Shape::List(_) | Shape::Bytes(None) => {
                out.empty_list();
                Entries::Empty
            }
            Shape::Flags(names) => {
                out.no_flags(names.len());
                Entries::Empty
            }
            _ => match OneOf::of(to.shape) {
                Some(cases) if !matches!(cases, OneOf::Enum(_)) => Entries::OneOf(cases, false),
                _ => return self.done(Err(Mismatch::of(self.shape, Unexpected::Map))),
            },
        };
        Ok(Fields { to, case: None, kind, key: Key::None })
    }
}

/// Map or struct under construction.
pub(super) struct Fields<'p> {
    to: Lower<'p>,
    /// Case of a struct variant.
    case: Option<Case<'p>>,
    kind: Entries<'p>,
    key: Key<'p>,
}

enum Entries<'p> {
    Record(RecordBuilder<'p>),
    /// Pairs, with the offset of their count and their number.
    Map {
        map: &'p MapShape,
        start: usize,
        count: usize,
    },
    /// One case, and true once it is written.
    OneOf(OneOf<'p>, bool),
    Empty,
}

/// Key whose value comes next.
enum Key<'p> {
    None,
    Field(usize, &'p Shape),
    /// Key of a map, with its offset.
    Entry(usize),
    Case(usize),
}

impl<'p> Fields<'p> {
    /// Returns this as the payload of a struct variant.
    pub(super) fn of_case(self, case: Case<'p>) -> Self {
        Self { case: Some(case), ..self }
    }

    /// Adds the case of this payload to the path of an error.
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

    /// Removes a key of a map without a value.
    fn forget_key(&mut self) {
        if let Key::Entry(start) = std::mem::replace(&mut self.key, Key::None) {
            self.to.run.out.truncate(start);
        }
    }

    fn name_key(&mut self, name: &str) -> Result<(), Error> {
        self.forget_key();
        let run = self.to.run;
        let key = match &mut self.kind {
            Entries::Record(builder) => builder.slot(name).map(|(at, shape)| Key::Field(at, shape)),
            Entries::Map { map, .. } => {
                let start = run.out.end();
                scalar::text(map.key(), name, true, run).map(|()| Key::Entry(start))
            }
            Entries::OneOf(cases, false) => cases.find(name).map(Key::Case),
            Entries::OneOf(..) => Err(Mismatch::NotOneCase {
                expected: type_name(self.to.shape),
                found: "2 entries or more",
            }),
            Entries::Empty => Err(Mismatch::of(self.to.shape, Unexpected::Map)),
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
                to.inside(value, name).map(|()| builder.put(at))
            }
            (Key::Entry(start), Entries::Map { map, count, .. }) => {
                let value = value.serialize(to.of(map.value()));
                let key = || Segment::Key(to.run.out.read(start, |key| key_text(map.key(), key)));
                to.inside(value, key).map(|()| *count += 1)
            }
            (Key::Case(at), Entries::OneOf(cases, done)) => {
                let case = Case { cases: *cases, at };
                case.begin(to.run);
                *done = true;
                match cases.payload(at) {
                    Some(shape) => to.inside(value.serialize(to.of(shape)), || case.segment()),
                    None => to.nothing(case, value),
                }
            }
            _ => Err(Error::custom("a map's value came before its key")),
        };
        if let (Err(_), Some(case)) = (&put, self.case) {
            to.run.came_from(case.segment());
        }
        put
    }

    fn finish(mut self) -> Result<(), Error> {
        self.forget_key();
        let to = self.to;
        let ended = match self.kind {
            Entries::Record(builder) => builder.finish(),
            Entries::Map { start, count, .. } => to.run.out.end_list(to.shape, start, count),
            Entries::OneOf(_, true) | Entries::Empty => Ok(()),
            Entries::OneOf(_, false) => {
                Err(Mismatch::NotOneCase { expected: type_name(to.shape), found: "no entries" })
            }
        };
        let ended = to.done(ended);
        match self.case {
            Some(case) => to.inside(ended, || case.segment()),
            None => ended,
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
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let to = self.to;
        self.forget_key();
        if let Entries::Map { map, count, .. } = self.kind {
            let start = to.run.out.end();
            to.inside(key.serialize(to.of(map.key())), || Segment::KeyAt(count))?;
            self.key = Key::Entry(start);
            return Ok(());
        }
        let name = to.name("a name as key", key);
        let name = self.path(name)?;
        self.name_key(&name)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.put_value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

macro_rules! structs {
    ($($trait:ident),*) => {$(
        impl $trait for Fields<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.name_key(key)?;
                self.put_value(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

structs!(SerializeStruct, SerializeStructVariant);
