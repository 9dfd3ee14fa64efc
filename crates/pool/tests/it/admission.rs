//! Admission: order of callers, and refusals.

use std::sync::Arc;
use std::time::Duration;

use crisol_pool::testing::{FakeError, FakeFactory};
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, PoolError, Retired, Strategy};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::support::n;

const MS: Duration = Duration::from_millis(1);

fn fixed(workers: usize) -> Strategy {
    Strategy::fixed(Some(n(workers)), None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_order_and_newcomers_wait() {
    let pool = Pool::new(FakeFactory::new(), Config::new(Strategy::inline()));
    let (seen, mut order) = mpsc::unbounded_channel();
    let first = pool.check_out(CheckoutOptions::new()).await.unwrap();
    for caller in 0..20 {
        let (pool, seen) = (Arc::clone(&pool), seen.clone());
        tokio::spawn(async move {
            let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
            seen.send(caller).unwrap();
            tokio::time::sleep(MS).await;
            lease.give_back(Disposition::Reuse);
        });
        yield_now().await;
    }
    assert_eq!(pool.stats().queued, 20);
    first.give_back(Disposition::Reuse);
    // The permit already belongs to the next caller, which has not run yet.
    let late = pool.check_out(CheckoutOptions::new()).await.unwrap();
    drop(seen);
    let mut served = Vec::new();
    while let Some(caller) = order.recv().await {
        served.push(caller);
    }
    assert_eq!(served, (0..20).collect::<Vec<_>>());
    assert_eq!(late.waited(), 20 * MS);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_buffer_a_call_is_refused_at_once() {
    let pool = Pool::new(FakeFactory::new(), Config::new(fixed(2)).with_buffer(3));
    let running = [
        pool.check_out(CheckoutOptions::new()).await,
        pool.check_out(CheckoutOptions::new()).await,
    ];
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(
                async move { pool.check_out(CheckoutOptions::new()).await.map(drop).is_ok() },
            )
        })
        .collect();
    yield_now().await;
    let refused = pool.check_out(CheckoutOptions::new()).await;
    assert!(matches!(refused, Err(PoolError::Saturated { waiting: 3 })), "{refused:?}");
    assert_eq!(pool.stats().saturated, 1);
    drop(running);
    for waiter in waiting {
        assert!(waiter.await.unwrap());
    }
    assert!(pool.check_out(CheckoutOptions::new()).await.is_ok(), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn the_default_buffer_is_64_calls_per_worker() {
    for (strategy, buffer) in [
        (Strategy::inline(), 64),
        (Strategy::lazy(), 6_400),
        (Strategy::fixed(None, None).unwrap(), 512),
        (Strategy::fixed(Some(n(2)), Some(n(4))).unwrap(), 128),
        (Strategy::adaptive(), 6_400),
    ] {
        assert_eq!(Config::new(strategy).buffer(), buffer, "{strategy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn queue_time_counts_and_is_reported() {
    let pool = Pool::new(FakeFactory::new(), Config::new(Strategy::inline()));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let deadline = Instant::now() + 30 * MS;
    let refused = pool.check_out(CheckoutOptions::new().with_deadline(Some(deadline))).await;
    assert!(
        matches!(refused, Err(PoolError::TimedOut { waited, making: Duration::ZERO }) if waited == 30 * MS),
        "{refused:?}"
    );
    assert_eq!(pool.stats().queued, 0);
    lease.give_back(Disposition::Reuse);
    assert!(pool.check_out(CheckoutOptions::new()).await.is_ok(), "who timed out holds nothing");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_caller_that_is_dropped_leaves_no_trace() {
    let pool = Pool::new(FakeFactory::new(), Config::new(Strategy::inline()));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..3 {
        let pool = Arc::clone(&pool);
        waiters.push(tokio::spawn(async move {
            pool.check_out(CheckoutOptions::new()).await.unwrap().give_back(Disposition::Reuse);
        }));
        yield_now().await;
    }
    waiters[1].abort();
    yield_now().await;
    assert_eq!(pool.stats().queued, 2);
    lease.give_back(Disposition::Reuse);
    // The first was granted its permit, and is cancelled before it reads it.
    waiters[0].abort();
    assert!(waiters.remove(2).await.is_ok());
    let stats = pool.stats();
    assert_eq!((stats.busy, stats.queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_would_wait_for_itself_is_refused() {
    let pool = Pool::new(FakeFactory::new(), Config::new(fixed(2)));
    let one = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let two = pool.check_out(CheckoutOptions::new().with_held_workers(1)).await.unwrap();
    let refused = pool.check_out(CheckoutOptions::new().with_held_workers(2)).await;
    assert!(
        matches!(refused, Err(PoolError::WouldDeadlock { held: 2, workers: 2 })),
        "{refused:?}"
    );
    drop((one, two));
    let again = pool.check_out(CheckoutOptions::new().with_held_workers(2)).await;
    assert!(again.is_ok(), "a free permit needs no waiting");
}

#[tokio::test(start_paused = true)]
async fn two_chains_that_would_wait_for_each_other_are_seen() {
    let pool = Pool::new(FakeFactory::new(), Config::new(fixed(2)));
    let leases = [
        pool.check_out(CheckoutOptions::new()).await,
        pool.check_out(CheckoutOptions::new()).await,
    ];
    let nested = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            pool.check_out(CheckoutOptions::new().with_held_workers(1)).await.map(drop).is_ok()
        })
    };
    yield_now().await;
    let refused = pool.check_out(CheckoutOptions::new().with_held_workers(1)).await;
    assert!(
        matches!(refused, Err(PoolError::WouldDeadlock { held: 1, workers: 2 })),
        "{refused:?}"
    );
    drop(leases);
    assert!(nested.await.unwrap(), "the other chain goes on");
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_or_a_chain_makes_an_adaptive_pool_grow() {
    let adaptive = crisol_pool::strategy::Adaptive::new().with_max(n(3)).with_start(n(1));
    let pool = Pool::new(FakeFactory::new(), Config::new(adaptive).with_buffer(0));
    let _one = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let _two = pool.check_out(CheckoutOptions::new().with_held_workers(1)).await.unwrap();
    let _three = pool.check_out(CheckoutOptions::new()).await.unwrap();
    assert_eq!(pool.stats().workers, 3);
    let refused = pool.check_out(CheckoutOptions::new()).await;
    assert!(matches!(refused, Err(PoolError::Saturated { waiting: 0 })), "{refused:?}");
    let refused = pool.check_out(CheckoutOptions::new().with_held_workers(3)).await;
    assert!(matches!(refused, Err(PoolError::WouldDeadlock { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn lease_reports_queue_and_creation_time() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), Config::new(Strategy::inline()));
    fakes.always(crisol_pool::testing::MakeBehaviour::After(7 * MS));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    assert_eq!((lease.waited(), lease.making()), (Duration::ZERO, 7 * MS));
    let waiter = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
            (lease.waited(), lease.making())
        })
    };
    yield_now().await;
    tokio::time::sleep(3 * MS).await;
    lease.give_back(Disposition::Retire(Retired::Failed));
    assert_eq!(waiter.await.unwrap(), (3 * MS, 7 * MS));
    let waits = pool.stats().waits;
    assert_eq!((waits.buckets[0], waits.buckets.iter().sum::<u64>(), waits.total), (1, 2, 3 * MS));
}

#[test]
fn error_texts_are_complete() {
    let texts = [
        PoolError::Saturated { waiting: 64 },
        PoolError::TimedOut { waited: 30 * MS, making: Duration::from_micros(1_500) },
        PoolError::Draining,
        PoolError::WouldDeadlock { held: 1, workers: 2 },
        PoolError::Factory(FakeError),
        PoolError::FactoryPanicked { message: "oh".into() },
    ]
    .map(|refused| refused.to_string());
    assert_eq!(
        texts,
        [
            "the buffer is full: 64 calls wait",
            "no worker before the deadline: 30.0 ms queued, 1.5 ms creating one",
            "the pool is being drained and takes no new calls",
            "deadlock: all 2 workers are held by calls that wait for this pool (1 by ancestors of this call)",
            "cannot create a worker",
            "cannot create a worker: its factory panicked: oh",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn admits_refuses_without_the_lock_once_the_pool_is_full() {
    let pool = Pool::new(FakeFactory::new(), Config::new(fixed(2)).with_buffer(1));
    assert_eq!(pool.admits(), Ok(()));
    let running = [
        pool.check_out(CheckoutOptions::new()).await,
        pool.check_out(CheckoutOptions::new()).await,
    ];
    assert_eq!(pool.admits(), Ok(()), "one may wait");
    let waits = Arc::clone(&pool);
    let waiting =
        tokio::spawn(
            async move { waits.check_out(CheckoutOptions::new()).await.map(drop).is_ok() },
        );
    yield_now().await;
    assert_eq!(pool.admits(), Err(1));
    assert!(matches!(
        pool.check_out(CheckoutOptions::new()).await,
        Err(PoolError::Saturated { waiting: 1 })
    ));
    assert_eq!(pool.stats().saturated, 2);
    drop(running);
    assert!(waiting.await.unwrap());
    assert_eq!(pool.admits(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_may_grow_is_not_full() {
    let config = Config::new(Strategy::adaptive()).with_buffer(0);
    let pool = Pool::new(FakeFactory::new(), config);
    let first = pool.check_out(CheckoutOptions::new()).await.unwrap();
    assert_eq!(pool.admits(), Ok(()));
    let second = pool.check_out(CheckoutOptions::new()).await;
    assert!(second.is_ok(), "{second:?}");
    drop(first);
}
