//! Lua functions and scripts beside other callers of the same functions.

mod common;

use std::time::Duration;

use crisol::{CallError, EntryId, ErrorKind, LoadError, Value};

use common::{Tested, load, lua, script};

/// A method of a guest.
fn wasm(name: &str, guest: &str, method: &str) -> String {
    common::wasm(name, guest, method, "")
}

#[tokio::test]
async fn a_script_a_lua_function_and_rust_get_the_same_answer_and_the_same_error() -> Tested {
    let runtime = load(
        &(wasm("compute", "compute", "compute")
            + &wasm("fail", "probe", "fail")
            + &lua("forward", "return funcs.call(...)", "")),
    )?;
    let call = |id: &str, args: &str| format!("return funcs.call('myns:{id}', {args})");
    let forward = |args: Vec<Value>| runtime.call_values("myns:forward", args);
    let id = |name: &str| Value::from(format!("myns:{name}"));

    assert_eq!(runtime.call::<i32>("myns:compute", (6, 7)).await?, 42);
    assert_eq!(script(&runtime, &call("compute", "6, 7")).await?, Value::Int(42));
    let args = vec![id("compute"), Value::Int(6), Value::Int(7)];
    assert_eq!(forward(args).await?, Value::Int(42));
    assert_eq!(runtime.call::<i64>("myns:forward", ("myns:compute", 6, 7)).await?, 42);

    // The function's own error is the same value everywhere.
    let own = match runtime.call::<String>("myns:fail", ("no luck",)).await {
        Err(CallError::Function { error, .. }) => *error,
        other => return Err(format!("{other:?}").into()),
    };
    let through = "local _, e = funcs.call('myns:fail', 'no luck') return e";
    assert_eq!(script(&runtime, through).await?.get("message"), own.get("message"));
    let seen = forward(vec![id("fail"), "no luck".into()]).await;
    let seen = seen.err().and_then(|error| error.function_error().cloned());
    assert_eq!(seen.as_ref().and_then(|e| e.get("code")), own.get("code"));

    // Every other error has the same kind and text.
    let wrong = runtime.call::<i32>("myns:compute", ("six", 7)).await;
    let wrong = wrong.err().ok_or("it ran")?;
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
    let through = "local _, e = funcs.call('myns:compute', 'six', 7) return {e.kind, e.message}";
    let text = wrong.to_string();
    let expected = Value::List(vec![wrong.kind().name().into(), text.into()]);
    assert_eq!(script(&runtime, through).await?, expected);
    Ok(())
}

