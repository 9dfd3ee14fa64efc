//! `json`: JSON text. `json.null` stands for null, which Lua cannot keep in a table.

use crisol_core::Value;
use mlua::{Error, Lua, LuaString, Result, Table, Value as LuaValue};

use crate::values::{Nulls, Reader, write};

pub(super) fn module(lua: &Lua) -> Result<Table> {
    let json = lua.create_table()?;
    json.raw_set("null", LuaValue::NULL)?;
    let encode = lua.create_function(|lua, value: LuaValue| {
        let value = Reader::new(lua).read(&value).map_err(Error::runtime)?;
        let text = serde_json::to_vec(&value).map_err(|error| Error::runtime(error.to_string()))?;
        lua.create_string(text)
    })?;
    json.raw_set("encode", encode)?;
    // Bad text comes from outside and is no defect of the script: `nil, message`.
    let decode = lua.create_function(|lua, text: LuaString| {
        match serde_json::from_slice::<Value>(&text.as_bytes()) {
            Ok(Value::Null) => Ok((LuaValue::NULL, None)),
            Ok(value) => Ok((write(lua, &value, Nulls::Kept)?, None)),
            Err(error) => Ok((LuaValue::Nil, Some(error.to_string()))),
        }
    })?;
    json.raw_set("decode", decode)?;
    Ok(json)
}
