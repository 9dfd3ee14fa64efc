//! Modules that scripts may `require`.

pub(crate) mod funcs;
mod json;
pub(crate) mod log;
mod time;
pub(crate) mod wait;

use std::collections::BTreeSet;

use mlua::{Lua, Result, Table};

use crate::clock::PRELUDE_STATE;
use crate::output::Sink;

/// A module that a script may `require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Module {
    /// `funcs`: calls to functions.
    Funcs,
    /// `json`: JSON encoding and decoding.
    Json,
    /// `log`: log lines.
    Log,
    /// `time`: clock and sleep.
    Time,
}

impl Module {
    /// All modules.
    pub const ALL: [Self; 4] = [Self::Funcs, Self::Json, Self::Log, Self::Time];

    /// Returns the module's name in `require`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Funcs => "funcs",
            Self::Json => "json",
            Self::Log => "log",
            Self::Time => "time",
        }
    }
}

/// Makes `modules` available to `require`.
pub(crate) fn install(lua: &Lua, modules: &BTreeSet<Module>, sink: &Sink) -> Result<()> {
    let state: Table = lua.named_registry_value(PRELUDE_STATE)?;
    let available: Table = state.raw_get("modules")?;
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
