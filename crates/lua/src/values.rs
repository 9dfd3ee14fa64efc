//! Lua values as [`Value`]s and back, within bounds.

use std::sync::Arc;

use crisol_core::Value;
use mlua::{Lua, LuaSerdeExt, Value as LuaValue};

use crate::gate::{Clock, now};

/// How deep tables may nest.
const MAX_DEPTH: usize = 128;

/// What one conversion may make: a table that holds another many times is small in Lua and is written out
/// each time outside.
const MAX_VALUES: usize = 1 << 20;
/// Values between two looks at the clock.
const VALUES_PER_LOOK: usize = 1 << 12;
const MAX_BYTES: usize = 256 << 20;

/// Reads Lua values.
pub(crate) struct Reader<'l> {
    lua: &'l Lua,
    values: usize,
    bytes: usize,
    path: Vec<String>,
}

impl<'l> Reader<'l> {
    pub(crate) fn new(lua: &'l Lua) -> Self {
        Self { lua, values: MAX_VALUES, bytes: MAX_BYTES, path: Vec::new() }
    }

    /// Reads one value.
    pub(crate) fn read(&mut self, value: &LuaValue) -> Result<Value, String> {
        self.value(value).map_err(|error| match self.path.join("") {
            place if place.is_empty() => error,
            place => format!("at {place}: {error}"),
        })
    }

    fn value(&mut self, value: &LuaValue) -> Result<Value, String> {
        self.values = self.values.checked_sub(1).ok_or("too many values in one table")?;
        if self.values.is_multiple_of(VALUES_PER_LOOK)
            && let Some(clock) = self.lua.app_data_ref::<Arc<Clock>>()
            && clock.is_over(now())
        {
            return Err("the deadline passed".to_owned());
        }
        match value {
            LuaValue::Nil => Ok(Value::Null),
            LuaValue::LightUserData(pointer) if pointer.0.is_null() => Ok(Value::Null),
            LuaValue::Boolean(truth) => Ok(Value::Bool(*truth)),
            LuaValue::Integer(number) => Ok(Value::Int(*number)),
            LuaValue::Number(number) => Ok(Value::Float(*number)),
            LuaValue::String(text) => {
                let bytes = text.as_bytes();
                self.bytes =
                    self.bytes.checked_sub(bytes.len()).ok_or("too much text in one table")?;
                match std::str::from_utf8(&bytes) {
                    Ok(text) => Ok(Value::Text(text.to_owned())),
                    Err(_) => Ok(Value::Bytes(bytes.to_vec())),
                }
            }
            LuaValue::Table(table) => self.table(table),
            other => Err(format!("a {} has no value outside Lua", other.type_name())),
        }
    }

    fn table(&mut self, table: &mlua::Table) -> Result<Value, String> {
        if self.path.len() >= MAX_DEPTH {
            self.path.clear();
            return Err("tables are nested too deeply, or one holds itself".to_owned());
        }
        let len = table.raw_len();
        let mut pairs = Vec::new();
        for pair in table.clone().pairs::<LuaValue, LuaValue>() {
            pairs.push(pair.map_err(|error| error.to_string())?);
            if pairs.len() > self.values {
                return Err("too many values in one table".to_owned());
            }
        }
        if pairs.is_empty() {
            let is_list = table.metatable().is_some_and(|own| own == self.lua.array_metatable());
            return Ok(if is_list { Value::List(Vec::new()) } else { Value::Map(Vec::new()) });
        }
        let in_list = |key: &LuaValue| matches!(key, LuaValue::Integer(at) if usize::try_from(*at).is_ok_and(|at| at > 0 && at <= len));
        if len == pairs.len() && pairs.iter().all(|(key, _)| in_list(key)) {
            return self.list(table, len);
        }
        if pairs.iter().any(|(key, _)| in_list(key))
            && pairs.iter().any(|(key, _)| matches!(key, LuaValue::String(_)))
        {
            return Err("a table has both positions and names".to_owned());
        }
        self.map(pairs)
    }

    fn list(&mut self, table: &mlua::Table, len: usize) -> Result<Value, String> {
        let mut items = Vec::with_capacity(len);
        for at in 1..=len {
            let item: LuaValue = table.raw_get(at).map_err(|error| error.to_string())?;
            self.path.push(format!("[{at}]"));
            items.push(self.value(&item)?);
            self.path.pop();
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, mut pairs: Vec<(LuaValue, LuaValue)>) -> Result<Value, String> {
        // Lua keeps names in no order of its own; equal tables are to be equal text.
        pairs.sort_by(|(a, _), (b, _)| match (a, b) {
            (LuaValue::String(a), LuaValue::String(b)) => a.as_bytes().cmp(&b.as_bytes()),
            (LuaValue::Integer(a), LuaValue::Integer(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        });
        let mut read = Vec::with_capacity(pairs.len());
        for (key, value) in &pairs {
            if matches!(key, LuaValue::Table(_)) {
                return Err("a table is no key outside Lua".to_owned());
            }
            let key = self.value(key)?;
            self.path.push(match &key {
                Value::Text(name) => format!(".{name}"),
                other => format!("[{other}]"),
            });
            read.push((key, self.value(value)?));
            self.path.pop();
        }
        Ok(Value::Map(read))
    }
}

/// What becomes of null in a map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// The name is left out, as scripts expect of an option that is none.
    Absent,
    /// `json.null`, so that nothing is lost.
    Kept,
}

/// Writes a value for Lua. Null in a list is `json.null`, for the places after it to stay what they are.
pub(crate) fn write(lua: &Lua, value: &Value, nulls: Nulls) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(truth) => LuaValue::Boolean(*truth),
        Value::Int(number) => LuaValue::Integer(*number),
        Value::UInt(number) => {
            return Err(mlua::Error::runtime(format!("{number} is above Lua's integers")));
        }
        Value::Float(number) => LuaValue::Number(*number),
        Value::Text(text) => LuaValue::String(lua.create_string(text)?),
        Value::Bytes(bytes) => LuaValue::String(lua.create_string(bytes)?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (at, item) in items.iter().enumerate() {
                table.raw_set(at + 1, some(write(lua, item, nulls)?))?;
            }
            // Tells an empty list from an empty record when it goes out again.
            table.set_metatable(Some(lua.array_metatable()))?;
            LuaValue::Table(table)
        }
        Value::Map(pairs) => {
            let table = lua.create_table_with_capacity(0, pairs.len())?;
            for (key, item) in pairs {
                let item = match (write(lua, item, nulls)?, nulls) {
                    (item, Nulls::Kept) => some(item),
                    (item, Nulls::Absent) => item,
                };
                table.raw_set(some(write(lua, key, nulls)?), item)?;
            }
            LuaValue::Table(table)
        }
    })
}

fn some(value: LuaValue) -> LuaValue {
    if value.is_nil() { LuaValue::NULL } else { value }
}