#[tokio::test]
async fn recursion_that_waits_for_itself_is_refused_in_every_pool_with_its_chain() -> Tested {
    for pool in [
        "{type: inline}",
        "{type: lazy, max_size: 1}",
        "{type: static, workers: 1}",
        "{type: adaptive, max_size: 1}",
    ] {
        let body = |next: &str| format!("local v, e = funcs.call('myns:{next}') return v or e");
        let pool = format!(", pool: {pool}");
        let runtime = load(&(lua("a", &body("b"), &pool) + &lua("b", &body("a"), &pool)))?;
        let seen = runtime.call_values("myns:a", Vec::new()).await?;
        assert_eq!(seen.get("kind"), Some(&"would-deadlock".into()), "{pool}: {seen}");
        let message = seen.get("message").map(ToString::to_string).unwrap_or_default();
        assert!(message.contains("myns:a → myns:b → myns:a"), "{pool}: {message}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_chain_ends_at_its_depth_and_at_the_deadline_of_its_first() -> Tested {
    let count = "local n = ... local v, e = funcs.call('myns:down', n + 1) return v or {n, e.kind}";
    let wait = "return funcs.call('myns:sleep', 60000)";
    let runtime = load(
        &(lua("down", count, "")
            + &lua("sleep", "require('time').sleep(...)", "")
            + &lua("outer", wait, ", limits: {max_execution_ms: 100}")),
    )?;
    let depth = runtime.call_values("myns:down", vec![Value::Int(0)]).await?;
    assert_eq!(depth, Value::List(vec![Value::Int(64), "would-deadlock".into()]));
    match runtime.call_values("myns:outer", Vec::new()).await {
        Err(CallError::Deadline { id, limit, spent }) => {
            let time = Duration::from_millis(100);
            assert_eq!((id.as_str(), limit), ("myns:outer", Some(time)));
            assert_eq!((spent.guest, spent.host), (Duration::ZERO, time), "{spent:?}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

#[tokio::test]
async fn a_global_of_one_call_is_not_there_in_the_next_unless_states_are_reused() -> Tested {
    let body = "n = (n or 0) + 1 return n";
    let reused = ", pool: {type: static, workers: 1, max_instance_reuse: 2}";
    let runtime = load(&(lua("fresh", body, "") + &lua("reused", body, reused)))?;
    for expected in [[1, 1], [1, 2], [1, 1]] {
        let fresh: i64 = runtime.call("myns:fresh", ()).await?;
        let again: i64 = runtime.call("myns:reused", ()).await?;
        assert_eq!([fresh, again], expected);
    }
    Ok(())
}

#[tokio::test]
async fn limits_and_failures_are_those_of_other_functions() -> Tested {
    let runtime = load(
        &(lua("spin", "while true do end", ", limits: {max_execution_ms: 50}")
            + &lua(
                "eat",
                "return #string.rep('x', 1 << 28)",
                ", limits: {max_memory_bytes: 16777216}",
            )
            + &lua("big", "return string.rep('x', 1000)", ", limits: {max_output_bytes: 100}")
            + &lua("raise", "error('boom')", "")),
    )?;
    for (name, kind) in [
        ("spin", ErrorKind::Deadline),
        ("eat", ErrorKind::Limit),
        ("big", ErrorKind::Limit),
        ("raise", ErrorKind::Trap),
    ] {
        let ended = runtime.call_values(&format!("myns:{name}"), Vec::new()).await;
        let found = ended.as_ref().err().map(CallError::kind);
        assert_eq!(found, Some(kind), "{name}: {ended:?}");
    }
    Ok(())
}

#[test]
fn a_script_that_cannot_be_called_is_refused_at_load() -> Tested {
    let entry = |fields: &str| format!("  - {{name: f, kind: function.lua, {fields}}}\n");
    for (fields, expected) in [
        ("method: f, source: 'return {'", "unexpected symbol"),
        ("method: f, source: 'return {g = print}'", "it returns `g`"),
        ("method: f, source: 'local x = 1'", "end it with `return { f = f }`"),
        ("method: f, source: 'require(\"json\")'", "module `json` is not available"),
        (
            "method: f, limits: {max_execution_ms: 50}, source: 'while true do end'",
            "the deadline passed",
        ),
    ] {
        match load(&entry(fields)) {
            Err(LoadError::App(problems)) => {
                let text = problems.to_string();
                assert!(text.contains(expected), "{fields}: {text}");
            }
            other => return Err(format!("{fields}: {other:?}").into()),
        }
    }
    let id: EntryId = "myns:f".parse()?;
    assert_eq!(load(&lua("f", "return 1", ""))?.functions(), [id]);
    Ok(())
}

#[tokio::test]
async fn a_drain_interrupts_a_lua_call_that_runs_on() -> Tested {
    let runtime = load(
        &(lua("spin", "while true do end", "")
            + &lua("wait", "require('time').sleep(1e9)", ", limits: {max_execution_ms: 3600000}")),
    )?;
    let running = ["myns:spin", "myns:wait"].map(|id| {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.call_values(id, Vec::new()).await })
    });
    let busy = |id: &str| runtime.stats(id).is_some_and(|s| s.busy == 1 && s.created > s.ready);
    while !(busy("myns:spin") && busy("myns:wait")) {
        tokio::task::yield_now().await;
    }
    let drained = runtime.drain(Duration::ZERO).await;
    assert_eq!(drained.interrupted, 2);
    for call in running {
        let ended = call.await?;
        assert!(matches!(ended, Err(CallError::Interrupted { .. })), "{ended:?}");
    }
    // The state of a script that computed is given back once that has stopped.
    while !runtime.drain(Duration::ZERO).await.is_clean() {
        tokio::task::yield_now().await;
    }
    Ok(())
}
