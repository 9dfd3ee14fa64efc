//! Draining a pool, and replacing it under load.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crisol_pool::testing::{FakeFactory, FakeWorker, MakeBehaviour};
use crisol_pool::{
    CheckoutOptions, Config, Disposition, Lease, Pool, PoolError, Retired, Strategy,
};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn fixed(workers: usize) -> Config {
    Config::new(Strategy::fixed(NonZeroUsize::new(workers), None).unwrap()).with_warm_start(true)
}

fn spawn_call(
    pool: &Arc<Pool<FakeFactory>>,
    time: Duration,
) -> tokio::task::JoinHandle<Result<(), PoolError<crisol_pool::testing::FakeError>>> {
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let lease = pool.check_out(CheckoutOptions::new()).await?;
        sleep(time).await;
        lease.give_back(Disposition::Reuse);
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn an_empty_pool_drains_at_once_and_drops_its_ready_workers() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(3));
    pool.warm().await.unwrap();
    let drained = pool.drain(Duration::ZERO).await;
    assert!(drained.is_clean());
    assert_eq!((fakes.alive(), pool.stats().retired_for(Retired::Drained)), (0, 3));
    assert!(matches!(pool.check_out(CheckoutOptions::new()).await, Err(PoolError::Draining)));
}

#[tokio::test(start_paused = true)]
async fn a_drain_serves_running_and_waiting_calls_and_no_new_ones() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2));
    let calls: Vec<_> = (0..6).map(|_| spawn_call(&pool, 10 * MS)).collect();
    yield_now().await;
    let start = Instant::now();
    let draining = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.drain(SECOND).await })
    };
    yield_now().await;
    assert!(matches!(pool.check_out(CheckoutOptions::new()).await, Err(PoolError::Draining)));
    assert!(draining.await.unwrap().is_clean());
    assert_eq!(start.elapsed(), 30 * MS);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    sleep(SECOND).await;
    assert_eq!(fakes.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_reports_calls_left_after_the_grace() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2));
    let calls: Vec<_> = (0..5).map(|_| spawn_call(&pool, 10 * SECOND)).collect();
    yield_now().await;
    let drained = pool.drain(SECOND).await;
    assert_eq!((drained.interrupted, drained.refused), (2, 3));
    assert!(!drained.is_clean());
    let interrupted = Instant::now();
    for call in &calls[..2] {
        call.abort();
    }
    assert!(pool.drain(SECOND).await.is_clean());
    assert_eq!((interrupted.elapsed(), fakes.alive()), (Duration::ZERO, 0));
    for call in calls.into_iter().skip(2) {
        assert!(matches!(call.await.unwrap(), Err(PoolError::Draining)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_may_outlive_every_other_handle() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1));
    let lease: Lease<'static, FakeFactory> =
        pool.check_out_shared(CheckoutOptions::new(), |_: &FakeWorker| true).await.unwrap();
    let ended = tokio::spawn(async move { lease.give_back(Disposition::Reuse) });
    drop(pool);
    ended.await.unwrap();
    sleep(10 * MS).await;
    assert_eq!(fakes.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_after_the_grace_is_interrupted_at_an_await_point() {
    let fakes = FakeFactory::new();
    for strategy in [
        Strategy::inline(),
        Strategy::lazy(),
        Strategy::fixed(NonZeroUsize::new(1), None).unwrap(),
        Strategy::adaptive(),
    ] {
        let pool = Pool::new(fakes.clone(), Config::new(strategy));
        let call = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let mut lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
                let (_worker, interruption) = lease.split();
                let done = interruption.race(std::future::pending::<()>()).await;
                lease.give_back(Disposition::Retire(Retired::Interrupted));
                done
            })
        };
        yield_now().await;
        let start = Instant::now();
        let drained = pool.drain(SECOND).await;
        assert_eq!((drained.interrupted, start.elapsed()), (1, SECOND));
        assert!(pool.drain(SECOND).await.is_clean());
        assert_eq!((call.await.unwrap(), start.elapsed()), (None, SECOND));
        assert_eq!((fakes.alive(), pool.stats().retired_for(Retired::Interrupted)), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn all_running_calls_are_interrupted_unless_they_never_wait() {
    let pool = Pool::new(FakeFactory::new(), fixed(3));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
                let interruption = lease.interruption().clone();
                let stopped = interruption.race(sleep(3_600 * SECOND)).await.is_none();
                // Work after the interruption that does not wait is completed.
                (stopped, interruption.race(async { 7 }).await)
            })
        })
        .collect();
    yield_now().await;
    assert_eq!(pool.drain(SECOND).await.interrupted, 3);
    assert!(pool.drain(MS).await.is_clean());
    for call in calls {
        assert_eq!(call.await.unwrap(), (true, Some(7)));
    }
}

