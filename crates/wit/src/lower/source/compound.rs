//! Reads values of several parts: arguments, lists, records, maps, one case of several.

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess};

use super::names::{CaseKey, FieldKey, Flag, Nothing};
use super::{Seed, key_text};
use crate::error::{Mismatch, Segment, type_name};
use crate::lower::build::{FlagsBuilder, OneOf, RecordBuilder, wrong_count};
use crate::shape::{MapShape, Names, Record, Shape};

/// A source may read a value and then report its absence: the bytes of that value are removed.
impl<'p> Seed<'p> {
    /// Reads all arguments of a call.
    pub(super) fn arguments<'de, A: SeqAccess<'de>>(
        self,
        params: &'p Record,
        mut seq: A,
    ) -> Result<(), A::Error> {
        for (at, shape) in params.shapes.iter().enumerate() {
            let end = self.run.out.end();
            let value = seq.next_element_seed(self.of(shape));
            if self.inside(value, || Segment::Index(at))?.is_none() {
                self.run.out.truncate(end);
                return self.complete(params, at);
            }
        }
        let mut more = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more += 1;
        }
        if more > 0 {
            let error = wrong_count(params, params.shapes.len() + more);
            return Err(A::Error::custom(self.run.note_whole(error)));
        }
        Ok(())
    }

    /// Reads any number of items, or of a map's pairs.
    pub(super) fn list<'de, A: SeqAccess<'de>>(
        self,
        item: &'p Shape,
        mut seq: A,
    ) -> Result<(), A::Error> {
        let out = &self.run.out;
        let start = out.begin_list();
        let seed = self.of(item);
        let mut count = 0;
        let mut end = out.end();
        loop {
            match seq.next_element_seed(seed) {
                Ok(Some(())) => {
                    count += 1;
                    end = out.end();
                }
                Ok(None) => {
                    out.truncate(end);
                    return self.done(out.end_list(self.shape, start, count));
                }
                Err(error) => return self.inside(Err(error), || Segment::Index(count)),
            }
        }
    }

    /// Reads exactly one item for each of `shapes`.
    pub(super) fn exactly<'de, A: SeqAccess<'de>>(
        self,
        shapes: impl ExactSizeIterator<Item = &'p Shape>,
        mut seq: A,
    ) -> Result<(), A::Error> {
        let len = shapes.len();
        let wrong_length =
            |found| A::Error::custom(self.run.note(Mismatch::length(self.shape, len, found)));
        for (at, shape) in shapes.enumerate() {
            let value = seq.next_element_seed(self.of(shape));
            if self.inside(value, || Segment::Index(at))?.is_none() {
                return Err(wrong_length(at));
            }
        }
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(wrong_length(len + 1)),
        }
    }

    pub(super) fn record<'de, A: MapAccess<'de>>(
        self,
        record: &'p Record,
        mut map: A,
    ) -> Result<(), A::Error> {
        let mut builder = RecordBuilder::new(record, self.run);
        while let Some((at, shape)) =
            map.next_key_seed(FieldKey { builder: &mut builder, run: self.run })?
        {
            let value = map.next_value_seed(self.of(shape));
            self.inside(value, || Segment::Name(record.names.name(at).to_owned()))?;
            builder.put(at);
        }
        self.done(builder.finish())
    }

    pub(super) fn map<'de, A: MapAccess<'de>>(
        self,
        shape: &'p MapShape,
        mut map: A,
    ) -> Result<(), A::Error> {
        let out = &self.run.out;
        let start = out.begin_list();
        let mut count = 0;
        loop {
            let end = out.end();
            let key = map.next_key_seed(self.of(shape.key()));
            if self.inside(key, || Segment::KeyAt(count))?.is_none() {
                out.truncate(end);
                return self.done(out.end_list(self.shape, start, count));
            }
            let value = map.next_value_seed(self.of(shape.value()));
            self.inside(value, || Segment::Key(out.read(end, |key| key_text(shape.key(), key))))?;
            count += 1;
        }
    }

    /// Reads `{"case": payload}`.
    pub(super) fn one_of<'de, A: MapAccess<'de>>(
        self,
        cases: OneOf<'p>,
        mut map: A,
    ) -> Result<(), A::Error> {
        let not_one = |found| {
            let expected = type_name(self.shape);
            A::Error::custom(self.run.note(Mismatch::NotOneCase { expected, found }))
        };
        let Some(at) = map.next_key_seed(CaseKey { cases, run: self.run })? else {
            return Err(not_one("no entries"));
        };
        cases.begin(at, self.run);
        match cases.payload(at) {
            Some(shape) => {
                let value = map.next_value_seed(self.of(shape));
                self.inside(value, || Segment::Name(cases.name(at).to_owned()))?;
            }
            None => map.next_value_seed(Nothing { cases, at, run: self.run })?,
        }
        match map.next_key::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(not_one("2 entries or more")),
        }
    }

    /// Reads flag names, each at most once.
    pub(super) fn flags<'de, A: SeqAccess<'de>>(
        self,
        names: &'p Names,
        mut seq: A,
    ) -> Result<(), A::Error> {
        let flags = FlagsBuilder::new(names, self.run);
        let mut at = 0;
        loop {
            let flag = seq.next_element_seed(Flag { flags: &flags, run: self.run });
            if self.inside(flag, || Segment::Index(at))?.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }
}
