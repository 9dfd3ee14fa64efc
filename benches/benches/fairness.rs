//! Latency of a small call while other guests compute endlessly on every core: printed as a table.
//!
//! `cargo bench -p crisol-benches --bench fairness`
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::{Duration, Instant};

use crisol::Runtime;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Problem = Box<dyn std::error::Error + Send + Sync>;

const APP: &str = "namespace: b\nentries:
  - {name: answer, kind: function.wat, method: answer,
     source: '(module (func (export \"answer\") (result i32) i32.const 42))'}
  - {name: spin, kind: function.wat, method: spin, limits: {max_execution_ms: 600000},
     source: '(module (func (export \"spin\") (loop (br 0))))'}\n";

/// Threads that run guests: those of a machine with two cores.
const THREADS: usize = 2;

/// Small calls of each row.
const CALLS: usize = 500;

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> Result<(), Problem> {
    println!("| endless guests on {THREADS} threads | median | 99 of 100 | longest of {CALLS} |");
    println!("|---|---|---|---|");
    for endless in [0, 1, THREADS, 4 * THREADS] {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let tokio = builder.worker_threads(THREADS).enable_all().build()?;
        let mut times = tokio.block_on(async { tokio::spawn(beside(endless)).await })??;
        tokio.shutdown_timeout(Duration::from_secs(1));
        times.sort_unstable();
        let at = |part: usize| times.get((times.len() - 1) * part / 100).copied();
        let [median, most, longest] = [50, 99, 100].map(|part| at(part).unwrap_or_default());
        println!("| {endless} | {median:.1?} | {most:.1?} | {longest:.1?} |");
    }
    Ok(())
}

/// Latencies of many small calls beside `endless` guests that never end.
async fn beside(endless: usize) -> Result<Vec<Duration>, Problem> {
    let runtime = Runtime::builder().file("_index.yaml", APP).load()?;
    runtime.call::<i32>("b:answer", ()).await?;
    let spinning: Vec<_> = (0..endless)
        .map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move { runtime.call::<()>("b:spin", ()).await })
        })
        .collect();
    while runtime.stats("b:spin").is_some_and(|stats| stats.busy < endless as u64) {
        if spinning.iter().any(tokio::task::JoinHandle::is_finished) {
            return Err("a guest without end has ended".into());
        }
        tokio::task::yield_now().await;
    }
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        // In its own task, as a server's request is: it needs a thread before it can call.
        let in_task = runtime.clone();
        tokio::spawn(async move { in_task.call::<i32>("b:answer", ()).await }).await??;
        times.push(began.elapsed());
    }
    spinning.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(times)
}