#[tokio::test(start_paused = true)]
async fn ready_workers_serve_waiting_calls_during_a_drain() {
    let fakes = FakeFactory::new();
    let config = Config::new(Strategy::fixed(NonZeroUsize::new(1), NonZeroUsize::new(3)).unwrap());
    let pool = Pool::new(fakes.clone(), config.with_warm_start(true));
    pool.warm().await.unwrap();
    let mut calls: Vec<_> = (0..3).map(|_| spawn_call(&pool, 10 * MS)).collect();
    sleep(5 * MS).await;
    assert_eq!((fakes.asked(), pool.stats().ready, pool.stats().queued), (4, 3, 2));
    fakes.always(MakeBehaviour::Fail);
    let drain = pool.drain(SECOND);
    let last = calls.pop().unwrap();
    let gives_up = async {
        yield_now().await;
        assert_eq!(pool.stats().ready, 2, "as many as wait");
        last.abort();
    };
    assert!(tokio::join!(drain, gives_up).0.is_clean());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!((fakes.alive(), pool.stats().retired_for(Retired::Drained)), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_within_the_grace_is_not_interrupted() {
    let pool = Pool::new(FakeFactory::new(), fixed(1));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let interruption = lease.interruption().clone();
    let drain = pool.drain(SECOND);
    let work = async {
        let done = interruption.race(sleep(999 * MS)).await;
        lease.give_back(Disposition::Reuse);
        done
    };
    let (drained, done) = tokio::join!(drain, work);
    assert!(drained.is_clean() && done.is_some() && !interruption.is_requested());
}

#[tokio::test(start_paused = true)]
async fn end_of_grace_refuses_a_call_creating_a_worker() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1));
    fakes.always(MakeBehaviour::Hang);
    let call = spawn_call(&pool, MS);
    yield_now().await;
    let drained = pool.drain(SECOND).await;
    assert_eq!((drained.interrupted, drained.refused), (1, 0));
    assert!(matches!(call.await.unwrap(), Err(PoolError::Draining)));
    assert!(pool.drain(Duration::ZERO).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_factory_keeps_no_drained_or_dropped_pool() {
    let metrics = tokio::runtime::Handle::current().metrics();
    for drain in [true, false] {
        let fakes = FakeFactory::new();
        let pool = Pool::new(fakes.clone(), fixed(2));
        fakes.next([MakeBehaviour::Prompt, MakeBehaviour::Hang]);
        assert!(spawn_call(&pool, MS).await.unwrap().is_ok());
        sleep(10 * MS).await;
        assert_eq!(
            (fakes.asked(), metrics.num_alive_tasks()),
            (2, 1),
            "it hangs in the background"
        );
        if drain {
            assert!(pool.drain(SECOND).await.is_clean());
        }
        // Separately: a drained pool may be kept for its statistics.
        let kept = drain.then_some(pool);
        sleep(50 * MS).await;
        assert_eq!((metrics.num_alive_tasks(), fakes.alive()), (0, 0));
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn workers_returned_during_a_drain_serve_waiters_then_retire() {
    let fakes = FakeFactory::new();
    let config = fixed(1).with_reuse(std::num::NonZeroU32::MAX);
    let pool = Pool::new(fakes.clone(), config);
    let calls: Vec<_> = (0..3).map(|_| spawn_call(&pool, 10 * MS)).collect();
    yield_now().await;
    assert!(pool.drain(SECOND).await.is_clean());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!((fakes.made(), fakes.alive()), (1, 0));
    assert_eq!(pool.stats().retired_for(Retired::Drained), 1);
}

/// Models a streaming edge: the body holds the lease, and its reader ends the call.
struct Body {
    lease: Option<Lease<'static, FakeFactory>>,
    parts: u32,
}

impl Body {
    async fn next(&mut self) -> Option<u32> {
        let lease = self.lease.as_mut()?;
        let (worker, interruption) = lease.split();
        let number = worker.number();
        if self.parts > 0 && interruption.race(sleep(MS)).await.is_some() {
            self.parts -= 1;
            return u32::try_from(number).ok();
        }
        let disposition = if self.parts > 0 {
            Disposition::Retire(Retired::Interrupted)
        } else {
            Disposition::Reuse
        };
        self.lease.take()?.give_back(disposition);
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_streaming_body_holds_its_lease_until_its_end() {
    let pool = Pool::new(FakeFactory::new(), fixed(1));
    for (parts, read, dropped, reason) in [
        (3, 3, false, Retired::Worn),
        (3, 1, true, Retired::Cancelled),
        (1_000_000, 1_000, false, Retired::Interrupted),
    ] {
        let lease =
            pool.check_out_shared(CheckoutOptions::new(), |_: &FakeWorker| true).await.unwrap();
        let mut body = Body { lease: Some(lease), parts };
        let reader = tokio::spawn(async move {
            let mut seen = 0;
            while !(dropped && seen == 1) && body.next().await.is_some() {
                seen += 1;
            }
            seen
        });
        if reason == Retired::Interrupted {
            assert_eq!(pool.drain(SECOND).await.interrupted, 1);
        }
        let seen: i32 = reader.await.unwrap();
        assert!(
            seen == read || (reason == Retired::Interrupted && seen.abs_diff(read) <= 1),
            "{seen}"
        );
        assert_eq!((pool.stats().busy, pool.stats().retired_for(reason)), (0, 1));
    }
}

/// Owner of several generations: serves from the newest and drains the one before.
struct Generations(Mutex<Arc<Pool<FakeFactory>>>);

impl Generations {
    fn newest(&self) -> Arc<Pool<FakeFactory>> {
        Arc::clone(&self.0.lock().unwrap())
    }

    /// A call refused by a draining pool is retried on the newest.
    async fn call(&self, time: Duration) -> Result<(), PoolError<crisol_pool::testing::FakeError>> {
        loop {
            let pool = self.newest();
            match pool.check_out(CheckoutOptions::new()).await {
                Ok(lease) => {
                    sleep(time).await;
                    lease.give_back(Disposition::Reuse);
                    return Ok(());
                }
                Err(PoolError::Draining) => yield_now().await,
                Err(other) => return Err(other),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_swaps_under_load_lose_no_call() {
    let fakes = FakeFactory::new();
    let strategies = [
        Strategy::inline(),
        Strategy::lazy(),
        Strategy::fixed(NonZeroUsize::new(3), None).unwrap(),
        Strategy::adaptive(),
    ];
    let first = Pool::new(fakes.clone(), Config::new(strategies[0]));
    let generations = Arc::new(Generations(Mutex::new(first)));
    let callers: Vec<_> = (0..16u64)
        .map(|caller| {
            let generations = Arc::clone(&generations);
            tokio::spawn(async move {
                for call in 0..2_000u64 {
                    let time =
                        Duration::from_micros(100 + (caller * 7_919 + call * 104_729) % 5_000);
                    generations.call(time).await.unwrap();
                }
            })
        })
        .collect();
    let mut drains = Vec::new();
    for swap in 0..1_000 {
        let next =
            Pool::new(fakes.clone(), Config::new(strategies[swap % 4]).with_warm_start(true));
        next.warm().await.unwrap();
        let old = std::mem::replace(&mut *generations.0.lock().unwrap(), next);
        drains.push(tokio::spawn(async move { old.drain(60 * SECOND).await }));
        sleep(Duration::from_micros(500 + (swap as u64 * 37) % 3_000)).await;
    }
    for drain in drains {
        assert!(drain.await.unwrap().is_clean());
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(generations.newest().drain(SECOND).await.is_clean());
    sleep(SECOND).await;
    assert_eq!(fakes.alive(), 0);
}
