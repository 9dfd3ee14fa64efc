//! Stopping a pool, and replacing one while calls come.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crisol_pool::testing::{FakeWorker, Fakes};
use crisol_pool::{Ask, Config, Fate, Lease, Pool, Refused, Retired, Strategy};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn fixed(workers: usize) -> Config {
    Config::new(Strategy::fixed(NonZeroUsize::new(workers), None).unwrap()).with_warm_start(true)
}

fn spawn_call(
    pool: &Arc<Pool<Fakes>>,
    time: Duration,
) -> tokio::task::JoinHandle<Result<(), Refused<crisol_pool::testing::FakeError>>> {
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let lease = pool.check_out(Ask::new()).await?;
        sleep(time).await;
        lease.give_back(Fate::Reuse);
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn an_empty_pool_drains_at_once_and_drops_its_ready_workers() {
    let fakes = Fakes::new();
    let pool = Pool::new(fakes.clone(), fixed(3));
    pool.warm().await.unwrap();
    let drained = pool.drain(Duration::ZERO).await;
    assert!(drained.is_clean());
    assert_eq!((fakes.alive(), pool.stats().retired_for(Retired::Drained)), (0, 3));
    assert!(matches!(pool.check_out(Ask::new()).await, Err(Refused::Draining)));
}

#[tokio::test(start_paused = true)]
async fn those_who_run_and_those_who_wait_are_served_and_nobody_new() {
    let fakes = Fakes::new();
    let pool = Pool::new(fakes.clone(), fixed(2));
    let calls: Vec<_> = (0..6).map(|_| spawn_call(&pool, 10 * MS)).collect();
    yield_now().await;
    let start = Instant::now();
    let draining = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.drain(SECOND).await })
    };
    yield_now().await;
    assert!(matches!(pool.check_out(Ask::new()).await, Err(Refused::Draining)));
    assert!(draining.await.unwrap().is_clean());
    assert_eq!(start.elapsed(), 30 * MS);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    sleep(SECOND).await;
    assert_eq!(fakes.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_those_who_wait_are_turned_away_and_those_who_run_are_told_of() {
    let fakes = Fakes::new();
    let pool = Pool::new(fakes.clone(), fixed(2));
    let calls: Vec<_> = (0..5).map(|_| spawn_call(&pool, 10 * SECOND)).collect();
    yield_now().await;
    let drained = pool.drain(SECOND).await;
    assert_eq!((drained.interrupted, drained.turned_away), (2, 3));
    assert!(!drained.is_clean());
    let interrupted = Instant::now();
    for call in &calls[..2] {
        call.abort();
    }
    assert!(pool.drain(SECOND).await.is_clean());
    assert_eq!((interrupted.elapsed(), fakes.alive()), (Duration::ZERO, 0));
    for call in calls.into_iter().skip(2) {
        assert!(matches!(call.await.unwrap(), Err(Refused::Draining)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_may_outlive_every_other_handle() {
    let fakes = Fakes::new();
    let pool = Pool::new(fakes.clone(), fixed(1));
    let lease: Lease<'static, Fakes> =
        pool.check_out_shared(Ask::new(), |_: &FakeWorker| true).await.unwrap();
    let ended = tokio::spawn(async move { lease.give_back(Fate::Reuse) });
    drop(pool);
    ended.await.unwrap();
    sleep(10 * MS).await;
    assert_eq!(fakes.alive(), 0);
}

/// What the owner of several generations does: serve from the newest, drain the one before.
struct Generations(Mutex<Arc<Pool<Fakes>>>);

impl Generations {
    fn newest(&self) -> Arc<Pool<Fakes>> {
        Arc::clone(&self.0.lock().unwrap())
    }

    /// A call that met a pool which is being drained asks the newest again.
    async fn call(&self, time: Duration) -> Result<(), Refused<crisol_pool::testing::FakeError>> {
        loop {
            let pool = self.newest();
            match pool.check_out(Ask::new()).await {
                Ok(lease) => {
                    sleep(time).await;
                    lease.give_back(Fate::Reuse);
                    return Ok(());
                }
                Err(Refused::Draining) => yield_now().await,
                Err(other) => return Err(other),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_swaps_under_load_lose_no_call() {
    let fakes = Fakes::new();
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
