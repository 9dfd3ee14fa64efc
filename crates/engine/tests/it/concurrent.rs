//! Guests with asynchronous functions (WASI 0.3), which run on a separate engine under the same limits and grants.

use std::time::Duration;

use crate::support::{Guest, Tested, soon, stopped};
use crisol_core::ResourceLimit;
use crisol_engine::{Allocation, Failure, Grants, Limits};
use wasmtime::component::Val;

/// Functions of the type `async func`, lifted with a callback: what 0.3 toolchains make. `sleep` blocks in
/// an asynchronous function of the host, `spin` never ends, `grow` insists on memory.
const ASYNC: &str = include_str!("guests/concurrent-async.wat");

#[tokio::test]
async fn an_asynchronous_function_answers_from_a_fresh_instance() -> Tested {
    let guest = Guest::wat(ASYNC, "mul")?;
    assert!(guest.linked.is_concurrent());
    assert_eq!(guest.call(&[Val::S32(6), Val::S32(7)]).await?, Some(Val::S32(42)));
    let guest = guest.method("count")?;
    assert_eq!(guest.call(&[]).await?, Some(Val::S32(1)));
    let mut instance = guest.instance(Limits::default()).await?;
    for count in 1..4 {
        assert_eq!(instance.call(&[], None).await?, Some(Val::S32(count)));
    }
    let sleep = guest.method("sleep")?;
    assert_eq!(sleep.call(&[Val::U64(1_000_000)]).await?, Some(Val::S32(7)));
    let plain = Guest::fixture("compute", "compute", |_| true)?;
    assert!(!plain.linked.is_concurrent(), "what needs no concurrency does not pay for it");
    Ok(())
}

#[tokio::test]
async fn instances_use_pooled_slots_if_available() -> Tested {
    let guest = Guest::pooled(2, ASYNC, "mul")?;
    let both = (guest.instance(Limits::default()).await?, guest.instance(Limits::default()).await?);
    let third = guest.instance(Limits::default()).await;
    assert!(matches!(third, Err(Failure::Exhausted(_))), "{third:?}");
    drop(both);
    assert!(guest.instance(Limits::default()).await.is_ok());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_deadline_stops_a_guest_asleep() -> Tested {
    let sleep = Guest::wat(ASYNC, "sleep")?;
    let mut instance = sleep.instance(Limits::default()).await?;
    let told = stopped(instance.call(&[Val::U64(60_000_000_000)], soon(50)).await)?;
    assert_eq!(told, [Duration::ZERO, Duration::from_millis(50)]);
    assert!(matches!(instance.call(&[Val::U64(0)], None).await, Err(Failure::Host(_))));
    Ok(())
}

#[tokio::test]
async fn a_deadline_stops_a_guest_that_loops() -> Tested {
    let mut instance = Guest::wat(ASYNC, "spin")?.instance(Limits::default()).await?;
    let [running, _] = stopped(instance.call(&[], soon(50)).await)?;
    assert!(!running.is_zero());
    Ok(())
}

#[tokio::test]
async fn limits_and_traps_are_distinct() -> Tested {
    let guest = Guest::wat(ASYNC, "trap")?;
    let trap = guest.call(&[]).await;
    assert!(matches!(trap, Err(Failure::Trap(_))), "{trap:?}");
    let never = guest.method("never")?.call(&[]).await;
    assert!(matches!(never, Err(Failure::Trap(_))), "ended without a result: {never:?}");
    let limits = Limits { max_memory_bytes: 1 << 20, ..Limits::default() };
    let grow = guest.method("grow")?.instance(limits).await?.call(&[], None).await;
    assert!(matches!(grow, Err(Failure::Limit(ResourceLimit::Memory { .. }))), "{grow:?}");
    let deeper = guest.method("deeper")?.call(&[]).await;
    assert!(matches!(deeper, Err(Failure::Limit(ResourceLimit::Stack))), "{deeper:?}");

    let guest = Guest::wat_with_fuel(ASYNC, "spin")?;
    let limits = Limits { max_fuel: Some(10_000), ..Limits::default() };
    let spin = guest.instance(limits).await?.call(&[], soon(3_600_000)).await;
    assert!(matches!(spin, Err(Failure::Limit(ResourceLimit::Fuel { .. }))), "{spin:?}");
    Ok(())
}

#[tokio::test]
async fn ungranted_asynchronous_imports_fail_the_call() -> Tested {
    let guest = Guest::wat(ASYNC, "sleep")?.profile(Grants::default())?;
    let import = guest.linked.imports().first().ok_or("no import")?;
    assert_eq!(import.interface.as_deref(), Some("wasi:clocks/monotonic-clock"));
    match guest.call(&[Val::U64(0)]).await {
        Err(Failure::Denied(denial)) => {
            assert_eq!(denial.interface, "wasi:clocks/monotonic-clock@0.3.0");
            assert_eq!((denial.function.as_str(), denial.offered), ("wait-for", true));
        }
        other => panic!("expected a denial, found {other:?}"),
    }
    let unused = guest.method("mul")?.call(&[Val::S32(6), Val::S32(7)]).await?;
    assert_eq!(unused, Some(Val::S32(42)));
    Ok(())
}

#[tokio::test]
async fn synchronous_functions_of_wasi_0_3_are_linked() -> Tested {
    let text = r#"(component
        (import "wasi:random/random@0.3.4" (instance $random
            (export "get-random-u64" (func (result u64)))))
        (core func $get (canon lower (func $random "get-random-u64")))
        (core module $m (import "" "get" (func $get (result i64)))
            (func (export "f") (result i64) (call $get)))
        (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
        (func (export "f") (result u64) (canon lift (core func $i "f"))))"#;
    let guest = Guest::wat(text, "f")?;
    assert!(guest.linked.is_concurrent());
    assert!(matches!(guest.call(&[]).await?, Some(Val::U64(_))));
    // Random numbers need no grant.
    assert!(matches!(guest.profile(Grants::default())?.call(&[]).await?, Some(Val::U64(_))));
    Ok(())
}

#[tokio::test]
async fn cancelled_calls_leave_the_engine_whole() -> Tested {
    let guest = Guest::pooled(2, ASYNC, "sleep")?;
    for _ in 0..1_000 {
        let mut instance = guest.instance(Limits::default()).await?;
        let args = [Val::U64(60_000_000_000)];
        let call = instance.call(&args, None);
        let given_up =
            tokio::select! { biased; _ = call => false, () = tokio::task::yield_now() => true };
        assert!(given_up);
    }
    let both = (guest.instance(Limits::default()).await?, guest.instance(Limits::default()).await?);
    drop(both);
    assert!(matches!(guest.engine.config().allocation, Allocation::Pooling { .. }));
    Ok(())
}

/// Starts the given number of timers without waiting for them.
const TIMERS: &str = include_str!("guests/timers.wat");

#[tokio::test]
async fn unawaited_tasks_are_bounded() -> Tested {
    let guest = Guest::wat(TIMERS, "f")?;
    assert_eq!(guest.call(&[Val::S32(1_000)]).await?, Some(Val::S32(7)));
    let too_many = guest.call(&[Val::S32(10_000)]).await;
    assert!(matches!(too_many, Err(Failure::Trap(_))), "{too_many:?}");
    Ok(())
}
