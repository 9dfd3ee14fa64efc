//! Cost of a pool for a call, each figure beside its baseline: a bare tokio semaphore and a list of workers.
//!
//! Times are CPU time, of the thread or of the whole process: on a shared machine, wall time would measure other
//! processes. All code here computes without waiting, so throughput per core is the inverse of the CPU time per call.

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::{
    CheckoutOptions, Config, Disposition, Factory, Pool, SizeBelowWorkers, Strategy,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// Worker of the size of a handle to a store.
struct Handle(#[expect(dead_code, reason = "it is there for its size")] Box<u64>);

struct Handles;

impl Factory for Handles {
    type Worker = Handle;
    type Error = std::convert::Infallible;

    async fn make(&self) -> Result<Handle, std::convert::Infallible> {
        Ok(Handle(Box::new(7)))
    }
}

/// Hand-written replacement of a pool.
struct Twin {
    permits: Semaphore,
    ready: Mutex<Vec<Handle>>,
}

impl Twin {
    fn new(workers: usize) -> Self {
        let ready = (0..workers).map(|n| Handle(Box::new(n as u64))).collect();
        Self { permits: Semaphore::new(workers), ready: Mutex::new(ready) }
    }

    fn pop(&self) -> Option<Handle> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, handle: Handle) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

fn fixed(workers: usize) -> Result<Strategy, SizeBelowWorkers> {
    Strategy::fixed(Some(n(workers)), None)
}

fn reused(strategy: impl Into<Strategy>) -> Config {
    Config::new(strategy).with_reuse(NonZeroU32::MAX).with_warm_start(true)
}

/// Reading of a CPU clock.
struct Stopwatch(ClockId, Duration);

impl Stopwatch {
    fn start(clock: ClockId) -> Self {
        Self(clock, read(clock))
    }

    fn elapsed(&self) -> Duration {
        read(self.0).saturating_sub(self.1)
    }
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

fn one_thread() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

async fn calls(
    pool: &Pool<Handles>,
    count: u64,
    deadline: Option<tokio::time::Instant>,
) -> Duration {
    let start = Stopwatch::start(ClockId::ThreadCPUTime);
    for _ in 0..count {
        if let Ok(lease) = pool.check_out(CheckoutOptions::new().with_deadline(deadline)).await {
            black_box(&*lease);
            lease.give_back(Disposition::Reuse);
        }
    }
    start.elapsed()
}

fn uncontended(c: &mut Criterion) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = one_thread()?;
    let mut group = c.benchmark_group("pool/uncontended");
    group.bench_function("twin: semaphore + list", |b| {
        let twin = Twin::new(4);
        b.iter_custom(|count| {
            runtime.block_on(async {
                let start = Stopwatch::start(ClockId::ThreadCPUTime);
                for _ in 0..count {
                    let permit = twin.permits.acquire().await;
                    if let Some(handle) = twin.pop() {
                        black_box(&handle);
                        twin.push(handle);
                    }
                    drop(permit);
                }
                start.elapsed()
            })
        });
    });
    for (name, config) in [
        ("static, reused", reused(fixed(4)?)),
        ("lazy, reused (reads the clock)", reused(Lazy::new().with_max(n(4)))),
        ("adaptive, reused", reused(Adaptive::new().with_max(n(4)))),
        ("inline, a fresh worker per call", Config::new(Strategy::inline())),
    ] {
        let pool = Pool::new(Handles, config);
        runtime.block_on(pool.warm())?;
        group.bench_function(name, |b| {
            b.iter_custom(|count| runtime.block_on(calls(&pool, count, None)));
        });
    }
    let pool = Pool::new(Handles, reused(fixed(4)?));
    runtime.block_on(pool.warm())?;
    group.bench_function("static, reused, with a deadline", |b| {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3_600);
        b.iter_custom(|count| runtime.block_on(calls(&pool, count, Some(deadline))));
    });
    group.finish();
    Ok(())
}

/// Computes and yields once per turn, as a short call would.
async fn work(spin: u32) {
    for turn in 0..spin {
        black_box(turn);
    }
    tokio::task::yield_now().await;
}

/// Runs `count` calls in 64 tasks, each call made by `call`.
async fn by_64_tasks<F>(count: u64, call: impl Fn() -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    const TASKS: u64 = 64;
    let start = Stopwatch::start(ClockId::ProcessCPUTime);
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(call())).collect();
    for task in tasks {
        drop(task.await);
    }
    start.elapsed().mul_f64(count as f64 / (TASKS * PER_TASK) as f64)
}

const PER_TASK: u64 = 500;

fn contended(c: &mut Criterion) -> Result<(), Box<dyn std::error::Error>> {
    let mut group = c.benchmark_group("pool/64 tasks on 4 workers");
    group.throughput(Throughput::Elements(1));
    for (threads, runtime) in [
        (1, one_thread()?),
        (2, Builder::new_multi_thread().worker_threads(2).enable_time().build()?),
    ] {
        for spin in [0, 2_000] {
            let permits = Arc::new(Semaphore::new(4));
            let name = |who| format!("{threads} threads, spin {spin}: {who}");
            group.bench_function(name("twin: semaphore"), |b| {
                b.iter_custom(|count| {
                    runtime.block_on(by_64_tasks(count, || {
                        let permits = Arc::clone(&permits);
                        async move {
                            for _ in 0..PER_TASK {
                                let permit = permits.acquire().await;
                                work(spin).await;
                                drop(permit);
                            }
                        }
                    }))
                });
            });
            let pool = Pool::new(Handles, reused(fixed(4)?));
            runtime.block_on(pool.warm())?;
            group.bench_function(name("pool"), |b| {
                b.iter_custom(|count| {
                    runtime.block_on(by_64_tasks(count, || {
                        let pool = Arc::clone(&pool);
                        async move {
                            for _ in 0..PER_TASK {
                                if let Ok(lease) = pool.check_out(CheckoutOptions::new()).await {
                                    work(spin).await;
                                    lease.give_back(Disposition::Reuse);
                                }
                            }
                        }
                    }))
                });
            });
        }
    }
    group.finish();
    Ok(())
}

fn all(c: &mut Criterion) {
    for group in [uncontended, contended] {
        if let Err(error) = group(c) {
            #[expect(clippy::panic, reason = "a bench that cannot be set up has nothing to say")]
            {
                panic!("{error}");
            }
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
