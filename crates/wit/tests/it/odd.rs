//! Serializer that writes some parts twice and skips others: each part stays in its own place.

use std::fmt;

use crisol_core::Type;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, proptest};
use serde::ser::{
    Error, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer,
};

use super::support::{lifted, mapping};
use super::types::{any_type, any_value};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

impl Error for Failed {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Serializer that writes readable text.
#[derive(Clone, Copy)]
struct Odd;

/// Parts of one value: the first is written twice, the second skipped, the third written once, and so on.
struct Parts {
    next: usize,
    /// Expected number of parts.
    len: usize,
    text: String,
}

impl Parts {
    fn of(len: Option<usize>) -> Self {
        Self { next: 0, len: len.unwrap(), text: String::new() }
    }

    fn put<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Failed> {
        let times = [2, 0, 1][self.next % 3];
        self.next += 1;
        for _ in 0..times {
            self.text += &part.serialize(Odd)?;
            self.text.push(',');
        }
        Ok(())
    }
}

macro_rules! shown {
    ($($name:ident: $ty:ty)*) => {$(
        fn $name(self, v: $ty) -> Result<String, Failed> {
            Ok(format!("{v:?}"))
        }
    )*};
}

impl Serializer for Odd {
    type Ok = String;
    type Error = Failed;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeMap = Parts;
    type SerializeTupleStruct = Impossible<String, Failed>;
    type SerializeTupleVariant = Impossible<String, Failed>;
    type SerializeStruct = Impossible<String, Failed>;
    type SerializeStructVariant = Impossible<String, Failed>;

    shown! {
        serialize_bool: bool serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64 serialize_f64: f64
        serialize_str: &str serialize_bytes: &[u8]
    }

    fn serialize_f32(self, v: f32) -> Result<String, Failed> {
        self.serialize_f64(v.into())
    }

    fn serialize_char(self, v: char) -> Result<String, Failed> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<String, Failed> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Failed> {
        value.serialize(self)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, Failed> {
        Ok("null".to_owned())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Parts, Failed> {
        Ok(Parts::of(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts, Failed> {
        Ok(Parts::of(Some(len)))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Parts, Failed> {
        Ok(Parts::of(len.map(|len| 2 * len)))
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<String, Failed> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _at: u32,
        case: &'static str,
    ) -> Result<String, Failed> {
        self.serialize_str(case)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<String, Failed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _at: u32,
        _case: &'static str,
        _value: &T,
    ) -> Result<String, Failed> {
        Err(Failed::custom("no variants"))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, Failed> {
        Err(Failed::custom("no structs"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _at: u32,
        _case: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Failed> {
        Err(Failed::custom("no variants"))
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStruct, Failed> {
        Err(Failed::custom("no structs"))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _at: u32,
        _case: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Failed> {
        Err(Failed::custom("no variants"))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl SerializeSeq for Parts {
    type Ok = String;
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Failed> {
        self.put(item)
    }

    fn end(self) -> Result<String, Failed> {
        assert_eq!(self.next, self.len);
        Ok(format!("[{}]", self.text))
    }
}

impl SerializeTuple for Parts {
    type Ok = String;
    type Error = Failed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Failed> {
        self.put(item)
    }

    fn end(self) -> Result<String, Failed> {
        SerializeSeq::end(self)
    }
}

impl SerializeMap for Parts {
    type Ok = String;
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failed> {
        self.put(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        self.put(value)
    }

    fn end(self) -> Result<String, Failed> {
        assert_eq!(self.next, self.len);
        Ok(format!("{{{}}}", self.text))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The tree of the same value, whose parts are separate, gives the same text.
    #[test]
    fn parts_stay_in_their_places((ty, value) in any_type().prop_flat_map(|item| {
        let list = Type::List(Box::new(item));
        let values = any_value(&list);
        (Just(list), values)
    })) {
        let lifted = lifted(&mapping(&ty), value);
        let packed = lifted.serialize(Odd).unwrap();
        prop_assert_eq!(packed, lifted.to_value().serialize(Odd).unwrap());
    }
}
