//! Serialization: values into any serde target, and values from any `Serialize` type.

use std::fmt;

use serde::ser::{self, Serialize, SerializeMap, Serializer};

use super::Value;

/// Error for a Rust value that has no [`Value`] form, or for a [`Value`] that is not of the requested Rust type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError(Box<str>);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

impl ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(v) => serializer.serialize_bool(*v),
            Self::Int(v) => serializer.serialize_i64(*v),
            Self::UInt(v) => serializer.serialize_u64(*v),
            Self::Float(v) => serializer.serialize_f64(*v),
            Self::Text(v) => serializer.serialize_str(v),
            Self::Bytes(v) => serializer.serialize_bytes(v),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(pairs) => {
                serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

impl Value {
    /// Builds the tree of any `Serialize` value. Enums have serde's externally tagged form.
    ///
    /// # Errors
    /// Fails if the value's own `Serialize` fails, or if an integer does not fit 64 bits.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        value.serialize(Builder)
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// `{case: payload}`, serde's externally tagged form.
fn tagged(case: &'static str, payload: Value) -> Value {
    Value::Map(vec![(text(case), payload)])
}

struct Builder;

impl Serializer for Builder {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Pairs;
    type SerializeStruct = Pairs;
    type SerializeStructVariant = Pairs;

    fn is_human_readable(&self) -> bool {
        // A tree keeps numbers (NaN too) and bytes in their own form.
        false
    }

    fn serialize_bool(self, v: bool) -> Result<Value, ValueError> {
        Ok(Value::Bool(v))
    }

    fn serialize_i8(self, v: i8) -> Result<Value, ValueError> {
        Ok(Value::Int(v.into()))
    }

    fn serialize_i16(self, v: i16) -> Result<Value, ValueError> {
        Ok(Value::Int(v.into()))
    }

    fn serialize_i32(self, v: i32) -> Result<Value, ValueError> {
        Ok(Value::Int(v.into()))
    }

    fn serialize_i64(self, v: i64) -> Result<Value, ValueError> {
        Ok(Value::Int(v))
    }

    fn serialize_i128(self, v: i128) -> Result<Value, ValueError> {
        match (i64::try_from(v), u64::try_from(v)) {
            (Ok(v), _) => Ok(Value::Int(v)),
            (_, Ok(v)) => Ok(Value::UInt(v)),
            _ => Err(ser::Error::custom(format_args!("the integer {v} is outside 64 bits"))),
        }
    }

    fn serialize_u8(self, v: u8) -> Result<Value, ValueError> {
        Ok(Value::Int(v.into()))
    }

    fn serialize_u16(self, v: u16) -> Result<Value, ValueError> {
        Ok(Value::Int(v.into()))
    }

    fn serialize_u32(self, v: u32) -> Result<Value, ValueError> {
        Ok(Value::Int(v.into()))
    }

    fn serialize_u64(self, v: u64) -> Result<Value, ValueError> {
        Ok(Value::from(v))
    }

    fn serialize_u128(self, v: u128) -> Result<Value, ValueError> {
        match u64::try_from(v) {
            Ok(v) => Ok(Value::from(v)),
            Err(_) => Err(ser::Error::custom(format_args!("the integer {v} is outside 64 bits"))),
        }
    }

    fn serialize_f32(self, v: f32) -> Result<Value, ValueError> {
        Ok(Value::Float(v.into()))
    }

    fn serialize_f64(self, v: f64) -> Result<Value, ValueError> {
        Ok(Value::Float(v))
    }

    fn serialize_char(self, v: char) -> Result<Value, ValueError> {
        Ok(Value::Text(v.into()))
    }

    fn serialize_str(self, v: &str) -> Result<Value, ValueError> {
        Ok(text(v))
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<Value, ValueError> {
        Ok(Value::Bytes(v.to_vec()))
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
    ) -> Result<Value, ValueError> {
        Ok(text(case))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(tagged(case, value.serialize(self)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items, ValueError> {
        Ok(Items { case: None, items: Vec::new() })
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items, ValueError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items, ValueError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        _len: usize,
    ) -> Result<Items, ValueError> {
        Ok(Items { case: Some(case), items: Vec::new() })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Pairs, ValueError> {
        Ok(Pairs { case: None, pairs: Vec::new(), key: Value::Null })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Pairs, ValueError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        case: &'static str,
        _len: usize,
    ) -> Result<Pairs, ValueError> {
        Ok(Pairs { case: Some(case), pairs: Vec::new(), key: Value::Null })
    }
}

struct Items {
    case: Option<&'static str>,
    items: Vec<Value>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.items.push(value.serialize(Builder)?);
        Ok(())
    }

    fn finish(self) -> Value {
        let list = Value::List(self.items);
        match self.case {
            Some(case) => tagged(case, list),
            None => list,
        }
    }
}

/// Implements one of serde's four sequence traits, which differ only in their names.
macro_rules! sequence {
    ($trait:ident, $push:ident) => {
        impl ser::$trait for Items {
            type Ok = Value;
            type Error = ValueError;

            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.push(value)
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(self.finish())
            }
        }
    };
}

sequence!(SerializeSeq, serialize_element);
sequence!(SerializeTuple, serialize_element);
sequence!(SerializeTupleStruct, serialize_field);
sequence!(SerializeTupleVariant, serialize_field);

struct Pairs {
    case: Option<&'static str>,
    pairs: Vec<(Value, Value)>,
    key: Value,
}

impl Pairs {
    fn finish(self) -> Value {
        let map = Value::Map(self.pairs);
        match self.case {
            Some(case) => tagged(case, map),
            None => map,
        }
    }
}

impl SerializeMap for Pairs {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = key.serialize(Builder)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = std::mem::take(&mut self.key);
        self.pairs.push((key, value.serialize(Builder)?));
        Ok(())
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

macro_rules! fields {
    ($trait:ident) => {
        impl ser::$trait for Pairs {
            type Ok = Value;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.pairs.push((text(key), value.serialize(Builder)?));
                Ok(())
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(self.finish())
            }
        }
    };
}

fields!(SerializeStruct);
fields!(SerializeStructVariant);
