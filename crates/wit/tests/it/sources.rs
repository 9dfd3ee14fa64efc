//! Sources that break serde's conventions: the outcome is a value of the type, or an error.

use crisol_core::{Field, Signature};
use crisol_wit::Mapping;
use serde::de::value::{Error, SeqDeserializer};
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Deserializer, Serialize, Serializer, forward_to_deserialize_any};

use super::support::mapping;
use super::types::parse;

/// Text, as a list or as the keys and values of a map. The source reads the last item and then reports its absence.
struct Withdrawn {
    rest: &'static [&'static str],
    as_map: bool,
}

impl<'de> Deserializer<'de> for Withdrawn {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.as_map { visitor.visit_map(self) } else { visitor.visit_seq(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Withdrawn {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> SeqAccess<'de> for Withdrawn {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(first) = self.rest.first() else { return Ok(None) };
        let value = seed.deserialize((*first).into_deserializer())?;
        Ok((self.rest.len() > 1).then(|| {
            self.rest = &self.rest[1..];
            value
        }))
    }
}

impl<'de> MapAccess<'de> for Withdrawn {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let key = seed.deserialize(self.rest[0].into_deserializer())?;
        Ok((self.rest.len() > 1).then_some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = seed.deserialize(self.rest[0].into_deserializer());
        self.rest = &self.rest[1..];
        value
    }
}

#[test]
fn withdrawn_value_leaves_no_bytes() {
    for (ty, as_map, json) in [
        ("list<string>", false, r#"[["a","bb"]]"#),
        ("list<list<u8>>", false, r#"[["a","bb"]]"#),
        ("map<string, string>", true, r#"[{"a":"a","bb":"bb"}]"#),
    ] {
        let mapping = mapping(&parse(ty));
        let source = Withdrawn { rest: &["a", "bb", "ccc"], as_map };
        let args = mapping.lower(SeqDeserializer::new([source].into_iter()));
        assert_eq!(args, mapping.lower_json(json.as_bytes()), "{ty}");
    }
    let param = |name: &str, ty| Field { name: name.to_owned(), ty: parse(ty) };
    let params = vec![param("a", "string"), param("b", "option<string>")];
    let two = Mapping::from_signature(Signature { params, result: None }).unwrap();
    let args = two.lower(Withdrawn { rest: &["a", "b"], as_map: false });
    assert_eq!(args, two.lower_json(br#"["a"]"#));
}

/// Item whose error the list ignores.
struct PassedOver<T>(T);

impl<T: Serialize> Serialize for PassedOver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element(&self.0).unwrap_err();
        list.end()
    }
}

/// Item that fails after a part of it was read.
struct Half;

impl Serialize for Half {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_seq(None)?.serialize_element("a")?;
        Err(S::Error::custom("no more"))
    }
}

#[test]
fn error_ignored_by_a_source_still_fails() {
    let mapping = mapping(&parse("list<list<string>>"));
    assert_eq!(
        mapping.lower_serialize(&(PassedOver(5),)).unwrap_err().to_string(),
        "expected list<string>, found number 5"
    );
    assert_eq!(
        mapping.lower_serialize(&(PassedOver(Half),)).unwrap_err().to_string(),
        "malformed arguments: the value does not fit its type"
    );
}

/// Keys without values.
struct Keys;

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_key("a")?;
        map.serialize_entry("bb", &1)?;
        map.serialize_key("ccc")?;
        map.end()
    }
}

#[test]
fn failed_map_value_leaves_no_bytes() {
    for ty in ["map<string, u8>", "record { a: option<u8>, bb: u8, ccc: option<u8> }"] {
        let mapping = mapping(&parse(ty));
        let args = mapping.lower_serialize(&(Keys,));
        assert_eq!(args, mapping.lower_json(br#"[{"bb":1}]"#), "{ty}");
    }
}
