//! Calls through the engine with real components, and all their outcomes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::{Guest, Tested, WASI_CLOCK_CALLER, soon, stopped};
use crisol_core::ResourceLimit;
use crisol_engine::{Allocation, Engine, EngineConfig, Failure, Grants, Limits};
use wasmtime::component::Val;
use wasmtime_wasi::{HostMonotonicClock, WasiCtx};

#[tokio::test]
async fn a_function_answers() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (core module $m (func (export "f") (param i32 i32) (result i32)
                (i32.mul (local.get 0) (local.get 1))))
            (core instance $i (instantiate $m))
            (func (export "mul") (param "a" s32) (param "b" s32) (result s32)
                (canon lift (core func $i "f"))))"#,
        "mul",
    )?;
    let result = guest.call(&[Val::S32(6), Val::S32(7)]).await?;
    assert_eq!(result, Some(Val::S32(42)));
    Ok(())
}

#[tokio::test]
async fn memory_lasts_between_calls_of_one_instance_only() -> Tested {
    let guest = Guest::fixture("probe", "count", |_| true)?;
    let mut first = guest.instance(Limits::default()).await?;
    assert_eq!(first.call(&[], None).await?, Some(Val::U32(1)));
    assert_eq!(first.call(&[], None).await?, Some(Val::U32(2)));
    let mut second = guest.instance(Limits::default()).await?;
    assert_eq!(second.call(&[], None).await?, Some(Val::U32(1)));
    assert_eq!(first.calls(), 2);
    Ok(())
}

const LOOPS: &str = r#"(component
    (core module $m (func (export "f") (loop (br 0))))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))"#;

#[tokio::test]
async fn a_guest_that_loops_is_stopped_and_was_running() -> Tested {
    let guest = Guest::wat(LOOPS, "f")?;
    let mut instance = guest.instance(Limits::default()).await?;
    let [running, _] = stopped(instance.call(&[], soon(50)).await)?;
    assert!(!running.is_zero());
    let again = instance.call(&[], None).await;
    assert!(matches!(again, Err(Failure::Host(_))), "a stopped instance never serves again");
    Ok(())
}

#[tokio::test]
async fn a_start_function_that_loops_is_stopped() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (core module $m (func $s (loop (br 0))) (start $s) (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
        "f",
    )?;
    let made = guest.linked.instantiate(crate::support::wasi(), Limits::default(), soon(50)).await;
    assert!(matches!(made, Err(Failure::Deadline { .. })), "{made:?}");
    Ok(())
}

/// A clock on which each reading takes a millisecond of guest time.
struct Slow;

