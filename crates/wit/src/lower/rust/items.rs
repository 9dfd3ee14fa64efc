//! Lowers sequences of Rust values into lists, tuples, flags, arguments, or maps as pairs.

use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{
    Error as _, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Case, Lower};
use crate::error::{Found, Mismatch, Segment, type_name};
use crate::lower::build::{FlagsBuilder, RecordBuilder, complete, wrong_count};
use crate::shape::{Record, Shape};

impl<'p> Lower<'p> {
    pub(super) fn items(self, len: Option<usize>) -> Result<Items<'p>, Error> {
        let to = self.held();
        let run = to.run;
        let kind = match to.shape {
            Shape::List(item) => Kind::List(item, run.out.begin_list()),
            Shape::Bytes(None) => Kind::List(&Shape::U8, run.out.begin_list()),
            Shape::Map(map) => Kind::List(&map.pair, run.out.begin_list()),
            Shape::Bytes(Some(len)) => Kind::Fixed(&Shape::U8, *len as usize),
            Shape::FixedList(item, len) => Kind::Fixed(item, *len as usize),
            Shape::Tuple(shapes) => Kind::Tuple(shapes),
            Shape::Arguments(params) => Kind::Arguments(params),
            Shape::Flags(names) => Kind::Flags(FlagsBuilder::new(names, run)),
            // Source format with one empty table for all types, which writes `[]`.
            Shape::Record(record) if len.is_none_or(|len| len == 0) => Kind::NoFields(record),
            _ => return self.done(Err(Mismatch::of(self.shape, Found::List))),
        };
        Ok(Items { to, case: None, kind, seen: 0 })
    }
}

/// Sequence under construction.
pub(super) struct Items<'p> {
    to: Lower<'p>,
    /// Case of a tuple variant.
    case: Option<Case<'p>>,
    kind: Kind<'p>,
    seen: usize,
}

enum Kind<'p> {
    /// Items, or pairs of a map, with the offset of their count.
    List(&'p Shape, usize),
    Fixed(&'p Shape, usize),
    Tuple(&'p [Shape]),
    Arguments(&'p Record),
    Flags(FlagsBuilder<'p>),
    /// Record with all fields omitted.
    NoFields(&'p Record),
}

impl<'p> Items<'p> {
    /// Returns this as the payload of a tuple variant.
    pub(super) fn of_case(self, case: Case<'p>) -> Self {
        Self { case: Some(case), ..self }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let (at, to) = (self.seen, self.to);
        self.seen += 1;
        let shape = match &self.kind {
            Kind::List(item, _) => Some(*item),
            Kind::Fixed(item, len) => (at < *len).then_some(*item),
            Kind::Tuple(shapes) => shapes.get(at),
            Kind::Arguments(params) => params.shapes.get(at),
            Kind::Flags(flags) => {
                let name = to.name("the name of a flag", value);
                let put = name.and_then(|name| to.done(flags.put(&name)));
                let put = to.inside(put, || Segment::Index(at));
                return self.path(put);
            }
            Kind::NoFields(_) => {
                let mismatch = Mismatch::of(to.shape, Found::List);
                return self.path(to.done(Err(mismatch)));
            }
        };
        // Excess items are counted and reported at the end.
        if let Some(shape) = shape {
            let value = to.inside(value.serialize(to.of(shape)), || Segment::Index(at));
            self.path(value)?;
        }
        Ok(())
    }

    /// Adds the case of this payload to the path of an error.
    fn path<T>(&self, value: Result<T, Error>) -> Result<T, Error> {
        match (value, self.case) {
            (Err(error), Some(case)) => {
                self.to.run.came_from(case.segment());
                Err(error)
            }
            (value, _) => value,
        }
    }

    fn finish(self) -> Result<(), Error> {
        let wanted = match &self.kind {
            Kind::Fixed(_, len) => Some(*len),
            Kind::Tuple(shapes) => Some(shapes.len()),
            _ => None,
        };
        let (to, found) = (self.to, self.seen);
        if let Some(items) = wanted
            && items != found
        {
            let expected = type_name(to.shape);
            let mismatch = Mismatch::Length { expected, items, found, more: false };
            return self.path(to.done(Err(mismatch)));
        }
        match &self.kind {
            Kind::List(_, start) => {
                self.path(to.done(to.run.out.end_list(to.shape, *start, found)))
            }
            Kind::NoFields(record) => {
                self.path(to.done(RecordBuilder::new(record, to.run).finish()))
            }
            Kind::Arguments(params) => {
                let all = match found.checked_sub(params.shapes.len()) {
                    None | Some(0) => complete(params, found, to.run),
                    Some(_) => Err(wrong_count(params, found)),
                };
                all.map_err(|error| Error::custom(to.run.note_whole(error)))
            }
            Kind::Fixed(..) | Kind::Tuple(_) | Kind::Flags(_) => Ok(()),
        }
    }
}

/// Implements the sequence traits of serde, which differ only in their names.
macro_rules! sequence {
    ($($trait:ident $push:ident),*) => {$(
        impl $trait for Items<'_> {
            type Ok = ();
            type Error = Error;

            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

sequence!(
    SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field
);
