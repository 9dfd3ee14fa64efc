//! Guests that call other functions by `funcs`, beside other callers of the same functions.

use std::sync::Arc;
use std::time::Duration;

use crisol::{
    Allocation, CallError, Changes, EngineConfig, ErrorKind, Exit, Runtime, Script, Stdio, Value,
};

type Problem = Box<dyn std::error::Error + Send + Sync>;
type Tested<T = ()> = Result<T, Problem>;

fn load(entries: &str) -> Tested<Runtime> {
    let dir = crisol_fixtures::dir();
    let header = format!(
        "namespace: n\nentries:\n  - {{name: assets, kind: fs.directory, directory: {:?}}}\n",
        dir.display().to_string()
    );
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    Ok(Runtime::builder().file("_index.yaml", header + entries).engine(engine).load()?)
}

/// An entry for a method of a guest, with further fields in flow style.
fn entry(kind: &str, name: &str, guest: &str, method: &str, more: &str) -> String {
    let hash = crisol_fixtures::sha256(guest);
    format!(
        "  - {{name: {name}, kind: {kind}, fs: assets, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: \"{method}\"{more}}}\n"
    )
}

fn wasm(name: &str, guest: &str, method: &str, more: &str) -> String {
    entry("function.wasm", name, guest, method, more)
}

/// A method of the guest that calls.
fn caller(name: &str, method: &str, more: &str) -> String {
    wasm(name, "caller", method, &format!(", imports: [funcs]{more}"))
}

/// A function made of the body of a Lua function.
fn lua(name: &str, body: &str) -> String {
    let source = format!("return {{f = function(...) {body} end}}");
    format!(
        "  - {{name: {name}, kind: function.lua, method: f, modules: [funcs, time], source: {source:?}}}\n"
    )
}

/// A function that never ends.
const SPIN: &str = "  - {name: spin, kind: function.wat, method: f, source: '(module (func (export \"f\") (loop (br 0))))'}\n";

fn sleep() -> String {
    wasm("sleep", "sleep-test", "test-sleep#sleep-ms", ", imports: [\"wasi:io\", \"wasi:clocks\"]")
}

