//! Lowers any Rust value that is `Serialize`, by its type: no text and no tree in between.

mod fields;
mod items;

use crisol_core::Value;
use crisol_core::suggest::spelling_key;
use serde::Serialize;
use serde::de::value::Error;
use serde::ser::{Error as _, Serializer};

use super::build::{OneOf, complete};
use super::{Run, scalar};
use crate::error::{Mismatch, Segment, Unexpected};
use crate::shape::Shape;
use fields::Fields;
use items::Items;

/// Lowers all of `args` by `arguments`, the root shape of a plan.
pub(crate) fn lower<T: Serialize + ?Sized>(
    arguments: &Shape,
    run: &Run,
    args: &T,
) -> Result<(), Error> {
    args.serialize(Lower { shape: arguments, run })
}

/// Implements the integer methods, which pass a value of any width to one function.
macro_rules! integers {
    ($($method:ident $ty:ty => $wide:ty),* $(,)?) => {$(
        fn $method(self, v: $ty) -> Result<Self::Ok, Error> {
            self.integer(<$wide>::from(v))
        }
    )*};
}

/// Serializer that writes a value of type `shape`.
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

    fn integer<N: scalar::Integer>(self, number: N) -> Result<(), Error> {
        self.done(scalar::integer(self.shape, number, self.run))
    }

    /// Returns the serializer of an unmarked option's content.
    fn bare(self) -> Self {
        match self.shape {
            Shape::Option(option) if !option.marked => self.of(&option.some),
            _ => self,
        }
    }

    /// Like [`Lower::bare`], and writes the option's mark: the value follows.
    fn held(self) -> Self {
        match self.shape {
            Shape::Option(option) if !option.marked => {
                self.run.out.some();
                self.of(&option.some)
            }
            _ => self,
        }
    }

    /// Finds the case that a Rust enum calls `name`; [`Case::begin`] writes it.
    fn case(self, name: &'static str) -> Result<Case<'p>, Error> {
        let to = self.held();
        let found = || Mismatch::of(self.shape, Unexpected::Case(name.to_owned()));
        let cases = self.done(OneOf::of(to.shape).ok_or_else(found))?;
        // Bindings generators and plain derives use Rust's case names: `NotFound` for `not-found`.
        let at =
            cases.find(name).or_else(|error| cases.find(&spelling_key(name)).map_err(|_| error));
        let at = self.done(at)?;
        Ok(Case { cases, at })
    }

    /// Checks the payload of a case without one: null or unit.
    fn nothing<T: Serialize + ?Sized>(self, case: Case<'p>, value: &T) -> Result<(), Error> {
        let found = match Value::from_serialize(value).map_err(Error::custom)? {
            Value::Null => return Ok(()),
            found => Unexpected::value(&found),
        };
        self.done(Err(case.cases.unexpected_payload(case.at, found)))
    }

    /// Reads text that names a field or a flag.
    fn name<T: Serialize + ?Sized>(self, what: &str, value: &T) -> Result<String, Error> {
        match Value::from_serialize(value).map_err(Error::custom)? {
            Value::Text(name) => Ok(name),
            found => {
                let found = Unexpected::value(&found);
                self.done(Err(Mismatch::Type { expected: what.to_owned(), found }))
            }
        }
    }

    fn null(self) -> Result<(), Error> {
        match self.shape {
            Shape::Arguments(params) => complete(params, 0, self.run)
                .map_err(|error| Error::custom(self.run.note_whole(error))),
            _ => self.done(scalar::null(self.shape, self.run)),
        }
    }

    /// Begins the case and returns the serializer of its payload.
    fn payload(self, case: Case<'p>, found: Unexpected) -> Result<Self, Error> {
        let unexpected = || case.cases.unexpected_payload(case.at, found);
        case.begin(self.run);
        Ok(self.of(self.done(case.cases.payload(case.at).ok_or_else(unexpected))?))
    }
}

/// Case of the type, found by its name.
#[derive(Clone, Copy)]
struct Case<'p> {
    cases: OneOf<'p>,
    at: usize,
}

impl Case<'_> {
    fn begin(self, run: &Run) {
        self.cases.begin(self.at, run);
    }

    fn segment(self) -> Segment {
        Segment::Name(self.cases.name(self.at).to_owned())
    }
}

impl<'p> Serializer for Lower<'p> {
    type Ok = ();
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

    fn serialize_bool(self, v: bool) -> Result<(), Error> {
        self.done(scalar::boolean(self.shape, v, self.run))
    }

    fn serialize_f32(self, v: f32) -> Result<(), Error> {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Result<(), Error> {
        self.done(scalar::float(self.shape, v, self.run.rounds, self.run))
    }

    fn serialize_char(self, v: char) -> Result<(), Error> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<(), Error> {
        self.done(scalar::text(self.shape, v, true, self.run))
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Error> {
        self.done(scalar::bytes(self.shape, v, self.run))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        match self.shape {
            Shape::Option(option) => {
                self.run.out.some();
                value.serialize(self.of(&option.some))
            }
            _ => value.serialize(self),
        }
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
    ) -> Result<(), Error> {
        match self.bare().shape {
            Shape::String => self.serialize_str(case),
            _ => {
                let case = self.case(case)?;
                self.done(case.cases.bare_at(case.at, self.run))
            }
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let case = self.case(case)?;
        if case.cases.payload(case.at).is_none() {
            case.begin(self.run);
            return self.nothing(case, value);
        }
        let payload = value.serialize(self.payload(case, Unexpected::Null)?);
        self.inside(payload, || case.segment())
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
        let items = self.payload(case, Unexpected::List)?.items(Some(len));
        let items = self.inside(items, || case.segment())?;
        Ok(items.of_case(case))
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
        let fields = self.payload(case, Unexpected::Map)?.fields();
        let fields = self.inside(fields, || case.segment())?;
        Ok(fields.of_case(case))
    }
}
