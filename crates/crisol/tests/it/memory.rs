//! The shared memory limit of all instances and scripts, with functions of every kind.

use crate::support::{AppBuilder, Problem, Tested, lua};
use crisol::engine::MaxMemory;
use crisol::error::{ErrorDetails, Overload};
use crisol::pool::Retired;
use crisol::{CallError, ErrorKind, Runtime};

const MIB: u64 = 1 << 20;

/// Guest with two functions: `grow` adds 64 KiB pages and returns the previous number; `hold` grows and then loops
/// endlessly.
const GUEST: &str = "(module (memory (export \"memory\") 1) \
    (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))) \
    (func (export \"hold\") (param i32) (result i32) (drop (memory.grow (local.get 0))) (loop (br 0)) unreachable))";

/// Guest whose instances begin with 20 MiB.
const LARGE: &str = "(module (memory 320) (func (export \"f\") (result i32) i32.const 1))";

fn wat(name: &str, method: &str, more: &str) -> String {
    format!("  - {{name: {name}, kind: function.wat, method: {method}{more}, source: {GUEST:?}}}\n")
}

fn load(mib: u64, entries: &str) -> Tested<Runtime> {
    let memory = MaxMemory::Bytes(mib * MIB);
    Ok(AppBuilder::new("myns").entries(entries).builder().memory(memory).load()?)
}

fn used(runtime: &Runtime) -> u64 {
    let snapshot = runtime.snapshot();
    assert!(snapshot.memory_used <= snapshot.memory_limit, "{snapshot:?}");
    snapshot.memory_used
}

/// Waits until the used memory is as wanted. The runtime sends no notifications, so it polls.
async fn until_used(runtime: &Runtime, wanted: impl Fn(u64) -> bool) -> Tested {
    let reached = async {
        while !wanted(used(runtime)) {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    let reached = tokio::time::timeout(limit, reached).await;
    reached.map_err(|_| Problem::from(format!("{} bytes are used", used(runtime))))
}

async fn grow(runtime: &Runtime, id: &str, mib: i32) -> Result<i32, CallError> {
    runtime.call(id, (mib * 16,)).await
}

fn was_running(error: &CallError) -> bool {
    matches!(error.details(), ErrorDetails::Saturated(Overload::MemoryWhileRunning(_)))
}

#[tokio::test]
async fn calls_over_the_shared_memory_limit_are_saturated() -> Tested {
    let hour = ", limits: {max_execution_ms: 3600000}";
    let hog = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end";
    let runtime = load(
        64,
        &[
            wat("hold", "hold", hour),
            wat("grow", "grow", hour),
            lua("hog", hog, hour),
            lua("small", "return 1", hour),
            format!("  - {{name: large, kind: function.wat, method: f, source: {LARGE:?}}}\n"),
        ]
        .concat(),
    )?;
    assert_eq!(used(&runtime), 0);
    let held: Vec<_> = (0..5)
        .map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move { grow(&runtime, "myns:hold", 10).await })
        })
        .collect();
    until_used(&runtime, |used| used > 50 * MIB).await?;
    let beyond = grow(&runtime, "myns:grow", 20).await;
    let Err(error) = beyond else { return Err("there was room".into()) };
    assert!(was_running(&error) && error.kind() == ErrorKind::Saturated, "{error}");
    let text = error.to_string();
    let over = "`myns:grow` is saturated: 20";
    assert!(text.starts_with(over) && text.contains("`--memory`"), "{text}");
    let script = runtime.call::<i32>("myns:hog", ()).await;
    assert!(script.as_ref().is_err_and(was_running), "{script:?}");
    let created = runtime.call::<i32>("myns:large", ()).await;
    assert!(
        matches!(
            created.as_ref().map_err(CallError::details),
            Err(ErrorDetails::Saturated(Overload::Memory(_)))
        ),
        "{created:?}"
    );
    assert_eq!(runtime.call::<i32>("myns:small", ()).await?, 1, "what fits goes on");
    assert_eq!(grow(&runtime, "myns:grow", 1).await?, 1);
    for call in &held {
        call.abort();
    }
    until_used(&runtime, |used| used == 0).await?;
    assert_eq!(grow(&runtime, "myns:grow", 40).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_call_that_was_stopped_for_its_memory_is_not_retried() -> Tested {
    let retry = ", meta: {options: {retry: {max_attempts: 3, initial_delay_ms: 1}}}";
    let large = format!(
        "  - {{name: large, kind: function.wat, method: f, source: {LARGE:?}, limits: {{max_memory_bytes: 33554432}}{retry}}}\n"
    );
    let runtime = load(16, &[wat("grow", "grow", retry), large].concat())?;
    let grown = grow(&runtime, "myns:grow", 20).await;
    assert!(grown.as_ref().is_err_and(was_running), "{grown:?}");
    let created = runtime.call::<i32>("myns:large", ()).await;
    assert!(created.is_err_and(|error| error.kind() == ErrorKind::Saturated));
    let attempts = |id| runtime.stats(id).map(|stats| stats.admitted);
    assert_eq!((attempts("myns:grow"), attempts("myns:large")), (Some(1), Some(3)));
    Ok(())
}

#[tokio::test]
async fn an_interrupted_pool_gives_its_memory_back() -> Tested {
    let runtime = load(64, &wat("hold", "hold", ", limits: {max_execution_ms: 600000}"))?;
    let caller = runtime.clone();
    let call = tokio::spawn(async move { grow(&caller, "myns:hold", 30).await });
    until_used(&runtime, |used| used > 30 * MIB).await?;
    let _ = runtime.drain(std::time::Duration::ZERO).await;
    let ended = call.await?;
    assert!(
        matches!(ended.as_ref().map_err(CallError::details), Err(ErrorDetails::Interrupted)),
        "{ended:?}"
    );
    until_used(&runtime, |used| used == 0).await
}

#[tokio::test]
async fn idle_instances_give_way_except_in_static_pools() -> Tested {
    for (pool, gives_way) in [("type: lazy", true), ("type: static, workers: 1", false)] {
        let reused = format!(", pool: {{{pool}, max_instance_reuse: 9}}");
        let runtime = load(64, &[wat("kept", "grow", &reused), wat("grow", "grow", "")].concat())?;
        grow(&runtime, "myns:kept", 40).await?;
        assert!(used(&runtime) > 40 * MIB, "{pool}");
        let beyond = grow(&runtime, "myns:grow", 40).await;
        assert_eq!(beyond.is_ok(), gives_way, "{pool}: {beyond:?}");
        let shed = runtime.stats("myns:kept").map(|stats| stats.retired_for(Retired::Surplus));
        assert_eq!(shed, Some(u64::from(gives_way)), "{pool}");
    }
    Ok(())
}
