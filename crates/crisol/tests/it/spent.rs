//! Reuse of instances, which ends after a failure.

use crisol::{Allocation, EngineConfig, ErrorKind, Runtime};

use crate::support::{Tested, an_hour_late};

/// Guest that counts its calls and ends as its argument says: 1 a trap, 2 an endless loop, 3 an exit, 4 memory over
/// its limit, 5 an invalid result.
const ENDS: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func (export "f") (param $how i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.eq (local.get $how) (i32.const 1)) (then unreachable))
        (if (i32.eq (local.get $how) (i32.const 2)) (then (loop (br 0))))
        (if (i32.eq (local.get $how) (i32.const 3)) (then (call $exit (i32.const 7))))
        (if (i32.eq (local.get $how) (i32.const 4)) (then
            (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))))
        (i32.store (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (global.get $calls))
        (i32.store (i32.const 24) (i32.const 0))
        (if (i32.eq (local.get $how) (i32.const 5)) (then (i32.store (i32.const 16) (i32.const 9))))
        (i32.const 16)))"#;

const POOLS: [(&str, &str); 4] = [
    ("inline", "type: inline"),
    ("lazy", "type: lazy, max_size: 1"),
    ("static", "type: static, workers: 1"),
    ("adaptive", "type: adaptive, max_size: 1"),
];

#[tokio::test]
async fn failed_instance_never_serves_again_in_any_pool() -> Tested {
    let mut text = "namespace: n\nentries:\n".to_owned();
    for (name, pool) in POOLS {
        let source = ENDS.replace('\n', " ");
        text += &format!(
            "  - {{name: {name}, kind: function.wat, method: f, imports: [wasi1], pool: {{{pool}, max_instance_reuse: 100}}, limits: {{max_execution_ms: 3600000, max_memory_bytes: 1048576}}, wit: 'f: func(how: u32) -> result<u32, string>;', source: '{source}'}}\n"
        );
    }
    let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
    let runtime = Runtime::builder().file("_index.yaml", text).engine(engine).load()?;
    for (name, _) in POOLS {
        let id = format!("n:{name}");
        let call = |how: u32| runtime.call::<u32>(&id, (how,));
        let busy = || runtime.stats(&id).is_some_and(|stats| stats.busy == 1);
        for (how, kind) in [
            (1, ErrorKind::Trap),
            (2, ErrorKind::Deadline),
            (3, ErrorKind::Exited),
            (4, ErrorKind::Limit),
            (5, ErrorKind::Trap),
        ] {
            // First show that the instance is reused; otherwise the rest would prove nothing.
            let (first, second) = (call(0).await?, call(0).await?);
            assert_eq!(second, first + 1, "{name}");
            let ended = match kind {
                ErrorKind::Deadline => an_hour_late(call(how), busy).await,
                _ => call(how).await,
            };
            assert_eq!(ended.as_ref().err().map(crisol::CallError::kind), Some(kind), "{ended:?}");
            let next = call(0).await?;
            assert_eq!(next, 1, "{name}: the instance that ended by {kind:?} went on");
            // Gives the next round a different instance.
            assert!(call(1).await.is_err());
        }
    }
    Ok(())
}
