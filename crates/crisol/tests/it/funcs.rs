//! Guests that call other functions by `funcs`, beside other callers of the same functions.

use std::time::Duration;

use crisol::change::Changes;
use crisol::error::ErrorDetails;
use crisol::{CallError, ErrorKind, Exit, Runtime, Stdio, Value};

use crate::support::{Tested, entry, load, script, wasm};

/// Builds an entry of the calling guest for one of its methods.
fn caller(name: &str, method: &str, more: &str) -> String {
    wasm(name, "caller", method, &format!(", imports: [funcs]{more}"))
}

/// Builds an entry from the body of a Lua function.
fn lua(name: &str, body: &str) -> String {
    crate::support::lua(name, body, "")
}

/// Entry of a function that never ends.
const SPIN: &str = "  - {name: spin, kind: function.wat, method: f, source: '(module (func (export \"f\") (loop (br 0))))'}\n";

fn sleep() -> String {
    wasm("sleep", "sleep-test", "test-sleep#sleep-ms", ", imports: [\"wasi:io\", \"wasi:clocks\"]")
}

/// Calls `myns:json`; returns the text of the result, or the case of the error and its payload.
async fn json(runtime: &Runtime, target: &str, args: &str) -> Tested<Result<String, [String; 2]>> {
    match runtime.call::<String>("myns:json", (target, args)).await {
        Ok(text) => Ok(Ok(text)),
        Err(error) => match &error.into_function_error()? {
            Value::List(pair) => {
                let pair = pair.iter().map(text).collect::<Vec<_>>();
                Ok(Err(pair.try_into().map_err(|pair| format!("{pair:?}"))?))
            }
            other => Err(format!("{other}").into()),
        },
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn guest_script_and_rust_get_the_same_answer_and_error() -> Tested {
    let runtime = load(
        &(caller("json", "json", "")
            + &wasm("compute", "compute", "compute", "")
            + &wasm("fail", "probe", "fail", "")
            + &wasm("trap", "probe", "trap-now", "")),
    )?;
    assert_eq!(runtime.call::<i32>("myns:compute", (6, 7)).await?, 42);
    assert_eq!(json(&runtime, "myns:compute", "[6, 7]").await?, Ok("42".to_owned()));
    assert_eq!(
        script(&runtime, "return require('funcs').call('myns:compute', 6, 7)").await?,
        Value::Int(42)
    );

    let failed = runtime.call::<String>("myns:fail", ("no luck",)).await;
    let own = failed.err().ok_or("it did not fail")?.into_function_error()?;
    let expected = Err(["function".to_owned(), serde_json::to_string(&own)?]);
    assert_eq!(json(&runtime, "myns:fail", r#"["no luck"]"#).await?, expected);
    let through = "local _, e = require('funcs').call('myns:fail', 'no luck') return e.message";
    assert_eq!(Some(&script(&runtime, through).await?), own.get("message"));

    // All other errors have the same kind and text.
    for (target, args) in [
        ("myns:compute", "[\"six\", 7]"),
        ("myns:compute", "[6]"),
        ("myns:trap", "[]"),
        ("myns:compote", "[]"),
    ] {
        let values: Vec<Value> = serde_json::from_str(args)?;
        let direct = runtime.call_values(target, values).await.err().ok_or("it ran")?;
        let told = [direct.kind().name().to_owned(), direct.to_string()];
        assert_eq!(json(&runtime, target, args).await?, Err(told.clone()), "{target}");
        let items = &args[1..args.len() - 1];
        let comma = if items.is_empty() { "" } else { ", " };
        let through = format!(
            "local _, e = require('funcs').call('{target}'{comma}{items}) return {{e.kind, e.message}}"
        );
        let told = told.map(Value::from).to_vec();
        assert_eq!(script(&runtime, &through).await?, Value::List(told), "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn text_and_bytes_pass_unchanged_and_others_as_json() -> Tested {
    let runtime = load(
        &(caller("text", "text", "")
            + &caller("bytes", "bytes", "")
            + &wasm("compute", "compute", "compute", "")
            + &wasm("greet", "greet", "greet", "")
            + &wasm("echo", "probe", "echo-bytes", "")
            + &wasm("fail", "probe", "fail", "")
            + &wasm("grow", "probe", "grow", "")
            + &wasm("path", "caller", "hop", "")
            + &wasm("print", "probe", "print", "")
            + &lua("upper", "return (...):upper()")
            + &lua("table", "return {a = 1}")
            + &lua("nothing", "")),
    )?;
    for (target, input, answer) in [
        ("myns:compute", "[6, 7]", Ok("42")),
        ("myns:compute", " [6, 7] ", Ok("42")),
        ("myns:greet", "Ana", Ok("Hello, Ana!")),
        ("myns:greet", "[\"Ana\"]", Ok("Hello, [\"Ana\"]!")),
        ("myns:greet", "", Ok("Hello, world!")),
        ("myns:upper", "[loud]", Ok("[LOUD]")),
        ("myns:table", "", Ok("{\"a\":1}")),
        ("myns:nothing", "", Ok("")),
        // A list as the only argument needs an outer list of arguments.
        ("myns:path", "[[]]", Ok("0")),
        ("myns:echo", "[[1, 2]]", Ok("[1,2]")),
        ("myns:grow", "1", Ok("2")),
        ("myns:fail", "no luck", Err("{\"code\":7,\"message\":\"no luck\"}")),
        ("myns:compute", "6, 7", Err("the input is not JSON, which this function takes")),
        ("myns:compute", "six", Err("the input is not JSON, which this function takes")),
        ("myns:compute", "6", Err("`myns:compute`")),
        ("myns:compute", "", Err("`myns:compute`")),
        ("myns:compote", "[]", Err("did you mean `myns:compute`?")),
        ("compute", "[]", Err("the target: ")),
    ] {
        let answered = runtime.call::<String>("myns:text", (target, input)).await;
        match (answered.as_ref().map_err(CallError::details), answer) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{target} {input}"),
            (Err(ErrorDetails::Function { error }), Err(part)) => {
                assert!(text(error).contains(part), "{target} {input}: {error}");
            }
            _ => return Err(format!("{target} {input}: {answered:?}").into()),
        }
    }
    for (target, input, answer) in [
        ("myns:echo", &[0_u8, 255][..], &[0_u8, 255][..]),
        ("myns:greet", b"Ana", b"Hello, Ana!"),
        ("myns:compute", b"[6,7]", b"42"),
        ("myns:upper", b"loud", b"LOUD"),
        ("myns:nothing", b"\xff", b""),
    ] {
        let answered = runtime.call::<Vec<u8>>("myns:bytes", (target, input)).await?;
        assert_eq!(answered, answer, "{target}");
    }
    let broken = runtime.call::<Vec<u8>>("myns:bytes", ("myns:greet", &[255_u8][..])).await;
    let error = broken.err().ok_or("it ran")?.into_function_error()?;
    assert!(
        text(&error).starts_with("`myns:greet` takes text, and the input is not UTF-8"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn each_call_failure_has_its_own_case() -> Tested {
    let limits = |limits: &str| format!(", limits: {{{limits}}}");
    let runtime = load(
        &(caller("json", "json", &limits("max_output_bytes: 2000"))
            + &wasm("compute", "compute", "compute", "")
            + &wasm("trap", "probe", "trap-now", "")
            + &wasm("exit", "probe", "exit-with", ", imports: [\"wasi:cli\"]")
            + &wasm("denied", "probe", "now-ms", "")
            + &wasm("deep", "probe", "recurse", "")
            + &wasm("late", "probe", "spin", &limits("max_execution_ms: 20"))
            + "  - {name: store, kind: env.storage.memory}\n"
            + &wasm(
                "start",
                "probe",
                "count",
                ", imports: [\"wasi:cli\"], wasi: {env: [{id: \"myns:missing\", name: A, required: true}]}",
            )
            + "  - {name: missing, kind: env.variable, storage: store, variable: A}\n"),
    )?;
    let long = format!("[\"{}\"]", "x".repeat(2000));
    for (target, args, case, part) in [
        ("myns:compote", "[]", "not-found", "did you mean `myns:compute`?"),
        ("compute", "[]", "invalid-input", "the target: "),
        ("myns:compute", "[6", "invalid-input", "`myns:compute`"),
        ("myns:compute", "{}", "invalid-input", "`myns:compute`"),
        ("myns:trap", "[]", "trap", "`myns:trap`"),
        ("myns:denied", "[]", "denied", "add `wasi:clocks` to its `imports`"),
        ("myns:exit", "[3]", "exited", "code 3"),
        ("myns:deep", "[]", "limit", "`myns:deep` exceeded"),
        (
            "myns:late",
            "[]",
            "deadline",
            "`myns:late` ran out of time (`limits.max_execution_ms` is 20)",
        ),
        ("myns:start", "[]", "environment", "`myns:start` cannot start"),
        ("myns:compute", &long, "limit", "the caller's `limits.max_output_bytes` is 2000"),
    ] {
        let Err([name, text]) = json(&runtime, target, args).await? else {
            return Err(format!("{target} ran").into());
        };
        assert_eq!(name, case, "{target} {args}: {text}");
        assert!(text.contains(part), "{target} {args}: {text}");
    }
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
        let pool = format!(", pool: {pool}");
        let runtime = load(&(caller("a", "hop", &pool) + &caller("b", "hop", &pool)))?;
        // a → b succeeds; a → b → a would wait for the instance that the first call holds.
        assert_eq!(runtime.call::<u32>("myns:a", (["myns:b"],)).await?, 1, "{pool}");
        let again = runtime.call::<u32>("myns:a", (["myns:b", "myns:a"],)).await;
        let Err(ErrorDetails::Function { error }) = again.as_ref().map_err(CallError::details)
        else {
            return Err(format!("{pool}: {again:?}").into());
        };
        assert!(text(error).contains("myns:a → myns:b → myns:a"), "{pool}: {error}");
        let itself = runtime.call::<u32>("myns:a", (["myns:a"],)).await;
        assert!(
            matches!(
                itself.as_ref().map_err(CallError::details),
                Err(ErrorDetails::Function { .. })
            ),
            "{pool}: {itself:?}"
        );
        assert_eq!(runtime.call::<u32>("myns:a", (["myns:b"],)).await?, 1, "{pool}");
    }
    // With free instances, the recursive call succeeds.
    let runtime = load(&(caller("a", "hop", "") + &caller("b", "hop", "")))?;
    assert_eq!(runtime.call::<u32>("myns:a", (["myns:b", "myns:a", "myns:b"],)).await?, 3);
    Ok(())
}

/// Runs on the threads of a usual tokio runtime, with stacks of 2 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_chain_may_be_64_deep_and_no_deeper() -> Tested {
    let runtime = load(&caller("a", "hop", ""))?;
    for (depth, goes) in [(64, true), (65, false)] {
        let (runtime, path) = (runtime.clone(), vec!["myns:a".to_owned(); depth]);
        let ended =
            tokio::spawn(async move { runtime.call::<u32>("myns:a", (path,)).await }).await?;
        match ended.as_ref().map_err(CallError::details) {
            Ok(count) if goes => assert_eq!(*count, 64),
            Err(ErrorDetails::Function { error }) if !goes => {
                assert!(text(error).contains("64"), "{error}");
            }
            other => return Err(format!("{depth}: {other:?}").into()),
        }
    }
    let stats = runtime.stats("myns:a").ok_or("no such pool")?;
    assert_eq!((stats.busy, stats.queued), (0, 0));
    Ok(())
}

/// Runs a call with a limit of 100 ms past its deadline; returns the time spent in queue, guest and host.
async fn ends_late(runtime: &Runtime, id: &str, target: &str, args: &str) -> Tested<[Duration; 3]> {
    let ended = runtime.call_values(id, vec![target.into(), args.into()]).await;
    let error = ended.err().ok_or("it answered")?;
    let ErrorDetails::Deadline { limit, spent } = error.details() else {
        return Err(format!("{target}: {error}").into());
    };
    assert_eq!((error.entry(), *limit), (id, Some(Duration::from_millis(100))));
    let stats = runtime.stats(target).ok_or("no such pool")?;
    assert_eq!((stats.busy, stats.queued), (0, 0), "{target}");
    Ok([spent.queue, spent.guest, spent.host])
}

/// Builds an entry of the calling guest with a time limit of 100 ms.
fn hurried(name: &str, method: &str) -> String {
    caller(name, method, ", limits: {max_execution_ms: 100}")
}

#[tokio::test(start_paused = true)]
async fn nested_calls_share_the_deadline_and_count_as_host_time() -> Tested {
    let runtime = load(&(hurried("json", "json") + &sleep()))?;
    let spent = ends_late(&runtime, "myns:json", "myns:sleep", "[60000]").await?;
    assert_eq!(spent, [Duration::ZERO, Duration::ZERO, Duration::from_millis(100)]);
    Ok(())
}

#[tokio::test]
async fn callers_deadline_ends_computing_callees_and_the_caller() -> Tested {
    let runtime = load(
        &(hurried("json", "json")
            + &hurried("spins", "call-and-spin")
            + &wasm("compute", "compute", "compute", "")
            + SPIN),
    )?;
    ends_late(&runtime, "myns:json", "myns:spin", "[]").await?;
    let [_, guest, _] = ends_late(&runtime, "myns:spins", "myns:compute", "[6, 7]").await?;
    assert!(!guest.is_zero());
    Ok(())
}

#[tokio::test]
async fn cancelling_a_call_cancels_its_nested_calls() -> Tested {
    let runtime = load(&(caller("json", "json", "") + &sleep()))?;
    let busy = |id: &str| runtime.stats(id).map(|stats| stats.busy);
    let mut call = Box::pin(json(&runtime, "myns:sleep", "[60000]"));
    while (busy("myns:json"), busy("myns:sleep")) != (Some(1), Some(1)) {
        tokio::select! {
            biased;
            ended = &mut call => return Err(format!("{ended:?}").into()),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(call);
    assert_eq!((busy("myns:json"), busy("myns:sleep")), (Some(0), Some(0)));
    assert!(json(&runtime, "myns:sleep", "[0]").await?.is_ok());
    Ok(())
}

#[tokio::test]
async fn calls_need_the_funcs_import() -> Tested {
    let runtime = load(&wasm("json", "caller", "json", ""))?;
    let ended = runtime.call_values("myns:json", vec!["myns:json".into(), "[]".into()]).await;
    let error = ended.err().ok_or("it answered")?;
    assert_eq!(error.kind(), ErrorKind::Denied);
    let text = error.to_string();
    assert!(text.contains("crisol:runtime/funcs@0.1.0#call"), "{text}");
    assert!(text.contains("add `funcs` to its `imports`"), "{text}");
    Ok(())
}

#[tokio::test]
async fn nested_calls_stay_in_the_generation_of_the_call() -> Tested {
    let step = |version: u32| {
        lua("step", &format!("if ... then require('time').sleep(...) end return {version}"))
    };
    let runtime = load(&(caller("often", "often", "") + &step(1)))?;
    let mut call = Box::pin(runtime.call::<String>("myns:often", ("myns:step", "[50]", 3)));
    while runtime.stats("myns:step").map(|stats| stats.busy) != Some(1) {
        tokio::select! {
            biased;
            ended = &mut call => return Err(format!("{ended:?}").into()),
            () = tokio::task::yield_now() => {}
        }
    }
    runtime.apply(Changes::new().put(format!("namespace: myns\nentries:\n{}", step(2)))).await?;
    assert_eq!(call.await?, "1");
    assert_eq!(runtime.call::<String>("myns:often", ("myns:step", "[1]", 1)).await?, "2");
    Ok(())
}

#[tokio::test]
async fn idle_instance_keeps_no_generation() -> Tested {
    let pool = ", pool: {type: static, workers: 1, max_instance_reuse: 100}";
    let runtime = load(&(caller("json", "json", pool) + &wasm("greet", "greet", "greet", "")))?;
    for _ in 0..3 {
        assert!(json(&runtime, "myns:greet", "[\"Ana\"]").await?.is_ok());
        let changes =
            Changes::new().put(format!("namespace: myns\nentries:\n{}", lua("other", "")));
        runtime.apply(changes).await?;
        assert_eq!(runtime.snapshot().retiring, 0);
        runtime.apply(Changes::new().remove("myns:other".parse()?)).await?;
    }
    assert_eq!(runtime.stats("myns:json").map(|stats| stats.created), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_command_calls_functions_too() -> Tested {
    let runtime = load(
        &(entry("process.wasm", "ask", "caller", "text", ", imports: [funcs]")
            + &wasm("greet", "greet", "greet", "")),
    )?;
    let command = runtime.command("myns:ask")?;
    let args = || vec!["myns:greet".into(), "Ana".into()].into();
    let Exit::Value(answer) = command.run(&[], args(), Stdio::Log).await? else {
        return Err("no value".into());
    };
    assert_eq!(answer.to_value(), "Hello, Ana!".into());
    // A command belongs to its generation; after that is dropped, it cannot call functions.
    runtime.reload().await?;
    let ended = command.run(&[], args(), Stdio::Log).await;
    let own = ended.as_ref().err().and_then(CallError::function_error).map(text);
    assert!(own.is_some_and(|own| own.contains("while a call is served")), "{ended:?}");
    assert!(runtime.signature("myns:greet").is_some());
    Ok(())
}

#[tokio::test]
async fn text_over_the_output_limit_is_refused_before_the_callee_runs() -> Tested {
    let runtime = load(
        &(caller("text", "text", ", limits: {max_output_bytes: 10}")
            + &wasm("greet", "greet", "greet", "")),
    )?;
    let ended = runtime.call::<String>("myns:text", ("myns:greet", "12345678901")).await;
    assert_eq!(ended.as_ref().err().map(CallError::kind), Some(ErrorKind::Limit), "{ended:?}");
    assert_eq!(runtime.stats("myns:greet").map(|stats| stats.created), Some(0));
    Ok(())
}
