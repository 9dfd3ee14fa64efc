//! Pools of whole apps: reuse and warm starts in every type, call chains, drains, scaling decisions.

use std::time::Duration;

use crisol::error::ErrorDetails;
use crisol::pool::Retired;
use crisol::{Args, CallContext, CallError, Caller, EntryId, ErrorKind, Invoke};

use crate::support::{Tested, load, wasm};

/// Pools of each type, each with one call at a time.
const POOLS: [(&str, &str); 4] = [
    ("inline", "type: inline"),
    ("lazy", "type: lazy, max_size: 1"),
    ("static", "type: static, workers: 1"),
    ("adaptive", "type: adaptive, max_size: 1"),
];

/// Builds an entry of a probe's method for each type of pool, named after the type.
fn in_every_pool(method: &str, pool: &str, more: &str) -> String {
    let entries = POOLS
        .iter()
        .map(|(name, own)| wasm(name, "probe", method, &format!(", pool: {{{own}{pool}}}{more}")));
    entries.collect()
}

#[tokio::test]
async fn instance_serves_up_to_max_instance_reuse_in_every_pool() -> Tested {
    let runtime = load(&in_every_pool("count", ", max_instance_reuse: 3", ""))?;
    for (name, _) in POOLS {
        let mut counts = Vec::new();
        for _ in 0..7 {
            counts.push(runtime.call::<u32>(&format!("myns:{name}"), ()).await?);
        }
        // With two instances, one ready ahead and one created on demand, each serves three calls.
        let firsts = counts.iter().filter(|count| **count == 1).count();
        assert!(counts.iter().all(|count| *count <= 3), "{name}: {counts:?}");
        assert!((3..=4).contains(&firsts), "{name}: {counts:?}");
    }
    Ok(())
}

#[tokio::test]
async fn call_cycle_through_other_functions_is_refused_in_every_pool() -> Tested {
    let runtime = load(&in_every_pool("spin", "", ""))?;
    for (name, _) in POOLS {
        let id: EntryId = format!("myns:{name}").parse()?;
        // a → b → a: the outer call holds the only worker, and the inner call has it in its chain.
        let context = CallContext::new(Caller::Guest).nested(id.clone()).nested("myns:b".parse()?);
        let refused = tokio::select! {
            biased;
            ended = runtime.call::<()>(id.as_str(), ()) => return Err(format!("{ended:?}").into()),
            refused = runtime.invoke(&id, context, Args::none()) => refused,
        };
        let Err(ErrorDetails::WouldDeadlock { chain }) =
            refused.as_ref().map_err(CallError::details)
        else {
            return Err(format!("{name}: {:?}", refused.map(drop)).into());
        };
        let chain: Vec<_> = chain.iter().map(EntryId::as_str).collect();
        assert_eq!(chain, ["myns:b", id.as_str()]);
    }
    Ok(())
}

#[tokio::test]
async fn drain_interrupts_running_and_refuses_new_requests() -> Tested {
    let runtime = load(&in_every_pool("spin", "", ""))?;
    let calls: Vec<_> = POOLS
        .iter()
        .flat_map(|(name, _)| [name, name])
        .map(|name| {
            let (runtime, id) = (runtime.clone(), format!("myns:{name}"));
            tokio::spawn(async move { runtime.call::<()>(&id, ()).await })
        })
        .collect();
    // In every pool, one call has its instance and one waits.
    let inside = |name: &str| {
        let stats = runtime.stats(&format!("myns:{name}"));
        stats.is_some_and(|s| (s.busy, s.queued) == (1, 1) && s.created > s.ready)
    };
    while !POOLS.iter().all(|(name, _)| inside(name)) {
        tokio::task::yield_now().await;
    }
    let drained = runtime.drain(Duration::ZERO).await;
    assert_eq!((drained.interrupted, drained.refused), (4, 4));
    for (nth, call) in calls.into_iter().enumerate() {
        let ended = call.await?;
        match ended.as_ref().map_err(CallError::details) {
            Err(ErrorDetails::Interrupted) if nth % 2 == 0 => {}
            Err(ErrorDetails::Unavailable) if nth % 2 == 1 => {}
            _ => return Err(format!("{nth}: {ended:?}").into()),
        }
    }
    for (name, _) in POOLS {
        let id = format!("myns:{name}");
        let refused = runtime.call::<()>(&id, ()).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Unavailable));
        let stats = runtime.stats(&id).ok_or("no such pool")?;
        assert_eq!((stats.busy, stats.retired_for(Retired::Interrupted)), (0, 1), "{name}");
    }
    assert!(runtime.drain(Duration::ZERO).await.is_clean());
    Ok(())
}

