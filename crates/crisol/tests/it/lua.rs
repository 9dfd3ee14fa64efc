//! Lua functions and scripts beside other callers of the same functions.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crisol::error::ErrorDetails;
use crisol::{CallError, EntryId, ErrorKind, LoadError, Value};

use crate::support::{Tested, load, lua, script};
use tokio::sync::Notify;

/// Builds an entry for a method of a guest.
fn wasm(name: &str, guest: &str, method: &str) -> String {
    crate::support::wasm(name, guest, method, "")
}

#[tokio::test]
async fn script_lua_function_and_rust_agree() -> Tested {
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
    let failed = runtime.call::<String>("myns:fail", ("no luck",)).await;
    let own = failed.err().ok_or("it answered")?.into_function_error()?;
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
async fn recursive_call_is_refused_with_its_chain_in_every_pool() -> Tested {
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
async fn call_chain_is_bounded_by_depth_and_first_deadline() -> Tested {
    let count = "local n = ... local v, e = funcs.call('myns:down', n + 1) return v or {n, e.kind}";
    let wait = "return funcs.call('myns:sleep', 60000)";
    let runtime = load(
        &(lua("down", count, "")
            + &lua("sleep", "require('time').sleep(...)", "")
            + &lua("outer", wait, ", limits: {max_execution_ms: 100}")),
    )?;
    let depth = runtime.call_values("myns:down", vec![Value::Int(0)]).await?;
    assert_eq!(depth, Value::List(vec![Value::Int(64), "would-deadlock".into()]));
    let ended = runtime.call_values("myns:outer", Vec::new()).await;
    let error = ended.err().ok_or("it answered")?;
    let ErrorDetails::Deadline { limit, spent } = error.details() else {
        return Err(error.into());
    };
    let time = Duration::from_millis(100);
    assert_eq!((error.entry(), *limit), ("myns:outer", Some(time)));
    assert_eq!((spent.guest, spent.host), (Duration::ZERO, time), "{spent:?}");
    Ok(())
}

#[tokio::test]
async fn lua_globals_survive_a_call_only_if_states_are_reused() -> Tested {
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
        ("method: f, source: 'return {g = print}'", "the script returns `g`"),
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
        assert!(
            matches!(ended.as_ref().map_err(CallError::details), Err(ErrorDetails::Interrupted)),
            "{ended:?}"
        );
    }
    // The state of a computing script returns to its pool after the script has stopped.
    while !runtime.drain(Duration::ZERO).await.is_clean() {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn uncaught_error_is_shown_like_a_trap() -> Tested {
    let body = "local function price(n) if n > 1 then error('no price for ' .. n) end return n end
        local function total(n) return price(n) + 1 end
        local sum = total(7) return sum";
    let runtime = load(&lua("f", body, ""))?;
    let Err(error) = runtime.call_values("myns:f", Vec::new()).await else {
        return Err("it ran".into());
    };
    assert_eq!(
        crisol_core::chain(&error),
        "`myns:f` trapped: source:1: no price for 7
    0: price at source:1
    1: total at source:2
    2: f at source:3"
    );
    Ok(())
}

#[test]
fn equal_errors_of_scripts_are_grouped() -> Tested {
    for (source, told) in [
        ("return {", "unexpected symbol near <eof>"),
        ("local x = 1\n\nerror('boom')", "the script failed: boom"),
        ("return {g = print}", "unknown function `f`: the script returns `g`"),
    ] {
        let entry = |n: usize| {
            format!("  - {{name: f{n}, kind: function.lua, method: f, source: {source:?}}}\n")
        };
        let Err(LoadError::App(problems)) = load(&(0..26).map(entry).collect::<String>()) else {
            return Err(source.into());
        };
        assert_eq!(problems.errors(), 26);
        let text = problems.to_string();
        assert_eq!(text.matches(told).count(), 1, "{text}");
        assert!(text.contains("the same in 25 more places:"), "{text}");
        assert!(text.contains("\n1 error in 26 places and "), "{text}");
    }
    Ok(())
}

#[test]
fn an_error_of_a_script_is_placed_in_its_line() -> Tested {
    let source = "  - name: f\n    kind: function.lua\n    method: f\n    source: |\n      local x = 1\n        error('boom')\n";
    let Err(LoadError::App(problems)) = load(source) else { return Err("it loads".into()) };
    let place = problems.iter().find_map(crisol::registry::Problem::location).ok_or("no place")?;
    assert_eq!((place.line, place.column), (9, 9), "{problems}");
    Ok(())
}

/// Log writer that blocks at a line with `hold` until the test releases it.
struct Held(Arc<Notify>, Arc<Mutex<Receiver<()>>>);

impl Write for Held {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if String::from_utf8_lossy(line).contains("hold") {
            self.0.notify_one();
            let receiver = self.1.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = receiver.recv_timeout(Duration::from_secs(60));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn running_script_counts_in_its_pool_after_its_caller_left() -> Tested {
    let name = "running_script_counts_in_its_pool_after_its_caller_left";
    if !crisol_fixtures::runs_alone(module_path!(), name)? {
        return Ok(());
    }
    let (release, receiver) = sync_channel(1);
    let (entered, receiver) = (Arc::new(Notify::new()), Arc::new(Mutex::new(receiver)));
    let held = Arc::clone(&entered);
    let log = tracing_subscriber::fmt();
    // Global, for the threads that scripts run on.
    let log = log.with_writer(move || Held(Arc::clone(&held), Arc::clone(&receiver))).finish();
    tracing::subscriber::set_global_default(log)?;
    let pool = ", pool: {type: lazy, max_size: 1}";
    let runtime = load(&lua("f", "if ... then print('hold') end return 1", pool))?;
    let caller = runtime.clone();
    let call = tokio::spawn(async move { caller.call_values("myns:f", vec![true.into()]).await });
    entered.notified().await;
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    let stats = || runtime.stats("myns:f").ok_or("no stats");
    assert_eq!(stats()?.busy, 1);
    let next = runtime.call_values("myns:f", Vec::new());
    tokio::pin!(next);
    tokio::select! {
        biased;
        ended = &mut next => return Err(format!("it had a place: {ended:?}").into()),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!((stats()?.busy, stats()?.queued), (1, 1));
    release.send(())?;
    assert_eq!(next.await?, Value::Int(1));
    assert_eq!(stats()?.busy, 0);
    Ok(())
}
