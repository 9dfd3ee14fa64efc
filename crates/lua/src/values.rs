//! Conversion between Lua values and [`Value`]s, within limits.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crisol_core::{Value, ValueError, shorten};
use mlua::{Lua, LuaSerdeExt, Value as LuaValue};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::clock::{Clock, EXPIRED, expired};

/// Maximum nesting of tables.
const MAX_DEPTH: usize = 128;

/// Maximum number of values and bytes in one conversion. A table that holds another one many times is small
/// in Lua, and each copy is written out outside of it.
const MAX_VALUES: usize = 1 << 20;
const MAX_BYTES: usize = 256 << 20;

/// Bytes and units of work charged for a value, in addition to its text.
const VALUE: usize = 32;

/// Reads Lua values. Each value goes to a serializer as it is found, so that no tree is built in between.
pub(crate) struct Reader<'l> {
    lua: &'l Lua,
    clock: Arc<Clock>,
    values: Cell<usize>,
    bytes: Cell<usize>,
    depth: Cell<usize>,
    /// Path to an error, innermost step first.
    path: RefCell<Vec<String>>,
}

impl<'l> Reader<'l> {
    /// Creates a reader with a total limit of what the state may hold.
    pub(crate) fn new(lua: &'l Lua) -> mlua::Result<Self> {
        let clock = Clock::of(lua)?;
        let allowed = usize::try_from(clock.memory.allowed()).unwrap_or(usize::MAX);
        Ok(Self {
            lua,
            clock,
            values: Cell::new(MAX_VALUES),
            bytes: Cell::new(allowed.min(MAX_BYTES)),
            depth: Cell::new(0),
            path: RefCell::default(),
        })
    }

    /// Reads one value as a tree.
    pub(crate) fn read(&self, value: &LuaValue) -> Result<Value, String> {
        self.write(value, |one| Value::from_serialize(&one))
            .map_err(|error: ValueError| self.placed(error))
    }

    /// Passes one value to `write`.
    pub(crate) fn write<T>(
        &self,
        value: &LuaValue,
        write: impl FnOnce(ValueRef<'_, 'l>) -> T,
    ) -> T {
        self.path.borrow_mut().clear();
        self.depth.set(0);
        write(ValueRef { reader: self, value })
    }

    /// Formats an error with its path.
    pub(crate) fn placed(&self, error: impl std::fmt::Display) -> String {
        let path: String = self.path.borrow().iter().rev().map(String::as_str).collect();
        if path.is_empty() { error.to_string() } else { format!("at {path}: {error}") }
    }

    /// Counts values and bytes of text, and charges the work for them.
    fn count(&self, values: usize, bytes: usize) -> Result<(), &'static str> {
        let left = self.values.get().checked_sub(values).ok_or("too many values in one table")?;
        self.values.set(left);
        let left = self.bytes.get().checked_sub(bytes).ok_or("too much text in one table")?;
        self.bytes.set(left);
        let charged = self.clock.charge(self.lua, values * VALUE + bytes);
        charged.map_err(|_| EXPIRED)
    }
}

/// One value with its reader.
#[derive(Clone, Copy)]
pub(crate) struct ValueRef<'r, 'l> {
    reader: &'r Reader<'l>,
    value: &'r LuaValue,
}

impl Serialize for ValueRef<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.reader.count(1, 0).map_err(S::Error::custom)?;
        match self.value {
            LuaValue::Nil => serializer.serialize_unit(),
            LuaValue::LightUserData(pointer) if pointer.0.is_null() => serializer.serialize_unit(),
            LuaValue::Boolean(truth) => serializer.serialize_bool(*truth),
            LuaValue::Integer(number) => serializer.serialize_i64(*number),
            LuaValue::Number(number) => serializer.serialize_f64(*number),
            LuaValue::String(text) => {
                let bytes = text.as_bytes();
                self.reader.count(0, bytes.len()).map_err(S::Error::custom)?;
                match std::str::from_utf8(&bytes) {
                    Ok(text) => serializer.serialize_str(text),
                    Err(_) => serializer.serialize_bytes(&bytes),
                }
            }
            LuaValue::Table(table) => self.table(table, serializer),
            other => {
                let name = other.type_name();
                Err(S::Error::custom(format_args!("a {name} cannot be converted to a value")))
            }
        }
    }
}

