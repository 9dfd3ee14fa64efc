//! Scripts that call functions, over a closure in place of the runtime.

use std::sync::Arc;

use crisol_core::{CallError, Reply, Value, invoke_fn};
use mlua::Lua;

/// A script's results, with functions that add, echo, fail and are missing.
async fn run(script: &str) -> mlua::Result<(String, String)> {
    let invoke = invoke_fn(None, |id, _, args| async move {
        match (id.name(), args.as_slice()) {
            ("add", [Value::Int(a), Value::Int(b)]) => Ok(Reply::new(a + b)),
            ("echo", [value]) => Ok(Reply::new(value.clone())),
            ("fail", _) => Err(CallError::Function { id, error: Box::new(Value::from("no luck")) }),
            _ => Err(CallError::NotFound { id: id.to_string(), nearest: None }),
        }
    });
    let lua = Lua::new();
    crisol_lua::install(&lua, Arc::new(invoke))?;
    let script =
        format!("local funcs = require('funcs')\n{script}\nreturn tostring(value), tostring(err)");
    lua.load(script).eval_async().await
}

#[tokio::test]
async fn a_script_calls_functions() -> mlua::Result<()> {
    let pair = |value: &str, err: &str| (value.to_owned(), err.to_owned());
    assert_eq!(run("value, err = funcs.call('n:add', 6, 7)").await?, pair("13", "nil"));
    let users = "local users, e = funcs.call('n:echo', {{name = 'Alice', tags = {'a', 'b'}}})\nvalue, err = users[1].name .. #users[1].tags, e";
    assert_eq!(run(users).await?, pair("Alice2", "nil"));
    assert_eq!(run("value, err = funcs.call('n:fail')").await?, pair("nil", "no luck"));
    assert_eq!(
        run("value, err = funcs.call('n:none')").await?,
        pair("nil", "there is no function `n:none`")
    );
    assert!(run("value, err = funcs.call('none')").await?.1.contains("is not an entry id"));
    assert!(
        run("value, err = funcs.call('n:echo', print)").await?.1.contains("no value outside Lua")
    );
    Ok(())
}
