//! Reads the names in a source (fields, cases, flags) and the null of a case without payload.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::otherwise;
use crate::error::{Mismatch, Unexpected};
use crate::lower::Run;
use crate::lower::build::{FlagsBuilder, OneOf, RecordBuilder};
use crate::shape::Shape;

/// Key of a record's field.
pub(super) struct FieldKey<'b, 'p> {
    pub(super) builder: &'b mut RecordBuilder<'p>,
    pub(super) run: &'b Run,
}

impl<'p> FieldKey<'_, 'p> {
    fn found<E: Error>(self, found: Unexpected) -> Result<(usize, &'p Shape), E> {
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

    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        self.builder.slot(name).map_err(|mismatch| E::custom(self.run.note(mismatch)))
    }
}

/// Name of a case.
pub(super) struct CaseKey<'p> {
    pub(super) cases: OneOf<'p>,
    pub(super) run: &'p Run,
}

impl CaseKey<'_> {
    fn found<E: Error>(self, found: Unexpected) -> Result<usize, E> {
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

/// Payload of a case without one: null, as serde writes it.
pub(super) struct Nothing<'p> {
    pub(super) cases: OneOf<'p>,
    pub(super) at: usize,
    pub(super) run: &'p Run,
}

impl Nothing<'_> {
    fn found<E: Error>(self, found: Unexpected) -> Result<(), E> {
        match found {
            Unexpected::Null => Ok(()),
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

/// Name of one flag.
pub(super) struct Flag<'f, 'p> {
    pub(super) flags: &'f FlagsBuilder<'p>,
    pub(super) run: &'f Run,
}

impl Flag<'_, '_> {
    fn found<E: Error>(self, found: Unexpected) -> Result<(), E> {
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
