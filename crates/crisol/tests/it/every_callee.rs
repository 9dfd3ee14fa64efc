//! Drains and deadlines end functions, Lua functions and commands alike. The tests of HTTP handlers are in `http`.

use std::sync::Arc;
use std::time::Duration;

use crisol::change::Changes;
use crisol::error::ErrorDetails;
use crisol::{Args, CallContext, CallError, Caller, Command, EntryId, Invoke as _, Runtime, Stdio};
use tokio::task::{JoinHandle, yield_now};

use crate::support::{HOUR, Tested, an_hour_late, entry, load, lua, wasm};

/// Functions and a command that compute forever.
fn endless(more: &str) -> Tested<Runtime> {
    let entries = [
        wasm("wasm", "probe", "spin", more),
        lua("lua", "while true do end", more),
        entry("process.wasm", "command", "probe", "spin", more),
    ];
    Ok(load(&entries.concat())?)
}

async fn run(command: Arc<Command>) -> Result<(), CallError> {
    command.run(&[], Args::none(), Stdio::Log).await.map(drop)
}

/// Starts a call and waits until it is running.
async fn started<T: Send + 'static>(
    runtime: &Runtime,
    call: impl Future<Output = Result<T, CallError>> + Send + 'static,
) -> JoinHandle<Result<T, CallError>> {
    let before = runtime.snapshot().memory_used;
    let call = tokio::spawn(call);
    while runtime.snapshot().memory_used <= before {
        yield_now().await;
    }
    call
}

#[tokio::test]
async fn drain_interrupts_every_kind_of_callee() -> Tested {
    let runtime = endless("")?;
    let command = runtime.command("myns:command")?;
    let mut running = Vec::new();
    for id in ["myns:wasm", "myns:lua"] {
        let called = runtime.clone();
        running.push(started(&runtime, async move { called.call::<()>(id, ()).await }).await);
    }
    running.push(started(&runtime, run(Arc::clone(&command))).await);
    let drained = runtime.drain(Duration::ZERO).await;
    assert_eq!((drained.interrupted, drained.refused), (3, 0));
    for call in running {
        let ended = call.await?;
        assert!(
            matches!(ended.as_ref().map_err(CallError::details), Err(ErrorDetails::Interrupted)),
            "{ended:?}"
        );
    }
    for id in ["myns:wasm", "myns:lua"] {
        let refused = runtime.call::<()>(id, ()).await;
        assert!(
            matches!(refused.as_ref().map_err(CallError::details), Err(ErrorDetails::Unavailable)),
            "{refused:?}"
        );
    }
    let refused = run(command).await;
    assert!(
        matches!(refused.as_ref().map_err(CallError::details), Err(ErrorDetails::Unavailable)),
        "{refused:?}"
    );
    while !runtime.drain(Duration::ZERO).await.is_clean() {
        yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn drain_waits_for_a_command_that_ends_by_itself() -> Tested {
    let more = ", imports: [wasi:cli, wasi:io, wasi:clocks, wasi:filesystem]";
    let runtime =
        load(&entry("process.wasm", "command", "sleep-test", "test-sleep#sleep-ms", more))?;
    let command = runtime.command("myns:command")?;
    let waiting = Args::json(&b"[50]"[..]);
    let (ended, drained) = tokio::join!(
        async { command.run(&[], waiting, Stdio::Log).await.map(drop) },
        runtime.drain(HOUR),
    );
    ended?;
    assert!(drained.is_clean());
    Ok(())
}

#[tokio::test]
async fn drain_reaches_calls_of_replaced_generations() -> Tested {
    let runtime = load(&wasm("f", "probe", "spin", ""))?;
    let called = runtime.clone();
    let call = started(&runtime, async move { called.call::<()>("myns:f", ()).await }).await;
    let hash = crisol_fixtures::sha256("probe");
    let other = format!(
        "namespace: myns\nentries:\n  - {{name: f, kind: function.wasm, fs: assets, path: /probe.wasm, hash: \"sha256:{hash}\", method: count}}\n"
    );
    let applied = runtime.apply(Changes::new().put(other)).await?;
    assert_eq!(applied.rebuilt.len(), 1);
    assert_eq!(runtime.drain(Duration::ZERO).await.interrupted, 1);
    let ended = call.await?;
    assert!(
        matches!(ended.as_ref().map_err(CallError::details), Err(ErrorDetails::Interrupted)),
        "{ended:?}"
    );
    Ok(())
}

#[tokio::test]
async fn deadline_ends_every_kind_of_callee() -> Tested {
    let runtime = endless(", limits: {max_execution_ms: 1800000}")?;
    let busy = |id: &str| runtime.stats(id).is_some_and(|stats| stats.busy == 1);
    for id in ["myns:wasm", "myns:lua"] {
        let call = runtime.call::<()>(id, ());
        let ended = an_hour_late(call, || busy(id)).await;
        is_over_its_own_limit(&ended)?;
    }
    let before = runtime.snapshot().memory_used;
    let computes = || runtime.snapshot().memory_used > before;
    let ended = an_hour_late(run(runtime.command("myns:command")?), computes).await;
    is_over_its_own_limit(&ended)
}

fn is_over_its_own_limit(ended: &Result<(), CallError>) -> Tested {
    match ended.as_ref().map_err(CallError::details) {
        Err(ErrorDetails::Deadline { limit: Some(limit), spent })
            // The clock advances while no call is polled, which counts as host time.
            if *limit == HOUR / 2 && spent.guest + spent.host >= HOUR / 2 =>
        {
            Ok(())
        }
        _ => Err(format!("{ended:?}").into()),
    }
}

#[tokio::test]
async fn depth_is_the_same_for_every_kind_of_function() -> Tested {
    let runtime = endless("")?;
    let mut context = CallContext::new(Caller::Guest);
    for depth in 0..=64 {
        context = context.nested(format!("n:f{depth}").parse()?);
    }
    for id in ["myns:wasm", "myns:lua"] {
        let id: EntryId = id.parse()?;
        let refused = runtime.invoke(&id, context.clone(), Args::none()).await.map(drop);
        assert!(
            matches!(
                refused.as_ref().map_err(CallError::details),
                Err(ErrorDetails::TooDeep { .. })
            ),
            "{refused:?}"
        );
    }
    Ok(())
}
