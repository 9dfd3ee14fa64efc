//! Cancellation of calls at any await: they leave nothing behind in the pool or the engine.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crisol::engine::Allocation;

use crate::support::{AppBuilder, Tested};

/// Maximum number of workers of the pool, and of instances in the engine.
const WORKERS: usize = 3;

#[tokio::test]
async fn calls_cancelled_at_any_await_leave_pool_and_engine_whole() -> Tested {
    let hash = crisol_fixtures::sha256("sleep-test");
    let entry = format!(
        "  - {{name: sleep, kind: function.wasm, fs: assets, path: /sleep-test.wasm, hash: \"sha256:{hash}\", method: \"test-sleep#sleep-ms\", imports: [wasi:cli, wasi:io, wasi:clocks, wasi:filesystem], pool: {{type: static, workers: {WORKERS}, buffer: 16}}}}\n"
    );
    let instances = u32::try_from(WORKERS)?;
    let allocation = Allocation::Pooling { instances };
    let app = AppBuilder::new("n").guests("assets").entries(&entry).allocation(allocation);
    let runtime = app.load()?;
    let sleep = |ms: u32| runtime.call::<u64>("n:sleep", (ms,));

    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % 1_000).unwrap_or(0) % bound
    };
    for _ in 0..1_000 {
        // More calls than workers: some are cancelled in the queue.
        let mut calls: Vec<_> = (0..10).map(|_| Box::pin(sleep(60_000))).collect();
        for _ in 0..below(5) {
            for call in &mut calls {
                let polled = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(polled, Poll::Pending), "{polled:?}");
            }
            tokio::task::yield_now().await;
        }
        while !calls.is_empty() {
            drop(calls.swap_remove(below(calls.len())));
        }
    }

    let stats = runtime.stats("n:sleep").ok_or("no such pool")?;
    assert_eq!((stats.busy, stats.queued), (0, 0), "{stats:?}");
    // Each worker and each slot of the engine serves again, all at the same time.
    let all = tokio::join!(sleep(20), sleep(20), sleep(20));
    assert!(all.0? >= 20 && all.1? >= 20 && all.2? >= 20);
    Ok(())
}
