//! Module `log`: log lines.

use std::sync::Arc;

use mlua::{Lua, LuaString, Result, Table};

use crate::call::Current;
use crate::clock::Clock;
use crate::output::{Level, Output, Sink};

/// Units charged for a line, in addition to its bytes.
const LINE: usize = 256;

/// Units charged for a byte of a line, which is read, escaped and written.
const WEIGHT: usize = 8;

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
        let write =
            lua.create_function(move |lua, text: LuaString| emit(lua, &sink, level, &text))?;
        log.raw_set(name, write)?;
    }
    Ok(log)
}

/// Passes a text to the sink, charged by its length.
pub(crate) fn emit(lua: &Lua, sink: &Sink, level: Level, text: &LuaString) -> Result<()> {
    let text = text.as_bytes();
    let clock = Clock::of(lua)?;
    clock.charge(lua, (text.len() + LINE).saturating_mul(WEIGHT))?;
    let call = clock.current().as_ref().and_then(Current::call).map(|call| call.context.id());
    sink(Output { level, text: &text, call });
    Ok(())
}
