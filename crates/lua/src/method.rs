//! Lookup of a script's method in the value that it returns.

use crisol_core::one_line;
use mlua::{Function, Table, Value as LuaValue};

use crate::failure::Failure;

/// Looks up `method` in the value that a script returned.
pub(crate) fn find(returned: &LuaValue, method: &str) -> Result<Function, Failure> {
    match returned {
        LuaValue::Function(function) => Ok(function.clone()),
        LuaValue::Table(table) => match table.raw_get(method) {
            Ok(LuaValue::Function(function)) => Ok(function),
            _ => Err(Failure::Method(one_line(&missing(method, table)))),
        },
        other => Err(Failure::Method(format!(
            "the script returns {}, expected a function or a table of functions: end it with `return {{ {method} = {method} }}`",
            other.type_name()
        ))),
    }
}

fn missing(method: &str, table: &Table) -> String {
    let mut names: Vec<String> = table
        .clone()
        .pairs::<LuaValue, LuaValue>()
        .filter_map(Result::ok)
        .filter(|(_, value)| value.is_function())
        .filter_map(|(key, _)| key.as_string().map(|name| format!("`{}`", name.to_string_lossy())))
        .collect();
    names.sort();
    match names.as_slice() {
        [] => format!("unknown function `{method}`: the script returns a table without functions"),
        names => {
            format!("unknown function `{method}`: the script returns {}", names.join(", "))
        }
    }
}