impl HostMonotonicClock for Slow {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let mut passing = pin!(tokio::time::advance(Duration::from_millis(1)));
        // The first poll moves the clock.
        let _ = passing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        0
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_guest_that_computes_is_its_own() -> Tested {
    let reads =
        WASI_CLOCK_CALLER.replace("(call $now))", "(loop (drop (call $now)) (br 0)) unreachable)");
    let guest = Guest::wat(&reads, "f")?;
    let wasi = WasiCtx::builder().monotonic_clock(Slow).build();
    let mut instance = guest.linked.instantiate(wasi, Limits::default(), None).await?;
    let [running, waiting] = stopped(instance.call(&[], soon(50)).await)?;
    assert!(running >= Duration::from_millis(50), "{running:?}");
    assert_eq!(waiting, Duration::ZERO);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_guest_asleep_is_stopped_and_was_waiting() -> Tested {
    let guest = Guest::fixture("sleep-test", "test-sleep#sleep-ms", |_| true)?;
    let mut instance = guest.instance(Limits::default()).await?;
    let told = stopped(instance.call(&[Val::U32(60_000)], soon(50)).await)?;
    assert_eq!(told, [Duration::ZERO, Duration::from_millis(50)]);
    Ok(())
}

#[tokio::test]
async fn past_deadline_stops_a_guest_after_a_tick() -> Tested {
    let guest = Guest::wat(LOOPS, "f")?;
    let mut instance = guest.instance(Limits::default()).await?;
    let past = soon(0).and_then(|now| now.checked_sub(Duration::from_secs(1)));
    assert!(matches!(instance.call(&[], past).await, Err(Failure::Deadline { .. })));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_guests_do_not_block_timers_and_calls() -> Tested {
    let guest = Guest::wat(LOOPS, "f")?;
    let mut endless = Vec::new();
    for _ in 0..2 {
        let mut instance = guest.instance(Limits::default()).await?;
        endless.push(tokio::spawn(async move { instance.call(&[], None).await }));
    }
    let other = Guest::fixture("compute", "compute", |_| false)?;
    let calls = tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            other.call(&[Val::S32(6), Val::S32(7)]).await?;
        }
        Ok::<_, crate::support::Problem>(())
    });
    calls.await??;
    assert!(endless.iter().all(|task| !task.is_finished()));
    endless.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn call_is_still_interrupted_after_engine_drop() -> Tested {
    let guest = Guest::wat(LOOPS, "f")?;
    let mut instance = guest.instance(Limits::default()).await?;
    let call = tokio::spawn(async move { instance.call(&[], soon(50)).await });
    drop(guest);
    assert!(matches!(call.await?, Err(Failure::Deadline { .. })));
    Ok(())
}

#[tokio::test]
async fn memory_growth_fails_at_the_limit() -> Tested {
    let limits = Limits { max_memory_bytes: 8 << 20, ..Limits::default() };
    let guest = Guest::wat(
        r#"(component
            (core module $m (memory 1)
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
                (func (export "insist") (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1))
                    (then unreachable))))
            (core instance $i (instantiate $m))
            (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
            (func (export "insist") (canon lift (core func $i "insist"))))"#,
        "grow",
    )?;
    let mut instance = guest.instance(limits).await?;
    assert_eq!(instance.call(&[Val::U32(100)], None).await?, Some(Val::S32(1)));
    assert_eq!(instance.call(&[Val::U32(100)], None).await?, Some(Val::S32(-1)));

    let mut instance = guest.method("insist")?.instance(limits).await?;
    let wanted = 1001 << 16;
    match instance.call(&[], None).await {
        Err(Failure::Limit(limit)) => {
            assert_eq!(limit, ResourceLimit::Memory { allowed: 8 << 20, wanted });
        }
        other => panic!("expected the memory limit, found {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn refusals_do_not_carry_over_to_the_next_call() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (core module $m (memory 1)
                (func (export "f") (param i32) (result i32)
                    (if (i32.eqz (local.get 0)) (then unreachable))
                    (memory.grow (local.get 0))))
            (core instance $i (instantiate $m))
            (func (export "f") (param "pages" u32) (result s32) (canon lift (core func $i "f"))))"#,
        "f",
    )?;
    let limits = Limits { max_memory_bytes: 1 << 20, ..Limits::default() };
    let mut instance = guest.instance(limits).await?;
    assert_eq!(instance.call(&[Val::U32(100)], None).await?, Some(Val::S32(-1)));
    let trapped = instance.call(&[Val::U32(0)], None).await;
    assert!(matches!(trapped, Err(Failure::Trap(_))), "{trapped:?}");
    Ok(())
}

#[tokio::test]
async fn initial_memory_over_the_limit_is_refused() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (core module $m (memory 100) (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
        "f",
    )?;
    let limits = Limits { max_memory_bytes: 1 << 20, ..Limits::default() };
    let made = guest.instance(limits).await;
    assert!(matches!(made, Err(Failure::Limit(ResourceLimit::Memory { .. }))), "{made:?}");
    Ok(())
}

#[tokio::test]
async fn fuel_runs_out() -> Tested {
    let guest = Guest::wat_with_fuel(LOOPS, "f")?;
    let limits = Limits { max_fuel: Some(10_000), ..Limits::default() };
    let mut instance = guest.instance(limits).await?;
    let called = instance.call(&[], soon(3_600_000)).await;
    assert!(
        matches!(called, Err(Failure::Limit(ResourceLimit::Fuel { allowed: 10_000 }))),
        "{called:?}"
    );
    Ok(())
}

const GIVES_BYTES: &str = r#"(component
    (core module $m (memory (export "memory") 200)
        (func (export "f") (param i32) (result i32)
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (local.get 0))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "f") (param "n" u32) (result (list u8))
        (canon lift (core func $i "f") (memory $i "memory"))))"#;