impl<'l> ValueRef<'_, 'l> {
    fn table<S: Serializer>(&self, table: &mlua::Table, serializer: S) -> Result<S::Ok, S::Error> {
        let depth = &self.reader.depth;
        if depth.get() >= MAX_DEPTH {
            return Err(S::Error::custom("tables are nested too deeply or contain themselves"));
        }
        depth.set(depth.get() + 1);
        let written = self.items(table, serializer);
        depth.set(depth.get() - 1);
        written
    }

    fn items<S: Serializer>(&self, table: &mlua::Table, serializer: S) -> Result<S::Ok, S::Error> {
        let len = table.raw_len();
        let (mut keys, mut positions, mut names) = (0_usize, 0_usize, false);
        let mut ended = EXPIRED;
        let looked = table.for_each(|key: LuaValue, _: LuaValue| {
            keys += 1;
            match key {
                LuaValue::Integer(at)
                    if usize::try_from(at).is_ok_and(|at| at > 0 && at <= len) =>
                {
                    positions += 1;
                }
                LuaValue::String(_) => names = true,
                _ => {}
            }
            if keys > self.reader.values.get() {
                ended = "too many values in one table";
                return Err(expired());
            }
            self.reader.clock.charge(self.reader.lua, VALUE)
        });
        looked.map_err(|_| S::Error::custom(ended))?;
        if keys == 0 {
            let own = Some(self.reader.lua.array_metatable());
            return if table.metatable() == own {
                serializer.serialize_seq(Some(0))?.end()
            } else {
                serializer.serialize_map(Some(0))?.end()
            };
        }
        if positions == keys && keys == len {
            return self.list(table, len, serializer);
        }
        if positions > 0 && names {
            return Err(S::Error::custom("a table has both positions and names"));
        }
        self.map(table, keys, serializer)
    }

    fn list<S: Serializer>(
        &self,
        table: &mlua::Table,
        len: usize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(len))?;
        for at in 1..=len {
            let value: LuaValue = table.raw_get(at).map_err(S::Error::custom)?;
            let written = list.serialize_element(&self.inside(&value));
            written.inspect_err(|_| self.came_by(format!("[{at}]")))?;
        }
        list.end()
    }

    fn map<S: Serializer>(
        &self,
        table: &mlua::Table,
        keys: usize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut pairs = Vec::new();
        for pair in table.pairs::<LuaValue, LuaValue>() {
            pairs.push(pair.map_err(S::Error::custom)?);
        }
        // Lua has no order of keys; equal tables must produce equal text.
        pairs.sort_by(|(a, _), (b, _)| match (a, b) {
            (LuaValue::String(a), LuaValue::String(b)) => a.as_bytes().cmp(&b.as_bytes()),
            (LuaValue::Integer(a), LuaValue::Integer(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        });
        let mut map = serializer.serialize_map(Some(keys))?;
        for (key, value) in &pairs {
            if matches!(key, LuaValue::Table(_)) {
                return Err(S::Error::custom("a table cannot be a key outside Lua"));
            }
            map.serialize_key(&self.inside(key))?;
            let written = map.serialize_value(&self.inside(value));
            written.inspect_err(|_| self.came_by(place(key)))?;
        }
        map.end()
    }

    fn inside<'v>(&'v self, value: &'v LuaValue) -> ValueRef<'v, 'l> {
        ValueRef { reader: self.reader, value }
    }

    /// Records a step of the path to an error. A path at the nesting limit is dropped.
    fn came_by(&self, step: String) {
        let mut path = self.reader.path.borrow_mut();
        path.push(step);
        if path.len() >= MAX_DEPTH {
            path.clear();
        }
    }
}

/// Formats a key as a step of a path.
fn place(key: &LuaValue) -> String {
    match key {
        LuaValue::String(name) => format!(".{}", shorten(&name.to_string_lossy(), 64)),
        LuaValue::Integer(at) => format!("[{at}]"),
        other => format!("[{}]", other.type_name()),
    }
}

/// Converts a value to Lua. Null in a list becomes `json.null`, so that later positions stay the same. A null
/// in a map is left out, as scripts expect of an absent option.
pub(crate) fn write(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(truth) => LuaValue::Boolean(*truth),
        Value::Int(number) => LuaValue::Integer(*number),
        Value::UInt(number) => {
            return Err(mlua::Error::runtime(format!(
                "{number} exceeds the range of Lua's integers"
            )));
        }
        Value::Float(number) => LuaValue::Number(*number),
        Value::Text(text) => LuaValue::String(lua.create_string(text)?),
        Value::Bytes(bytes) => LuaValue::String(lua.create_string(bytes)?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (at, item) in items.iter().enumerate() {
                table.raw_set(at + 1, some(write(lua, item)?))?;
            }
            // Marks an empty list, to tell it from an empty map on the way out.
            table.set_metatable(Some(lua.array_metatable()))?;
            LuaValue::Table(table)
        }
        Value::Map(pairs) => {
            let table = lua.create_table_with_capacity(0, pairs.len())?;
            for (key, item) in pairs {
                table.raw_set(some(write(lua, key)?), write(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

fn some(value: LuaValue) -> LuaValue {
    if value.is_nil() { LuaValue::NULL } else { value }
}
