//! `log`: lines to the log.

use std::sync::Arc;

use mlua::{Lua, LuaString, Result, Table};

use crate::program::{Level, Sink};

pub(super) fn module(lua: &Lua, sink: &Sink) -> Result<Table> {
    let log = lua.create_table()?;
    let levels = [
        ("debug", Level::Debug),
        ("info", Level::Info),
        ("warn", Level::Warn),
        ("error", Level::Error),
    ];
    for (name, level) in levels {
        let sink = Arc::clone(sink);
        let write = lua.create_function(move |_, line: LuaString| {
            sink(level, &line.to_string_lossy());
            Ok(())
        })?;
        log.raw_set(name, write)?;
    }
    Ok(log)
}
