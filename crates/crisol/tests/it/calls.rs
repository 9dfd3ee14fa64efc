//! Calls from Rust (typed, dynamic, through `Invoke`), and the limits and deadlines that an app sets for them.

use std::time::Duration;

use crisol::error::{ErrorDetails, Overload};
use crisol::{
    Args, CallContext, CallError, Caller, EntryId, ErrorKind, Invoke, LoadError, Runtime, Value,
};
use serde::{Deserialize, Serialize};

use crate::support::{HOUR, Tested, an_hour_late, load, wasm, within};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    id: u32,
    display: String,
    tag_count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct User {
    id: u32,
    name: String,
    tags: Vec<String>,
    active: bool,
}

#[tokio::test]
async fn rust_types_go_in_and_come_out() -> Tested {
    let runtime = load(
        &(wasm("compute", "compute", "compute", "")
            + &wasm("filter", "mapper", "filter-active", "")
            + &wasm("fail", "probe", "fail", "")),
    )?;
    assert_eq!(runtime.call::<i32>("myns:compute", (6, 7)).await?, 42);
    assert_eq!(runtime.call::<i64>("myns:compute", [6, 7]).await?, 42);

    let user =
        |id: u32, active| User { id, name: format!("u{id}"), tags: vec!["t".into()], active };
    let users = vec![user(1, true), user(2, false), user(3, true)];
    let active: Vec<Shown> = runtime.call("myns:filter", (&users,)).await?;
    let shown = |id: u32| Shown { id, display: format!("u{id} [t]"), tag_count: 1 };
    assert_eq!(active, [shown(1), shown(3)]);

    let failed = runtime.call::<String>("myns:fail", ("no luck",)).await;
    let own = failed.as_ref().err().and_then(CallError::function_error);
    assert_eq!(own.and_then(|own| own.get("message")), Some(&Value::from("no luck")), "{failed:?}");
    let wrong = runtime.call::<String>("myns:compute", (6, 7)).await;
    assert!(
        matches!(wrong.as_ref().map_err(CallError::details), Err(ErrorDetails::UnexpectedResult)),
        "{wrong:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_command_that_exits_with_0_has_succeeded() -> Tested {
    let exiting = |name: &str, method: &str, code: u8| {
        format!(
            "  - {{name: {name}, kind: function.wat, method: {method}, source: '(module
                (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
                (func (export \"_start\") (call $exit (i32.const {code})))
                (func (export \"leave\") (call $exit (i32.const {code}))))'}}\n"
        )
    };
    let runtime = load(
        &(exiting("good", "_start", 0)
            + &exiting("bad", "_start", 3)
            + &exiting("leaves", "leave", 0)),
    )?;
    runtime.call::<()>("myns:good", ()).await?;
    let bad = runtime.call::<()>("myns:bad", ()).await;
    assert!(
        matches!(bad.as_ref().map_err(CallError::details), Err(ErrorDetails::Exited { code: 3 })),
        "{bad:?}"
    );
    let component = load(
        "  - name: good\n    kind: function.wat\n    method: run\n    source: |\n      (component
        (import \"wasi:cli/exit@0.2.3\" (instance $exit
          (export \"exit\" (func (param \"status\" (result))))))
        (core func $exit (canon lower (func $exit \"exit\")))
        (core module $m (import \"\" \"exit\" (func $exit (param i32)))
          (func (export \"run\") (result i32) (call $exit (i32.const 0)) (i32.const 1)))
        (core instance $i (instantiate $m (with \"\" (instance (export \"exit\" (func $exit))))))
        (func $run (result (result)) (canon lift (core func $i \"run\")))
        (instance $r (export \"run\" (func $run)))
        (export \"wasi:cli/run@0.2.3\" (instance $r)))\n",
    )?;
    component.call::<()>("myns:good", ()).await?;
    // In any other function an exit is a failure, even with code 0: the function has not returned.
    let leaves = runtime.call::<()>("myns:leaves", ()).await;
    assert!(
        matches!(
            leaves.as_ref().map_err(CallError::details),
            Err(ErrorDetails::Exited { code: 0 })
        ),
        "{leaves:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_edge_calls_with_text_and_writes_text() -> Tested {
    let runtime = load(&wasm("compute", "compute", "compute", ""))?;
    let edge: &dyn Invoke = &runtime;
    let id: EntryId = "myns:compute".parse()?;
    let reply =
        edge.invoke(&id, CallContext::new(Caller::Http), Args::json(&b"[6, 7]"[..])).await?;
    let mut text = Vec::new();
    reply.write_json(&mut text)?;
    assert_eq!(text, b"42");
    let signature = edge.signature(&id).map(|signature| signature.to_string());
    assert_eq!(signature.as_deref(), Some("func(a: s32, b: s32) -> s32"));
    let dynamic = runtime.call_values("myns:compute", vec![Value::Int(6), Value::Int(7)]).await?;
    assert_eq!(dynamic, Value::Int(42));
    Ok(())
}

#[tokio::test]
async fn every_call_sees_a_fresh_instance_in_every_pool() -> Tested {
    let pools = [
        ("inline", "{type: inline}"),
        ("lazy", "{type: lazy}"),
        ("static", "{type: static, workers: 2, size: 3}"),
        ("adaptive", "{type: adaptive, max_size: 4, warm_start: true}"),
    ];
    let entries: String = pools
        .iter()
        .map(|(name, pool)| wasm(name, "probe", "count", &format!(", pool: {pool}")))
        .collect();
    let reused = ", pool: {type: static, workers: 1, max_instance_reuse: 3}";
    let runtime = load(&(entries + &wasm("reused", "probe", "count", reused)))?;
    for (name, _) in pools {
        for _ in 0..5 {
            assert_eq!(runtime.call::<u32>(&format!("myns:{name}"), ()).await?, 1, "{name}");
        }
    }
    let mut counts = Vec::new();
    for _ in 0..7 {
        counts.push(runtime.call::<u32>("myns:reused", ()).await?);
    }
    assert_eq!(counts, [1, 2, 3, 1, 2, 3, 1]);
    Ok(())
}

#[tokio::test]
async fn a_failed_instance_never_serves_again() -> Tested {
    let pool = ", pool: {type: static, workers: 1, max_instance_reuse: 100}";
    let runtime = load(&wasm("trap", "probe", "trap-now", pool))?;
    for _ in 0..3 {
        let failed = runtime.call::<()>("myns:trap", ()).await;
        assert_eq!(failed.err().map(|error| error.kind()), Some(ErrorKind::Trap));
    }
    Ok(())
}

#[tokio::test]
async fn the_earlier_of_two_deadlines_counts_and_the_error_says_which() -> Tested {
    let runtime = load(&wasm("spin", "probe", "spin", ", limits: {max_execution_ms: 100}"))?;
    let own = runtime.call::<()>("myns:spin", ()).await;
    match own.as_ref().map_err(CallError::details) {
        Err(ErrorDetails::Deadline { limit, spent }) => {
            assert_eq!(*limit, Some(Duration::from_millis(100)));
            assert!(spent.queue.is_zero() && !spent.guest.is_zero(), "{spent:?}");
        }
        other => panic!("expected a deadline, found {other:?}"),
    }
    let soon = within(Duration::from_millis(20));
    let context = CallContext::new(Caller::Rust).with_deadline(soon);
    let inherited = runtime.invoke(&"myns:spin".parse()?, context, Args::none()).await;
    assert!(
        matches!(
            inherited.as_ref().map_err(CallError::details),
            Err(ErrorDetails::Deadline { limit: None, .. })
        ),
        "{inherited:?}"
    );
    Ok(())
}

#[tokio::test]
async fn waiting_is_bounded_and_counts_against_the_deadline() -> Tested {
    let slow = ", pool: {type: inline, buffer: 1}, limits: {max_execution_ms: 3600000}";
    let runtime = load(&wasm("spin", "probe", "spin", slow))?;
    let call = || runtime.call::<()>("myns:spin", ());
    let calls = async { tokio::join!(call(), call(), call()) };
    let refused = || runtime.stats("myns:spin").is_some_and(|stats| stats.saturated == 1);
    let (first, second, third) = an_hour_late(calls, refused).await;
    assert!(
        matches!(
            third.as_ref().map_err(CallError::details),
            Err(ErrorDetails::Saturated(Overload::Queue { waiting: 1 }))
        ),
        "{third:?}"
    );
    assert!(
        matches!(first.as_ref().map_err(CallError::details), Err(ErrorDetails::Deadline { .. })),
        "{first:?}"
    );
    match second.as_ref().map_err(CallError::details) {
        Err(ErrorDetails::Deadline { spent, .. }) => assert!(spent.queue >= HOUR, "{spent:?}"),
        other => panic!("expected a deadline, found {other:?}"),
    }
    Ok(())
}

/// Component that sleeps for a minute before its first call, and again in each call.
const SLEEPER: &str = include_str!("guests/sleeper.wat");

/// Loads an app of the sleeper with a limit.
fn sleeper(limit: Duration) -> Tested<Runtime> {
    Ok(load(&format!(
        "  - {{name: f, kind: function.wat, source: '{}', method: f, imports: ['wasi:clocks', 'wasi:io'], limits: {{max_execution_ms: {}}}}}\n",
        SLEEPER.replace('\n', " ").replace('\'', "''"),
        limit.as_millis()
    ))?)
}

/// The spent times cover the whole call: waiting in host functions is host time, creating an instance is guest time.
#[tokio::test(start_paused = true)]
async fn spent_times_add_up_to_the_limit() -> Tested {
    let second = Duration::from_secs(1);
    for (limit, guest, host) in [(40, 40, 0), (100, 60, 40)] {
        let ended = sleeper(limit * second)?.call::<()>("myns:f", ()).await;
        match ended.as_ref().map_err(CallError::details) {
            Err(ErrorDetails::Deadline { spent, .. }) => {
                let told = (spent.queue, spent.guest, spent.host);
                assert_eq!(told, (Duration::ZERO, guest * second, host * second));
            }
            other => panic!("expected a deadline, found {other:?}"),
        }
    }
    assert!(sleeper(121 * second)?.call::<()>("myns:f", ()).await.is_ok());
    Ok(())
}

/// A guest that computes before its first call stops at the deadline, like one that sleeps.
#[tokio::test]
async fn instantiation_counts_as_guest_time() -> Tested {
    let starts = r#"(module (func $s (loop (br 0))) (start $s) (func (export "f")))"#;
    let runtime = load(&format!(
        "  - {{name: starts, kind: function.wat, source: '{starts}', method: f, limits: {{max_execution_ms: 3600000}}}}\n"
    ))?;
    let busy = || runtime.stats("myns:starts").is_some_and(|stats| stats.busy == 1);
    let ended = an_hour_late(runtime.call::<()>("myns:starts", ()), busy).await;
    match ended.as_ref().map_err(CallError::details) {
        Err(ErrorDetails::Deadline { spent, .. }) => {
            assert!(spent.guest > HOUR / 2, "{spent:?}");
            assert!(spent.host.is_zero() && spent.queue.is_zero(), "{spent:?}");
        }
        other => panic!("expected a deadline, found {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_waits_for_itself_is_refused_with_its_chain() -> Tested {
    let runtime = load(&wasm("spin", "probe", "spin", ", pool: {type: inline}"))?;
    let id: EntryId = "myns:spin".parse()?;
    let context = CallContext::new(Caller::Guest).nested(id.clone()).nested("myns:b".parse()?);
    // The outer call holds the only worker; the inner call carries it in its chain.
    let outer = runtime.call::<()>("myns:spin", ());
    let inner = runtime.invoke(&id, context, Args::none());
    let refused = tokio::select! {
        biased;
        ended = outer => panic!("the outer call ended: {ended:?}"),
        refused = inner => refused,
    };
    match refused.as_ref().map_err(CallError::details) {
        Err(ErrorDetails::WouldDeadlock { chain }) => {
            let chain: Vec<_> = chain.iter().map(EntryId::as_str).collect();
            assert_eq!(chain, ["myns:b", "myns:spin"]);
        }
        other => panic!("expected a deadlock, found {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_of_calls_has_an_end() -> Tested {
    let runtime = load(&wasm("count", "probe", "count", ""))?;
    let id: EntryId = "myns:count".parse()?;
    let below =
        |depth| (0..depth).fold(CallContext::new(Caller::Guest), |cx, _| cx.nested(id.clone()));
    assert!(runtime.invoke(&id, below(64), Args::none()).await.is_ok());
    let refused = runtime.invoke(&id, below(65), Args::none()).await;
    assert!(
        matches!(
            refused.as_ref().map_err(CallError::details),
            Err(ErrorDetails::TooDeep { allowed: 64 })
        ),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_warm_start_makes_instances_before_the_first_call() -> Tested {
    let pool = ", pool: {type: static, workers: 1, size: 2, warm_start: true}";
    let runtime = load(&wasm("count", "probe", "count", pool))?;
    let made = |runtime: &Runtime| runtime.stats("myns:count").map(|stats| stats.created);
    assert_eq!(made(&runtime), Some(0));
    runtime.warm().await?;
    assert_eq!(made(&runtime), Some(2));
    Ok(())
}

#[test]
fn an_app_with_a_problem_is_not_served_in_part() -> Tested {
    let good = wasm("compute", "compute", "compute", "");
    let bad = wasm("bad", "compute", "nothing", "");
    let error = load(&(good + &bad)).err().ok_or("it loaded")?;
    match error {
        LoadError::App(problems) => assert_eq!(problems.errors(), 1, "{problems}"),
        other => panic!("expected problems, found {other:?}"),
    }
    Ok(())
}

/// Entry whose function counts the bytes of its argument.
const SUM: &str = "  - name: sum\n    kind: function.wat\n    method: sum\n    wit: 'sum: func(bytes: list<u8>) -> u32;'\n    \
    source: |\n      (module (memory (export \"memory\") 64)\n        \
    (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 64))\n        \
    (func (export \"sum\") (param i32 i32) (result i32) (local.get 1)))\n";

/// The deadline starts with the call. If parsing its text takes longer, the call does not reach the guest.
#[tokio::test]
async fn deadline_covers_parsing_of_long_text() -> Tested {
    let runtime = load(&format!("{SUM}    limits: {{max_execution_ms: 1}}\n"))?;
    let text = format!("[[{}1]]", "1,".repeat(3_000_000));
    let args = Args::json(text.into_bytes());
    let late = runtime.invoke(&"myns:sum".parse()?, CallContext::new(Caller::Http), args).await;
    let Err(ErrorDetails::Deadline { limit, spent }) = late.as_ref().map_err(CallError::details)
    else {
        return Err(format!("expected a deadline, found {late:?}").into());
    };
    assert_eq!(*limit, Some(Duration::from_millis(1)));
    assert!(spent.guest.is_zero() && !spent.host.is_zero(), "{spent:?}");
    Ok(())
}

/// Long text is parsed on a blocking thread, with the same result as short text.
#[tokio::test]
async fn long_text_does_not_block_other_tasks() -> Tested {
    let runtime = load(SUM)?;
    let id: EntryId = "myns:sum".parse()?;
    let call = |text: String| {
        let (runtime, id) = (runtime.clone(), id.clone());
        async move {
            let args = Args::json(text.into_bytes());
            runtime.invoke(&id, CallContext::new(Caller::Http), args).await
        }
    };
    let numbers = "1,".repeat(200_000);
    // The runtime has one thread: if it parsed the text, the other task could not run before the call ends.
    let ran = std::cell::Cell::new(false);
    let other = async { ran.set(true) };
    let called = async {
        let reply = call(format!("[[{numbers}1]]")).await;
        (reply, ran.get())
    };
    let ((reply, ran), ()) = tokio::join!(called, other);
    assert_eq!(reply?.to_value()?, Value::Int(200_001));
    assert!(ran);
    let refused =
        call(format!("[[{numbers}300]]")).await.map(drop).map_err(|error| error.to_string());
    let said = "argument 1 (bytes)[200000]: expected u8 (0 to 255), found number 300";
    assert!(refused.as_ref().is_err_and(|error| error.contains(said)), "{refused:?}");
    Ok(())
}
