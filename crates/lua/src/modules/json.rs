//! Module `json`: JSON text. `json.null` stands for null, which Lua cannot store in a table.
//!
//! Encoding and decoding build no intermediate tree. Decoded values count as the script's memory from the
//! first byte, and encoded text never exceeds the script's limit.

use std::cell::RefCell;
use std::fmt;
use std::io;

use mlua::{Error, Lua, LuaSerdeExt, LuaString, Result, Table, Value as LuaValue};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;

use crate::clock::{Clock, check_room};
use crate::values::Reader;

/// Units of work charged for a value of a document, in addition to its text.
const VALUE: usize = 64;

/// Bytes of text between two checks of the memory limit.
const PIECE: usize = 4 << 10;

pub(super) fn module(lua: &Lua) -> Result<Table> {
    let json = lua.create_table()?;
    json.raw_set("null", LuaValue::NULL)?;
    json.raw_set("encode", lua.create_function(encode)?)?;
    json.raw_set("decode", lua.create_function(decode)?)?;
    Ok(json)
}

fn encode(lua: &Lua, value: LuaValue) -> Result<LuaString> {
    let reader = Reader::new(lua)?;
    let mut text = JsonWriter { lua, bytes: Vec::new(), refused: None };
    let written = reader.write(&value, |one| {
        one.serialize(&mut serde_json::Serializer::new(&mut text))
            .map_err(|error| reader.placed(error))
    });
    match text.refused {
        Some(refused) => Err(refused),
        None => written.map_err(Error::runtime).and_then(|()| lua.create_string(text.bytes)),
    }
}

/// Encoded text on its way into Lua, within the memory limit.
struct JsonWriter<'l> {
    lua: &'l Lua,
    bytes: Vec<u8>,
    refused: Option<Error>,
}

impl io::Write for JsonWriter<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let len = self.bytes.len() + more.len();
        if len / PIECE > self.bytes.len() / PIECE
            && let Err(refused) = check_room(self.lua, len)
        {
            self.refused = Some(refused);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a text. Malformed text is not a defect of the script, so it returns `nil, message`.
fn decode(lua: &Lua, text: LuaString) -> Result<(LuaValue, Option<String>)> {
    let text = text.as_bytes();
    let refused = RefCell::new(None);
    let node = ValueSeed { lua, clock: &*Clock::of(lua)?, refused: &refused };
    let mut source = serde_json::Deserializer::from_slice(&text);
    let decoded = node.deserialize(&mut source).and_then(|value| source.end().map(|()| value));
    match (refused.into_inner(), decoded) {
        (Some(refused), _) => Err(refused),
        (None, Ok(value)) => Ok((value, None)),
        (None, Err(error)) => Ok((LuaValue::Nil, Some(error.to_string()))),
    }
}

/// Creates one value of a document in Lua.
#[derive(Clone, Copy)]
struct ValueSeed<'l> {
    lua: &'l Lua,
    clock: &'l Clock,
    /// Error of Lua, for lack of memory or time.
    refused: &'l RefCell<Option<Error>>,
}

impl ValueSeed<'_> {
    /// Charges for a value with `bytes` bytes of text, and creates it.
    fn make<T, E: de::Error>(
        self,
        bytes: usize,
        make: impl FnOnce(&Lua) -> Result<T>,
    ) -> std::result::Result<T, E> {
        let made = self.clock.charge(self.lua, VALUE + bytes).and_then(|()| make(self.lua));
        made.map_err(|error| {
            let message = E::custom(&error);
            *self.refused.borrow_mut() = Some(error);
            message
        })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = LuaValue;

    fn deserialize<D: Deserializer<'de>>(
        self,
        source: D,
    ) -> std::result::Result<LuaValue, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = LuaValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<LuaValue, E> {
        self.make(0, |_| Ok(LuaValue::NULL))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> std::result::Result<LuaValue, E> {
        self.make(0, |_| Ok(LuaValue::Boolean(truth)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<LuaValue, E> {
        self.make(0, |_| Ok(LuaValue::Integer(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<LuaValue, E> {
        let above = |_| E::custom(format_args!("{number} exceeds the range of Lua's integers"));
        i64::try_from(number).map_err(above).and_then(|number| self.visit_i64(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<LuaValue, E> {
        self.make(0, |_| Ok(LuaValue::Number(number)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<LuaValue, E> {
        self.make(text.len(), |lua| {
            if text.len() > PIECE {
                check_room(lua, text.len())?;
            }
            lua.create_string(text).map(LuaValue::String)
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<LuaValue, A::Error> {
        let table = self.make(0, Lua::create_table)?;
        let mut at = 0_usize;
        while let Some(item) = items.next_element_seed(self)? {
            at += 1;
            self.make(0, |_| table.raw_set(at, item))?;
        }
        // Marks an empty list, to tell it from an empty map on the way out.
        self.make(0, |lua| table.set_metatable(Some(lua.array_metatable())))?;
        Ok(LuaValue::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> std::result::Result<LuaValue, A::Error> {
        let table = self.make(0, Lua::create_table)?;
        while let Some(key) = pairs.next_key_seed(self)? {
            let value = pairs.next_value_seed(self)?;
            self.make(0, |_| table.raw_set(key, value))?;
        }
        Ok(LuaValue::Table(table))
    }
}