/// What `n:json` answers: the text of a result, or an error's case and what it holds.
async fn json(runtime: &Runtime, target: &str, args: &str) -> Tested<Result<String, [String; 2]>> {
    match runtime.call::<String>("n:json", (target, args)).await {
        Ok(text) => Ok(Ok(text)),
        Err(CallError::Function { error, .. }) => match &*error {
            Value::List(pair) => {
                let pair = pair.iter().map(text).collect::<Vec<_>>();
                Ok(Err(pair.try_into().map_err(|pair| format!("{pair:?}"))?))
            }
            other => Err(format!("{other}").into()),
        },
        Err(other) => Err(other.into()),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An error with its sources.
fn whole(error: &CallError) -> String {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn script(runtime: &Runtime, source: &str) -> Tested<Value> {
    let sink: crisol::LineSink = Arc::new(|_, _| {});
    let (name, source) = ("test.lua".to_owned(), source.to_owned());
    let script = Script { name, source, args: Vec::new(), sink, deadline: None };
    Ok(runtime.run_script(script).await?)
}

#[tokio::test]
async fn a_guest_a_script_and_rust_get_the_same_answer_and_the_same_error() -> Tested {
    let runtime = load(
        &(caller("json", "json", "")
            + &wasm("compute", "compute", "compute", "")
            + &wasm("fail", "probe", "fail", "")
            + &wasm("trap", "probe", "trap-now", "")),
    )?;
    assert_eq!(runtime.call::<i32>("n:compute", (6, 7)).await?, 42);
    assert_eq!(json(&runtime, "n:compute", "[6, 7]").await?, Ok("42".to_owned()));
    assert_eq!(
        script(&runtime, "return require('funcs').call('n:compute', 6, 7)").await?,
        Value::Int(42)
    );

    let Err(CallError::Function { error: own, .. }) =
        runtime.call::<String>("n:fail", ("no luck",)).await
    else {
        return Err("it did not fail".into());
    };
    let expected = Err(["function".to_owned(), serde_json::to_string(&*own)?]);
    assert_eq!(json(&runtime, "n:fail", r#"["no luck"]"#).await?, expected);
    let through = "local _, e = require('funcs').call('n:fail', 'no luck') return e.message";
    assert_eq!(Some(&script(&runtime, through).await?), own.get("message"));

    // All others have the same kind and text.
    for (target, args) in
        [("n:compute", "[\"six\", 7]"), ("n:compute", "[6]"), ("n:trap", "[]"), ("n:compote", "[]")]
    {
        let values: Vec<Value> = serde_json::from_str(args)?;
        let direct = runtime.call_values(target, values).await.err().ok_or("it ran")?;
        let told = [direct.kind().name().to_owned(), whole(&direct)];
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
async fn text_and_bytes_go_as_they_are_and_all_else_as_json() -> Tested {
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
        ("n:compute", "[6, 7]", Ok("42")),
        ("n:compute", " [6, 7] ", Ok("42")),
        ("n:greet", "Ana", Ok("Hello, Ana!")),
        ("n:greet", "[\"Ana\"]", Ok("Hello, [\"Ana\"]!")),
        ("n:greet", "", Ok("Hello, world!")),
        ("n:upper", "[loud]", Ok("[LOUD]")),
        ("n:table", "", Ok("{\"a\":1}")),
        ("n:nothing", "", Ok("")),
        // A list as the only argument stands in a list of arguments.
        ("n:path", "[[]]", Ok("0")),
        ("n:echo", "[[1, 2]]", Ok("[1,2]")),
        ("n:grow", "1", Ok("2")),
        ("n:fail", "no luck", Err("{\"code\":7,\"message\":\"no luck\"}")),
        ("n:compute", "6, 7", Err("neither text that the function takes as it is, nor JSON")),
        ("n:compute", "six", Err("neither text that the function takes as it is, nor JSON")),
        ("n:compute", "6", Err("`n:compute`")),
        ("n:compute", "", Err("`n:compute`")),
        ("n:compote", "[]", Err("did you mean `n:compute`?")),
        ("compute", "[]", Err("the target: ")),
    ] {
        let answered = runtime.call::<String>("n:text", (target, input)).await;
        match (&answered, answer) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{target} {input}"),
            (Err(CallError::Function { error, .. }), Err(part)) => {
                assert!(text(error).contains(part), "{target} {input}: {error}");
            }
            _ => return Err(format!("{target} {input}: {answered:?}").into()),
        }
    }
    for (target, input, answer) in [
        ("n:echo", &[0_u8, 255][..], &[0_u8, 255][..]),
        ("n:greet", b"Ana", b"Hello, Ana!"),
        ("n:compute", b"[6,7]", b"42"),
        ("n:upper", b"loud", b"LOUD"),
        ("n:nothing", b"\xff", b""),
    ] {
        let answered = runtime.call::<Vec<u8>>("n:bytes", (target, input)).await?;
        assert_eq!(answered, answer, "{target}");
    }
    let broken = runtime.call::<Vec<u8>>("n:bytes", ("n:greet", &[255_u8][..])).await;
    let Err(CallError::Function { error, .. }) = broken else { return Err("it ran".into()) };
    assert!(text(&error).starts_with("`n:greet` takes text, and this is none"), "{error}");
    Ok(())
}

#[tokio::test]
async fn each_way_in_which_a_call_fails_is_a_case_of_its_own() -> Tested {
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
                ", imports: [\"wasi:cli\"], wasi: {env: [{id: \"n:missing\", name: A, required: true}]}",
            )
            + "  - {name: missing, kind: env.variable, storage: store, variable: A}\n"),
    )?;
    let long = format!("[\"{}\"]", "x".repeat(2000));
    for (target, args, case, part) in [
        ("n:compote", "[]", "not-found", "did you mean `n:compute`?"),
        ("compute", "[]", "invalid-input", "the target: "),
        ("n:compute", "[6", "invalid-input", "`n:compute`"),
        ("n:compute", "{}", "invalid-input", "`n:compute`"),
        ("n:trap", "[]", "trap", "`n:trap`"),
        ("n:denied", "[]", "denied", "add `wasi:clocks` to its `imports`"),
        ("n:exit", "[3]", "exited", "code 3"),
        ("n:deep", "[]", "limit", "`n:deep` went over"),
        ("n:late", "[]", "deadline", "`n:late` ran out of time (`limits.max_execution_ms` is 20)"),
        ("n:start", "[]", "environment", "`n:start` cannot start"),
        ("n:compute", &long, "limit", "the caller's `limits.max_output_bytes` is 2000"),
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
async fn recursion_that_waits_for_itself_is_refused_in_every_pool_with_its_chain() -> Tested {
    for pool in [
        "{type: inline}",
        "{type: lazy, max_size: 1}",
        "{type: static, workers: 1}",
        "{type: adaptive, max_size: 1}",
    ] {
        let pool = format!(", pool: {pool}");
        let runtime = load(&(caller("a", "hop", &pool) + &caller("b", "hop", &pool)))?;
        // a → b goes through; a → b → a waits for what the first holds, or runs in a second instance.
        assert_eq!(runtime.call::<u32>("n:a", (["n:b"],)).await?, 1, "{pool}");
        let again = runtime.call::<u32>("n:a", (["n:b", "n:a"],)).await;
        let Err(CallError::Function { error, .. }) = &again else {
            return Err(format!("{pool}: {again:?}").into());
        };
        assert!(text(error).contains("n:a → n:b → n:a"), "{pool}: {error}");
        let itself = runtime.call::<u32>("n:a", (["n:a"],)).await;
        assert!(matches!(itself, Err(CallError::Function { .. })), "{pool}: {itself:?}");
        assert_eq!(runtime.call::<u32>("n:a", (["n:b"],)).await?, 1, "{pool}");
    }
    // With room for it, it is a call like any other.
    let runtime = load(&(caller("a", "hop", "") + &caller("b", "hop", "")))?;
    assert_eq!(runtime.call::<u32>("n:a", (["n:b", "n:a", "n:b"],)).await?, 3);
    Ok(())
}

/// On the threads of a usual runtime, whose stacks have 2 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_chain_may_be_64_deep_and_no_deeper() -> Tested {
    let runtime = load(&caller("a", "hop", ""))?;
    for (depth, goes) in [(64, true), (65, false)] {
        let (runtime, path) = (runtime.clone(), vec!["n:a".to_owned(); depth]);
        let ended = tokio::spawn(async move { runtime.call::<u32>("n:a", (path,)).await }).await?;
        match ended {
            Ok(count) if goes => assert_eq!(count, 64),
            Err(CallError::Function { error, .. }) if !goes => {
                assert!(text(&error).contains("64"), "{error}");
            }
            other => return Err(format!("{depth}: {other:?}").into()),
        }
    }
    let stats = runtime.stats("n:a").ok_or("no such pool")?;
    assert_eq!((stats.busy, stats.queued), (0, 0));
    Ok(())
}

#[tokio::test]
async fn the_callers_deadline_is_that_of_all_it_calls_and_its_time_is_told_apart() -> Tested {
    let limit = ", limits: {max_execution_ms: 100}";
    let runtime = load(
        &(caller("json", "json", limit)
            + &caller("spins", "call-and-spin", limit)
            + &wasm("compute", "compute", "compute", "")
            + &sleep()
            + SPIN),
    )?;
    for (id, target, args, in_guest) in [
        ("n:json", "n:sleep", "[60000]", false),
        // What it calls computes inside its own polls, and that is none of its time.
        ("n:json", "n:spin", "[]", false),
        ("n:spins", "n:compute", "[6, 7]", true),
    ] {
        let ended = runtime.call_values(id, vec![target.into(), args.into()]).await;
        let Err(CallError::Deadline { id: named, limit, spent }) = &ended else {
            return Err(format!("{target}: {ended:?}").into());
        };
        assert_eq!((named.as_str(), *limit), (id, Some(Duration::from_millis(100))));
        let half = Duration::from_millis(50);
        assert_eq!(spent.guest > half, in_guest, "{target}: {spent:?}");
        assert_eq!(spent.host > half, !in_guest, "{target}: {spent:?}");
        let stats = runtime.stats(target).ok_or("no such pool")?;
        assert_eq!((stats.busy, stats.queued), (0, 0), "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_up_what_it_calls() -> Tested {
    let runtime = load(&(caller("json", "json", "") + &sleep()))?;
    let busy = |id: &str| runtime.stats(id).map(|stats| stats.busy);
    let mut call = Box::pin(json(&runtime, "n:sleep", "[60000]"));
    while (busy("n:json"), busy("n:sleep")) != (Some(1), Some(1)) {
        tokio::select! {
            biased;
            ended = &mut call => return Err(format!("{ended:?}").into()),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(call);
    assert_eq!((busy("n:json"), busy("n:sleep")), (Some(0), Some(0)));
    assert!(json(&runtime, "n:sleep", "[0]").await?.is_ok());
    Ok(())
}

#[tokio::test]
async fn without_the_import_there_is_no_calling() -> Tested {
    let runtime = load(&wasm("json", "caller", "json", ""))?;
    let ended = runtime.call_values("n:json", vec!["n:json".into(), "[]".into()]).await;
    let Err(error @ CallError::Denied { .. }) = &ended else {
        return Err(format!("{ended:?}").into());
    };
    let text = error.to_string();
    assert!(text.contains("crisol:runtime/funcs@0.1.0#call"), "{text}");
    assert!(text.contains("add `funcs` to its `imports`"), "{text}");
    Ok(())
}

#[tokio::test]
async fn all_that_a_call_calls_is_of_the_generation_that_it_began_in() -> Tested {
    let step = |version: u32| {
        lua("step", &format!("if ... then require('time').sleep(...) end return {version}"))
    };
    let runtime = load(&(caller("often", "often", "") + &step(1)))?;
    let mut call = Box::pin(runtime.call::<String>("n:often", ("n:step", "[50]", 3)));
    while runtime.stats("n:step").map(|stats| stats.busy) != Some(1) {
        tokio::select! {
            biased;
            ended = &mut call => return Err(format!("{ended:?}").into()),
            () = tokio::task::yield_now() => {}
        }
    }
    runtime.apply(Changes::new().put(format!("namespace: n\nentries:\n{}", step(2)))).await?;
    assert_eq!(call.await?, "1");
    assert_eq!(runtime.call::<String>("n:often", ("n:step", "[1]", 1)).await?, "2");
    Ok(())
}

#[tokio::test]
async fn an_instance_that_waits_for_its_next_call_keeps_no_generation() -> Tested {
    let pool = ", pool: {type: static, workers: 1, max_instance_reuse: 100}";
    let runtime = load(&(caller("json", "json", pool) + &wasm("greet", "greet", "greet", "")))?;
    for _ in 0..3 {
        assert!(json(&runtime, "n:greet", "[\"Ana\"]").await?.is_ok());
        let changes = Changes::new().put(format!("namespace: n\nentries:\n{}", lua("other", "")));
        runtime.apply(changes).await?;
        assert_eq!(runtime.snapshot().retiring, 0);
        runtime.apply(Changes::new().remove("n:other".parse()?)).await?;
    }
    assert_eq!(runtime.stats("n:json").map(|stats| stats.created), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_command_calls_functions_too() -> Tested {
    let runtime = load(
        &(entry("process.wasm", "ask", "caller", "text", ", imports: [funcs]")
            + &wasm("greet", "greet", "greet", "")),
    )?;
    let command = runtime.command("n:ask")?;
    let args = || vec!["n:greet".into(), "Ana".into()].into();
    let Exit::Value(answer) = command.run(&[], args(), Stdio::Log).await? else {
        return Err("no value".into());
    };
    assert_eq!(answer.to_value(), "Hello, Ana!".into());
    // A command is of its generation; when that is gone, there is nothing to call through.
    runtime.reload().await?;
    let ended = command.run(&[], args(), Stdio::Log).await;
    let own = ended.as_ref().err().and_then(CallError::function_error).map(text);
    assert!(own.is_some_and(|own| own.contains("while a call is served")), "{ended:?}");
    assert!(runtime.signature("n:greet").is_some());
    Ok(())
}

#[tokio::test]
async fn text_that_is_too_much_for_one_limit_is_refused_before_anything_runs() -> Tested {
    let runtime = load(
        &(caller("text", "text", ", limits: {max_output_bytes: 10}")
            + &wasm("greet", "greet", "greet", "")),
    )?;
    let ended = runtime.call::<String>("n:text", ("n:greet", "12345678901")).await;
    assert_eq!(ended.as_ref().err().map(CallError::kind), Some(ErrorKind::Limit), "{ended:?}");
    assert_eq!(runtime.stats("n:greet").map(|stats| stats.created), Some(0));
    Ok(())
}
