//! The Lua edge of Crisol: the module `funcs` over any [`Invoke`].
//!
//! ```lua
//! local funcs = require("funcs")
//! local result, err = funcs.call("myns:compute", 6, 7)
//! ```
//!
//! Values go through the same serde mapping as those of every other caller. A call that waits blocks no
//! thread: the script is a coroutine of its caller's task.

use std::sync::Arc;

use crisol_core::{Args, CallContext, CallError, Caller, EntryId, Invoke, Value};
use mlua::serde::ser::Options;
use mlua::{IntoLua, Lua, LuaSerdeExt, MultiValue};

/// Makes `require("funcs")` give a table with `call`: `funcs.call(id, …)` gives `value, nil`, or
/// `nil, err` where `err` is the error side of the function's own `result`, and a text for any other
/// failure. Scripts that use it must run asynchronously (`Chunk::exec_async`, `Function::call_async`).
///
/// # Errors
/// When Lua has no memory for the module.
pub fn install(lua: &Lua, invoke: Arc<dyn Invoke>) -> mlua::Result<()> {
    let call = lua.create_async_function(move |lua, (id, args): (String, MultiValue)| {
        let invoke = Arc::clone(&invoke);
        async move { call(&lua, &*invoke, &id, args).await }
    })?;
    let funcs = lua.create_table()?;
    funcs.set("call", call)?;
    lua.register_module("funcs", funcs)
}

async fn call(
    lua: &Lua,
    invoke: &dyn Invoke,
    id: &str,
    args: MultiValue,
) -> mlua::Result<MultiValue> {
    let id: EntryId = match id.parse() {
        Ok(id) => id,
        Err(error) => return failure(lua, error.to_string()),
    };
    let read = args.into_iter().map(|value| lua.from_value(value));
    let args: Vec<Value> = match read.collect() {
        Ok(args) => args,
        Err(error) => {
            return failure(lua, format!("an argument has no value outside Lua: {error}"));
        }
    };
    match invoke.invoke(&id, CallContext::new(Caller::Lua), Args::Values(args)).await {
        Ok(reply) => {
            let value = lua.to_value_with(&reply, plain())?;
            Ok(MultiValue::from_vec(vec![value, mlua::Value::Nil]))
        }
        Err(CallError::Function { error, .. }) => {
            let error = lua.to_value_with(&*error, plain())?;
            Ok(MultiValue::from_vec(vec![mlua::Value::Nil, error]))
        }
        Err(error) => failure(lua, chain(&error)),
    }
}

/// Values as scripts write them: nothing is nil, lists are plain tables.
fn plain() -> Options {
    Options::new()
        .set_array_metatable(false)
        .serialize_none_to_null(false)
        .serialize_unit_to_null(false)
}

fn failure(lua: &Lua, message: String) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_vec(vec![mlua::Value::Nil, message.into_lua(lua)?]))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
