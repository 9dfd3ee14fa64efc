//! Reuse of instances, which ends after a failure.

use crisol::ErrorKind;

use crate::support::{AppBuilder, Tested, an_hour_late};

/// Guest that counts its calls and ends as its argument says: 1 a trap, 2 an endless loop, 3 an exit, 4 memory over
/// its limit, 5 an invalid result.
const ENDS: &str = include_str!("guests/ends.wat");

const POOLS: [(&str, &str); 4] = [
    ("inline", "type: inline"),
    ("lazy", "type: lazy, max_size: 1"),
    ("static", "type: static, workers: 1"),
    ("adaptive", "type: adaptive, max_size: 1"),
];

#[tokio::test]
async fn failed_instance_never_serves_again_in_any_pool() -> Tested {
    let mut text = String::new();
    for (name, pool) in POOLS {
        let source = ENDS.replace('\n', " ");
        text += &format!(
            "  - {{name: {name}, kind: function.wat, method: f, imports: [wasi1], pool: {{{pool}, max_instance_reuse: 100}}, limits: {{max_execution_ms: 3600000, max_memory_bytes: 1048576}}, wit: 'f: func(how: u32) -> result<u32, string>;', source: '{source}'}}\n"
        );
    }
    let runtime = AppBuilder::new("n").entries(&text).load()?;
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
