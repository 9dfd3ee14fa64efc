//! Apps with hostile code: it is reported, and other functions continue to work.

use std::time::Duration;

use crisol::engine::{Allocation, CodeLimits, EngineConfig};
use crisol::error::ErrorDetails;
use crisol::{CallError, ErrorKind, LoadError, Runtime};

use crate::support::{AppBuilder, Tested};

/// Builds an entry `name` with WAT text and further fields.
fn wat(name: &str, source: &str, more: &str) -> String {
    let source = source.replace('\n', " ");
    format!("  - {{name: {name}, kind: function.wat, method: f, source: '{source}'{more}}}\n")
}

fn load_with(entries: &str, engine: EngineConfig) -> Result<Runtime, LoadError> {
    AppBuilder::new("n").entries(entries).builder().engine(engine).load()
}

fn config() -> EngineConfig {
    EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() }
}

fn load(entries: &str) -> Result<Runtime, LoadError> {
    AppBuilder::new("n").entries(entries).load()
}

const ANSWERS: &str = r#"(module (func (export "f") (result i32) (i32.const 42)))"#;

#[tokio::test]
async fn limit_errors_name_the_entry_the_value_and_the_field() -> Tested {
    let list = r#"(module (memory (export "memory") 1) (func (export "f") (result i32)
        (i32.store (i32.const 4) (i32.const 5000)) (i32.const 0)))"#;
    let grow = r#"(module (memory 1) (func (export "f")
        (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))))"#;
    let table = r#"(module (table 1 funcref) (func (export "f")
        (if (i32.eq (table.grow (ref.null func) (i32.const 100000)) (i32.const -1)) (then unreachable))))"#;
    let spin = r#"(module (func (export "f") (loop (br 0))))"#;
    let deep = r#"(module (func $f (export "f") (call $f)))"#;
    let runtime = load(
        &(wat("memory", grow, ", limits: {max_memory_bytes: 1048576}")
            + &wat("table", table, "")
            + &wat("fuel", spin, ", limits: {max_fuel: 5000}")
            + &wat(
                "output",
                list,
                ", limits: {max_output_bytes: 1000}, wit: 'f: func() -> list<u8>;'",
            )
            + &wat("stack", deep, "")),
    )?;
    let mut texts = String::new();
    for name in ["memory", "table", "fuel", "output", "stack"] {
        let error = runtime.call_values(&format!("n:{name}"), Vec::new()).await.err();
        let error = error.ok_or("it answered")?;
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        texts += &format!("{error}\n");
    }
    let expected = r"
        `n:memory` exceeded `limits.max_memory_bytes` of 1048576 (the guest asked for 6619136 in all)
        `n:table` exceeded the limit of 100000 table elements (the guest asked for 100001 in all)
        `n:fuel` exceeded `limits.max_fuel` of 5000
        `n:output` exceeded `limits.max_output_bytes` of 1000
        `n:stack` exceeded its stack (endless recursion?)";
    let expected: Vec<_> = expected.lines().skip(1).map(str::trim).collect();
    assert_eq!(texts.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

#[tokio::test]
async fn engine_without_free_instances_is_reported_with_a_fix() -> Tested {
    let allocation = Allocation::Pooling { instances: 1 };
    let spin = r#"(module (func (export "f") (loop (br 0))))"#;
    let entries = wat("spin", spin, "") + &wat("answers", ANSWERS, "");
    let runtime = load_with(&entries, EngineConfig { allocation, ..config() })?;
    let spins = runtime.call::<()>("n:spin", ());
    let answer = tokio::select! {
        biased;
        ended = spins => return Err(format!("{ended:?}").into()),
        answer = async {
            tokio::task::yield_now().await;
            runtime.call::<i32>("n:answers", ()).await
        } => answer,
    };
    assert_eq!(
        answer.err().ok_or("it answered")?.to_string(),
        "`n:answers` found all 1 instances of the engine in use: start with more (`--instances`), or lower the pools' sizes"
    );
    Ok(())
}

/// Returns the problems of an app with this single entry.
fn problems(entry: &str, engine: EngineConfig) -> Tested<String> {
    match load_with(entry, engine) {
        Err(LoadError::App(problems)) => Ok(problems.to_string()),
        other => Err(format!("expected problems, found {other:?}").into()),
    }
}

#[test]
fn oversized_code_is_reported_at_its_entry_with_a_fix() -> Tested {
    let tight = |code| EngineConfig { code, ..config() };
    let core = CodeLimits { max_bytes: 20, ..CodeLimits::default() };
    let twice = |inner: &str, at: usize| {
        let made = format!("(instance (instantiate $c{at}))").repeat(2);
        format!("(component $c{} {inner} {made})", at + 1)
    };
    let doubled = (0..30).fold("(component $c0)".to_owned(), |inner, at| twice(&inner, at));
    let doubled = format!("(component {doubled})");
    for (source, engine, expected) in [
        (ANSWERS, tight(core), "bytes, and the engine's limit is 20"),
        (
            &*doubled,
            config(),
            "parts when all in it is instantiated, and the engine's limit is 1000000",
        ),
    ] {
        let text = problems(&wat("f", source, ""), engine)?;
        assert!(text.contains(expected) && text.contains("`n:f`"), "{text}");
        assert!(text.contains("build it smaller: "), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn failed_warm_start_is_reported_and_other_functions_serve() -> Tested {
    let start = |body: &str| {
        format!(r#"(module (memory 1) (func $s {body}) (start $s) (func (export "f")))"#)
    };
    let pool =
        ", pool: {type: static, workers: 2, warm_start: true}, limits: {max_memory_bytes: 1048576}";
    let grows = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    for (body, kind) in [("unreachable", ErrorKind::Trap), (grows, ErrorKind::Limit)] {
        let runtime = load(&(wat("bad", &start(body), pool) + &wat("good", ANSWERS, "")))?;
        let error = runtime.warm().await.err().ok_or("it was made")?;
        assert!(error.to_string().contains("`n:bad`") && error.kind() == kind, "{error}");
        assert_eq!(runtime.call::<i32>("n:good", ()).await?, 42);
    }
    let endless = load(&(wat("bad", &start("(loop (br 0))"), pool) + &wat("good", ANSWERS, "")))?;
    tokio::select! {
        biased;
        made = endless.warm() => return Err(format!("{made:?}").into()),
        answer = endless.call::<i32>("n:good", ()) => assert_eq!(answer?, 42),
    }
    Ok(())
}

/// A guest's author chooses the names of its functions, and a trap shows them.
#[tokio::test]
async fn function_names_are_escaped_in_output() -> Tested {
    let evil = "(module (func $\"a\\1b[2J\\0aERROR all is lost\\0d\\c2\\9b\" unreachable) (func (export \"f\") (call 0)))";
    let runtime = load(&wat("f", evil, ""))?;
    let error = runtime.call::<()>("n:f", ()).await.err().ok_or("it answered")?;
    assert_eq!(error.kind(), ErrorKind::Trap);
    let text = error.cause().ok_or("no cause")?.to_string();
    assert!(text.contains("[2J") && text.contains("ERROR all is lost"), "{text:?}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(text.lines().all(|line| !line.starts_with("ERROR")), "{text:?}");
    Ok(())
}

/// The time limit of a function covers the start function of a new instance too.
#[tokio::test]
async fn endless_start_function_ends_at_the_call_limit() -> Tested {
    let endless = r#"(module (func $s (loop (br 0))) (start $s) (func (export "f")))"#;
    let runtime = load(&wat("f", endless, ", limits: {max_execution_ms: 50}"))?;
    let ended = runtime.call::<()>("n:f", ()).await;
    match ended.as_ref().map_err(CallError::details) {
        Err(ErrorDetails::Deadline { limit, spent }) => {
            assert_eq!(*limit, Some(Duration::from_millis(50)));
            assert!(spent.queue.is_zero() && spent.host.is_zero(), "{spent:?}");
            assert!(!spent.guest.is_zero(), "{spent:?}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}
