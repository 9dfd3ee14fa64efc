//! What scripts may `require`.

mod funcs;
mod json;
pub(crate) mod log;
mod time;

use std::collections::BTreeSet;

use mlua::{Lua, Result, Table};

use crate::gate::GATE;
use crate::program::{Module, Sink};

/// Makes `modules` available to `require`.
pub(crate) fn install(lua: &Lua, modules: &BTreeSet<Module>, sink: &Sink) -> Result<()> {
    let gate: Table = lua.named_registry_value(GATE)?;
    let available: Table = gate.raw_get("modules")?;
    for module in modules {
        let table = match module {
            Module::Funcs => funcs::module(lua)?,
            Module::Json => json::module(lua)?,
            Module::Log => log::module(lua, sink)?,
            Module::Time => time::module(lua)?,
        };
        available.raw_set(module.name(), table)?;
    }
    Ok(())
}