#[tokio::test]
async fn warm_start_creates_instances_of_static_and_adaptive_pools() -> Tested {
    let pools = [
        ("fixed", "type: static, workers: 1, size: 2, warm_start: true", 2),
        ("adaptive", "type: adaptive, max_size: 3, warm_start: true", 3),
        ("cold", "type: adaptive, max_size: 3", 0),
    ];
    let entries = pools
        .iter()
        .map(|(name, pool, _)| wasm(name, "probe", "count", &format!(", pool: {{{pool}}}")));
    let runtime = load(&entries.collect::<String>())?;
    runtime.warm().await?;
    for (name, _, ready) in pools {
        let stats = runtime.stats(&format!("myns:{name}")).ok_or("no such pool")?;
        assert_eq!((stats.ready, stats.created), (ready, ready), "{name}");
    }
    Ok(())
}

/// Uses a paused clock: the pool samples its demand at intervals, and each sample sees the same demand.
#[tokio::test(start_paused = true)]
async fn adaptive_pool_reports_reasons_of_its_growth() -> Tested {
    let pools = in_every_pool("spin", "", "")
        + &wasm(
            "pressed",
            "sleep-test",
            "test-sleep#sleep-ms",
            ", pool: {type: adaptive, max_size: 8, buffer: 0}, imports: ['wasi:clocks', 'wasi:io']",
        );
    let runtime = load(&pools)?;
    let decisions = || runtime.decisions("myns:pressed").unwrap_or_default();
    while decisions().is_empty() {
        let calls = [(); 6].map(|()| {
            let runtime = runtime.clone();
            tokio::spawn(async move { runtime.call::<u64>("myns:pressed", (30_u32,)).await })
        });
        for call in calls {
            call.await??;
        }
    }
    let first = decisions().remove(0);
    assert_eq!((first.from, first.to), (4, 6));
    assert!(first.to_string().contains("4 → 6 workers: the buffer was full"), "{first}");
    assert!(runtime.decisions("myns:static").is_some_and(|none| none.is_empty()));
    assert!(runtime.decisions("myns:nothing").is_none());
    Ok(())
}

#[tokio::test]
async fn failing_or_hanging_start_costs_one_call() -> Tested {
    // A long time limit, so that a busy machine does not turn the trap into a deadline.
    for (start, kind, ms) in
        [("unreachable", ErrorKind::Trap, 600_000), ("(loop (br 0))", ErrorKind::Deadline, 50)]
    {
        let source = format!("(module (func $s {start}) (start $s) (func (export \"f\")))");
        let entries = POOLS.iter().map(|(name, own)| {
            format!(
                "  - {{name: {name}, kind: function.wat, method: f, source: '{source}', pool: {{{own}}}, limits: {{max_execution_ms: {ms}}}}}\n"
            )
        });
        let runtime = load(&entries.collect::<String>())?;
        for (name, _) in POOLS {
            let id = format!("myns:{name}");
            for _ in 0..2 {
                let failed = runtime.call::<()>(&id, ()).await;
                assert_eq!(failed.err().map(|error| error.kind()), Some(kind), "{name}");
            }
            let stats = runtime.stats(&id).ok_or("no such pool")?;
            assert_eq!((stats.busy, stats.queued, stats.created), (0, 0, 0), "{name}");
            assert!(stats.failed >= 2, "{name}: {stats:?}");
        }
        // Workers that are still being created in the background do not delay this.
        assert!(runtime.drain(Duration::ZERO).await.is_clean());
    }
    Ok(())
}