#[tokio::test]
async fn output_limit_is_inclusive() -> Tested {
    let guest = Guest::wat(GIVES_BYTES, "f")?;
    let limits = Limits { max_output_bytes: 1000, ..Limits::default() };
    let mut instance = guest.instance(limits).await?;
    assert!(instance.call(&[Val::U32(1000)], None).await.is_ok());
    for (size, why) in [(1001, "counted"), (10_000_000, "refused by wasmtime before it is built")] {
        let mut instance = guest.instance(limits).await?;
        let called = instance.call(&[Val::U32(size)], None).await;
        assert!(
            matches!(called, Err(Failure::Limit(ResourceLimit::Output { allowed: 1000 }))),
            "{why}: {called:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn endless_recursion_is_the_stack_limit() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (core module $m (func $f (export "f") (call $f)))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
        "f",
    )?;
    let called = guest.instance(Limits::default()).await?.call(&[], None).await;
    assert!(matches!(called, Err(Failure::Limit(ResourceLimit::Stack))), "{called:?}");
    Ok(())
}

#[tokio::test]
async fn a_trap_is_a_trap_and_an_exit_an_exit() -> Tested {
    let trap = Guest::wat(
        r#"(component
            (core module $m (func $inner unreachable) (func (export "f") (call $inner)))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
        "f",
    )?;
    match trap.instance(Limits::default()).await?.call(&[], None).await {
        Err(Failure::Trap(error)) => assert!(format!("{error:?}").contains("inner"), "{error:?}"),
        other => panic!("expected a trap, found {other:?}"),
    }
    let exit = Guest::fixture("probe", "exit-with", |_| true)?;
    let called = exit.instance(Limits::default()).await?.call(&[Val::U8(1)], None).await;
    assert!(matches!(called, Err(Failure::Exited(1))), "{called:?}");
    Ok(())
}

#[tokio::test]
async fn an_import_that_is_not_granted_fails_the_call_that_uses_it() -> Tested {
    let unused = Guest::fixture("compute", "compute", |_| false)?;
    assert_eq!(unused.call(&[Val::S32(6), Val::S32(7)]).await?, Some(Val::S32(42)));
    let called = unused
        .instance(Limits::default())
        .await?
        .call(&[Val::S32(i32::MAX), Val::S32(2)], None)
        .await;
    match called {
        Err(Failure::Denied(denial)) => {
            assert_eq!(denial.interface, "test:minimal/host@0.1.0");
            assert_eq!((denial.function.as_str(), denial.offered), ("log", false));
        }
        other => panic!("expected a denial, found {other:?}"),
    }

    // A clock without a grant stands still, so nothing waits for it.
    let clock = Guest::wat(WASI_CLOCK_CALLER, "f")?.profile(Grants::default())?;
    assert_eq!(clock.call(&[]).await?, Some(Val::U64(0)));
    let import = clock.linked.imports().first().ok_or("no import")?;
    assert!(!import.granted && !import.may_fail(), "{import:?}");
    let sleep = Guest::fixture("sleep-test", "test-sleep#sleep-ms", |_| false)?;
    match sleep.call(&[Val::U32(1)]).await {
        Err(Failure::Denied(denial)) => {
            assert!(denial.interface.starts_with("wasi:clocks/monotonic-clock@"), "{denial:?}");
            assert!(denial.offered && denial.function.starts_with("subscribe"), "{denial:?}");
        }
        other => panic!("expected a denial, found {other:?}"),
    }
    let granted = clock.profile(Grants::select(|name| name == "wasi:clocks/monotonic-clock"))?;
    assert!(matches!(granted.call(&[]).await?, Some(Val::U64(_))));
    Ok(())
}

#[tokio::test]
async fn denied_interfaces_keep_shared_resource_types() -> Tested {
    // `read-file` takes a folder from `wasi:filesystem/preopens` and opens a file through `wasi:filesystem/types`.
    let guest = Guest::fixture("probe", "read-file", |name| name == "wasi:filesystem/preopens")?;
    let dir = tempfile::tempdir()?;
    let mut wasi = WasiCtx::builder();
    wasi.preopened_dir(dir.path(), "/", wasmtime_wasi::FsPerms::ReadOnly)?;
    let mut instance = guest.linked.instantiate(wasi.build(), Limits::default(), None).await?;
    match instance.call(&[Val::String("/x".to_owned())], None).await {
        Err(Failure::Denied(denial)) => {
            assert!(denial.interface.starts_with("wasi:filesystem/types@"), "{denial:?}");
        }
        other => panic!("expected a denial, found {other:?}"),
    }
    Ok(())
}

/// A component that imports an interface with one host function and one unknown function.
fn with_an_unknown_function() -> String {
    WASI_CLOCK_CALLER
        .replace(
            r#"(export "now" (func (result $instant)))"#,
            r#"(export "now" (func (result $instant))) (export "later" (func (result $instant)))"#,
        )
        .replace(
            r#"(core module $m"#,
            r#"(core func $later (canon lower (func $clock "later")))
            (core module $n (import "c" "later" (func $later (result i64)))
                (func (export "f") (result i64) (call $later)))
            (core instance $j (instantiate $n (with "c" (instance (export "later" (func $later))))))
            (func (export "g") (result u64) (canon lift (core func $j "f")))
            (core module $m"#,
        )
}

#[tokio::test]
async fn unknown_functions_of_a_granted_interface_fail_calls() -> Tested {
    let guest = Guest::wat(&with_an_unknown_function(), "f")?;
    assert!(matches!(guest.call(&[]).await?, Some(Val::U64(_))));
    let import = guest.linked.imports().first().ok_or("no import")?;
    assert_eq!((import.denied.len(), import.missing.as_slice()), (0, &["later".to_owned()][..]));
    for profile in [Grants::select(|_| true), Grants::default()] {
        match guest.method("g")?.profile(profile)?.call(&[]).await {
            Err(Failure::Denied(denial)) => {
                assert_eq!((denial.function.as_str(), denial.offered), ("later", false));
            }
            other => panic!("expected a denial, found {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn ungranted_guests_may_only_print_and_exit() -> Tested {
    let guest = Guest::fixture("probe", "all-env", |_| false)?;
    let secret = || WasiCtx::builder().env("A", "1").arg("b").build();
    for method in ["all-env", "args"] {
        let guest = guest.method(method)?;
        let mut instance = guest.linked.instantiate(secret(), Limits::default(), None).await?;
        assert_eq!(instance.call(&[], None).await?, Some(Val::List(Vec::new())), "{method}");
    }
    let text = |text: &str| Val::String(text.to_owned());
    guest.method("print")?.call(&[text("out"), text("err")]).await?;
    let missing = guest.method("read-file")?.call(&[text("/etc/passwd")]).await?;
    assert!(matches!(missing, Some(Val::Result(Err(_)))), "its own error: {missing:?}");
    let exit = guest.method("exit-with")?.call(&[Val::U8(1)]).await;
    assert!(matches!(exit, Err(Failure::Exited(1))), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn one_large_frame_is_not_reported_as_recursion() -> Tested {
    let all = |one: &dyn Fn(usize) -> String| (0..4_000).map(one).collect::<String>();
    let load = all(&|at| format!("(local.set {at} (v128.load (i32.const {})))", at * 16));
    let store = all(&|at| format!("(v128.store (i32.const {}) (local.get {at}))", at * 16));
    let text = format!(
        r#"(component
            (core module $m (memory 1)
                (func $large (local {}) {load} (memory.fill (i32.const 0) (i32.const 1) (i32.const 9)) {store})
                (func (export "f") (call $large)))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#,
        "v128 ".repeat(4_000)
    );
    let (allocation, max_wasm_stack) = (Allocation::OnDemand, 32 << 10);
    let config = EngineConfig { allocation, max_wasm_stack, ..EngineConfig::default() };
    let engine = Engine::new(config)?;
    let compiled = engine.compile(&wat::parse_str(text)?, false)?;
    let linked = engine.link(&compiled, &Grants::default(), "f")?;
    let mut instance = linked.instantiate(crate::support::wasi(), Limits::default(), None).await?;
    match instance.call(&[], None).await {
        Err(Failure::Trap(trapped)) => assert_eq!(trapped.reason(), "call stack exhausted"),
        other => panic!("expected a trap, found {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_thousand_cancelled_calls_leave_the_engine_whole() -> Tested {
    let guest = Guest::pooled(2, LOOPS, "f")?;
    for _ in 0..1_000 {
        let mut instance = guest.instance(Limits::default()).await?;
        let mut call = Box::pin(instance.call(&[], None));
        // The first poll runs the guest until it first gives way; the drop then cancels it.
        assert!(poll_once(call.as_mut()).await.is_none());
        drop(call);
    }
    let both = (guest.instance(Limits::default()).await?, guest.instance(Limits::default()).await?);
    let third = guest.instance(Limits::default()).await;
    assert!(matches!(third, Err(Failure::Exhausted(_))), "{third:?}");
    drop(both);
    assert!(guest.instance(Limits::default()).await.is_ok());
    Ok(())
}

async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
