//! Lowers sequences of Rust values into lists, tuples, flags, arguments, or maps as pairs.

use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{
    Error as _, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Case, Lower};
use crate::error::{Mismatch, Segment, Unexpected, type_name};
use crate::lower::build::{FlagsBuilder, RecordBuilder, complete, wrong_count};
use crate::shape::{Record, Shape};

impl<'p> Lower<'p> {
    pub(super) fn items(self, len: Option<usize>) -> Result<Items<'p>, Error> {
        let to = self.held();
        let run = to.run;
        let kind = match to.shape {
            Shape::List(item) => Sequence::List(item, run.out.begin_list()),
            Shape::Bytes(None) => Sequence::List(&Shape::U8, run.out.begin_list()),
            Shape::Map(map) => Sequence::List(&map.pair, run.out.begin_list()),
            Shape::Bytes(Some(len)) => Sequence::Fixed(&Shape::U8, *len as usize),
            Shape::FixedList(item, len) => Sequence::Fixed(item, *len as usize),
            Shape::Tuple(shapes) => Sequence::Tuple(shapes),
            Shape::Arguments(params) => Sequence::Arguments(params),
            Shape::Flags(names) => Sequence::Flags(FlagsBuilder::new(names, run)),
            // Source format with one empty table for all types, which writes `[]`.
            Shape::Record(record) if len.is_none_or(|len| len == 0) => Sequence::NoFields(record),
            _ => return self.done(Err(Mismatch::of(self.shape, Unexpected::List))),
        };
        Ok(Items { to, case: None, kind, seen: 0 })
    }
}

/// Sequence under construction.
pub(super) struct Items<'p> {
    to: Lower<'p>,
    /// Case of a tuple variant.
    case: Option<Case<'p>>,
    kind: Sequence<'p>,
    seen: usize,
}

enum Sequence<'p> {
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
            Sequence::List(item, _) => Some(*item),
            Sequence::Fixed(item, len) => (at < *len).then_some(*item),
            Sequence::Tuple(shapes) => shapes.get(at),
            Sequence::Arguments(params) => params.shapes.get(at),
            Sequence::Flags(flags) => {
                let name = to.name("the name of a flag", value);
                let put = name.and_then(|name| to.done(flags.put(&name)));
                let put = to.inside(put, || Segment::Index(at));
                return self.path(put);
            }
            Sequence::NoFields(_) => {
                let mismatch = Mismatch::of(to.shape, Unexpected::List);
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
            Sequence::Fixed(_, len) => Some(*len),
            Sequence::Tuple(shapes) => Some(shapes.len()),
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
            Sequence::List(_, start) => {
                self.path(to.done(to.run.out.end_list(to.shape, *start, found)))
            }
            Sequence::NoFields(record) => {
                self.path(to.done(RecordBuilder::new(record, to.run).finish()))
            }
            Sequence::Arguments(params) => {
                let all = match found.checked_sub(params.shapes.len()) {
                    None | Some(0) => complete(params, found, to.run),
                    Some(_) => Err(wrong_count(params, found)),
                };
                all.map_err(|error| Error::custom(to.run.note_whole(error)))
            }
            Sequence::Fixed(..) | Sequence::Tuple(_) | Sequence::Flags(_) => Ok(()),
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
