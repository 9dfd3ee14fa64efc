//! Sequences of Rust values: lists, tuples, flags, arguments, maps as pairs.

use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{
    Error as _, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};
use wasmtime::component::Val;

use super::{Case, Lower, wrap};
use crate::error::{Found, Mismatch, Segment, type_name};
use crate::lower::build::{FlagsBuilder, RecordBuilder, TRUSTED_LEN, complete, split, wrong_count};
use crate::shape::{MapShape, Record, Shape};

impl<'p> Lower<'p> {
    pub(super) fn items(self, len: Option<usize>) -> Result<Items<'p>, Error> {
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
            // `[]` from a source that has one empty table for all.
            Shape::Record(record) if len.is_none_or(|len| len == 0) => Kind::NoFields(record),
            _ => return self.done(Err(Mismatch::of(self.shape, Found::List))),
        };
        let values = Vec::with_capacity(reserved);
        Ok(Items { to, optional, case: None, kind, values, seen: 0 })
    }
}

/// A sequence while its items arrive.
pub(super) struct Items<'p> {
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
    /// A record all of whose fields are left out.
    NoFields(&'p Record),
}

impl<'p> Items<'p> {
    /// The same as the payload of a tuple variant.
    pub(super) fn of_case(self, case: Case<'p>) -> Self {
        Self { case: Some(case), ..self }
    }

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
            Kind::NoFields(_) => {
                let mismatch = Mismatch::of(to.shape, Found::List);
                return self.path(to.done(Err(mismatch)));
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
            Kind::NoFields(record) => {
                let record = RecordBuilder::new(record).finish(self.to.run);
                match self.to.done(record) {
                    Err(error) => {
                        if let Some(case) = self.case {
                            self.to.run.came_from(case.segment());
                        }
                        return Err(error);
                    }
                    Ok(value) => value,
                }
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
