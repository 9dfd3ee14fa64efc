//! Values of several parts: arguments, lists, records, maps, one case of many.

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess};
use wasmtime::component::Val;

use super::names::{CaseKey, FieldKey, Flag, Nothing};
use super::{Seed, key_text};
use crate::error::{Mismatch, Segment, type_name};
use crate::lower::build::{
    FlagsBuilder, OneOf, RecordBuilder, TRUSTED_LEN, complete, split, wrong_count,
};
use crate::shape::{MapShape, Names, Record, Shape};

/// Reserves what a source says it holds, within reason: the word of a source is not memory.
fn reserved<T>(hint: Option<usize>) -> Vec<T> {
    Vec::with_capacity(hint.unwrap_or(0).min(TRUSTED_LEN))
}

impl<'p> Seed<'p> {
    /// All arguments of a call.
    pub(super) fn arguments<'de, A: SeqAccess<'de>>(
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

    pub(super) fn complete<E: Error>(self, params: &Record, values: Vec<Val>) -> Result<Val, E> {
        complete(params, values).map_err(|error| E::custom(self.run.note_whole(error)))
    }

    pub(super) fn list<'de, A: SeqAccess<'de>>(
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
    pub(super) fn exactly<'de, A: SeqAccess<'de>>(
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

    pub(super) fn record<'de, A: MapAccess<'de>>(
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

    pub(super) fn map<'de, A: MapAccess<'de>>(
        self,
        shape: &'p MapShape,
        mut map: A,
    ) -> Result<Val, A::Error> {
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
    pub(super) fn one_of<'de, A: MapAccess<'de>>(
        self,
        cases: OneOf<'p>,
        mut map: A,
    ) -> Result<Val, A::Error> {
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

    /// Names, each once.
    pub(super) fn flags<'de, A: SeqAccess<'de>>(
        self,
        names: &'p Names,
        mut seq: A,
    ) -> Result<Val, A::Error> {
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

    /// A map as the list of its pairs.
    pub(super) fn pairs<'de, A: SeqAccess<'de>>(
        self,
        map: &'p MapShape,
        mut seq: A,
    ) -> Result<Val, A::Error> {
        let mut pairs = reserved(seq.size_hint());
        loop {
            let pair = seq.next_element_seed(self.of(&map.pair));
            match self.inside(pair, || Segment::Index(pairs.len()))? {
                Some(pair) => pairs.extend(split(pair)),
                None => return Ok(Val::Map(pairs)),
            }
        }
    }
}
