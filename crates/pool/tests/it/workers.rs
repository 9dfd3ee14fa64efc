//! Life of workers: made, kept, reused, stale, idle, broken.

use std::sync::Arc;
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::testing::{FakeFactory, MakeBehaviour, resize};
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, PoolError, Retired, Strategy};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{call, fixed, n, paused, reuse};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn inline_and_lazy_create_a_worker_per_call() {
    for strategy in [Strategy::inline(), Strategy::lazy()] {
        let fakes = FakeFactory::new();
        let pool = Pool::new(fakes.clone(), Config::new(strategy).with_warm_start(true));
        assert_eq!(pool.warm().await.unwrap(), 0);
        for expected in 1..=3 {
            assert_eq!(call(&pool).await, expected);
            assert_eq!(fakes.alive(), 0);
        }
        sleep(100 * MS).await;
        assert_eq!((fakes.asked(), pool.stats().retired_for(Retired::Worn)), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn lazy_bounds_how_many_exist() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), Config::new(Lazy::new().with_max(n(4))));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
                sleep(MS).await;
                lease.give_back(Disposition::Reuse);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((fakes.made(), fakes.most_alive(), fakes.alive()), (50, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_serves_as_many_calls_as_it_may() {
    let pool = Pool::new(FakeFactory::new(), reuse(Config::new(Strategy::lazy()), 3));
    let mut served = Vec::new();
    for _ in 0..7 {
        served.push(call(&pool).await);
    }
    assert_eq!(served, [1, 1, 1, 2, 2, 2, 3]);
    assert_eq!(pool.stats().retired_for(Retired::Worn), 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_lies_idle_too_long_goes() {
    let fakes = FakeFactory::new();
    let lazy = Lazy::new().with_idle_timeout(500 * MS);
    let pool = Pool::new(fakes.clone(), reuse(Config::new(lazy), 1_000));
    for _ in 0..20 {
        assert_eq!(call(&pool).await, 1, "it is used often enough");
        sleep(400 * MS).await;
    }
    sleep(99 * MS).await;
    assert_eq!(fakes.alive(), 1);
    sleep(2 * MS).await;
    assert_eq!((fakes.alive(), pool.stats().retired_for(Retired::Idle)), (0, 1));
    assert_eq!(call(&pool).await, 2);
    sleep(600 * MS).await;
    assert_eq!(fakes.alive(), 0, "the timer runs again");
}

#[tokio::test(start_paused = true)]
async fn static_refills_to_its_size_while_a_call_runs() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2, 4).with_warm_start(true));
    assert_eq!(pool.warm().await.unwrap(), 4);
    assert_eq!((pool.stats().ready, fakes.alive()), (4, 4));
    fakes.always(MakeBehaviour::After(3 * MS));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    assert_eq!((lease.making(), pool.stats().ready), (Duration::ZERO, 3));
    sleep(5 * MS).await;
    assert_eq!((pool.stats().ready, fakes.alive()), (4, 5), "the call still runs");
    lease.give_back(Disposition::Reuse);
    sleep(5 * MS).await;
    assert_eq!((pool.stats().ready, fakes.alive()), (4, 4));
    assert_eq!(pool.stats().retired_for(Retired::Worn), 1);
}

#[tokio::test(start_paused = true)]
async fn static_refills_at_the_first_call_and_after_each_rest() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2, 3));
    assert_eq!(fakes.asked(), 0);
    for round in 0..3 {
        call(&pool).await;
        sleep(10 * MS).await;
        assert_eq!(pool.stats().ready, 3, "round {round}");
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(fakes.made(), 6, "the first call made its own");
}

#[tokio::test(start_paused = true)]
async fn static_with_reuse_counts_busy_workers_as_stock() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), reuse(fixed(2, 2), 100).with_warm_start(true));
    pool.warm().await.unwrap();
    for _ in 0..50 {
        let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
        sleep(MS).await;
        lease.give_back(Disposition::Reuse);
    }
    assert_eq!((fakes.made(), fakes.most_alive()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn unfit_workers_are_retired_as_stale_and_replaced() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(3, 3).with_warm_start(true));
    pool.warm().await.unwrap();
    let lease =
        pool.check_out_if(CheckoutOptions::new(), |worker| worker.number() == 2).await.unwrap();
    assert_eq!((lease.number(), fakes.alive()), (2, 2), "3 was looked at first and is gone");
    let other = pool.check_out_if(CheckoutOptions::new(), |_| false).await.unwrap();
    assert_eq!(other.number(), 4, "made for the call");
    assert_eq!(pool.stats().retired_for(Retired::Stale), 2);
    drop((lease, other));
    assert_eq!(pool.stats().retired_for(Retired::Cancelled), 2);
    sleep(5 * MS).await;
    // None fits and none can be made, so the three ready workers are retired.
    let before = pool.stats().retired_in_all();
    fakes.always(MakeBehaviour::Fail);
    assert!(pool.check_out_if(CheckoutOptions::new(), |_| false).await.is_err());
    let stats = pool.stats();
    assert_eq!((stats.retired_for(Retired::Stale), stats.retired_in_all()), (5, before + 3));
}

#[tokio::test(start_paused = true)]
async fn numbers_are_right_after_each_step() {
    let pool = Pool::new(FakeFactory::new(), fixed(3, 3).with_warm_start(true));
    pool.warm().await.unwrap();
    let lease =
        pool.check_out_if(CheckoutOptions::new(), |worker| worker.number() == 1).await.unwrap();
    let stats = pool.stats();
    assert_eq!((stats.busy, stats.ready, stats.admitted, stats.finished), (1, 0, 1, 0));
    lease.give_back(Disposition::Reuse);
    let stats = pool.stats();
    assert_eq!((stats.busy, stats.ready, stats.admitted, stats.finished), (0, 0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_a_ready_worker_and_makes_none() {
    let fakes = FakeFactory::new();
    let adaptive = Adaptive::new().with_max(n(4)).with_start(n(1));
    for (config, grow) in [(fixed(1, 2), false), (Config::new(adaptive), true)] {
        let pool = Pool::new(fakes.clone(), config.with_warm_start(true));
        pool.warm().await.unwrap();
        let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
        sleep(5 * MS).await;
        assert!(pool.stats().ready > 0);
        let waiter = {
            let pool = Arc::clone(&pool);
            tokio::spawn(
                async move { pool.check_out(CheckoutOptions::new()).await.unwrap().making() },
            )
        };
        yield_now().await;
        fakes.always(MakeBehaviour::Hang);
        if grow {
            resize(&pool, 2);
        } else {
            lease.give_back(Disposition::Reuse);
        }
        assert_eq!(waiter.await.unwrap(), Duration::ZERO);
        fakes.always(MakeBehaviour::Prompt);
    }
}

#[test]
fn each_strategy_states_its_maximum_of_live_workers() {
    for (strategy, live) in [
        (Strategy::inline(), 1),
        (Strategy::lazy(), 100),
        (Strategy::fixed(Some(n(2)), Some(n(5))).unwrap(), 7),
        (Strategy::adaptive(), 200),
    ] {
        assert_eq!(strategy.max_live().get(), live, "{strategy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_worker_never_serves_again() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), reuse(Config::new(Strategy::lazy()), 1_000));
    for (disposition, reason) in [
        (Some(Disposition::Retire(Retired::Failed)), Retired::Failed),
        (Some(Disposition::Retire(Retired::TimedOut)), Retired::TimedOut),
        (Some(Disposition::Retire(Retired::Exited)), Retired::Exited),
        (None, Retired::Cancelled),
    ] {
        let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
        match disposition {
            Some(disposition) => lease.give_back(disposition),
            None => drop(lease),
        }
        let stats = pool.stats();
        assert_eq!((fakes.alive(), stats.busy, stats.retired_for(reason)), (0, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_costs_its_own_worker_only() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), reuse(Config::new(Strategy::inline()), 10));
    let panicking = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let _lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
            panic!("the call panics");
        })
    };
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!((fakes.alive(), pool.stats().retired_for(Retired::Panicked)), (0, 1));
    assert_eq!(call(&pool).await, 2);
}

#[tokio::test(start_paused = true)]
async fn factory_error_fails_only_its_call() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), Config::new(Strategy::inline()));
    fakes.next([MakeBehaviour::Fail, MakeBehaviour::Panic, MakeBehaviour::Hang]);
    let refused = pool.check_out(CheckoutOptions::new()).await;
    assert!(matches!(refused, Err(PoolError::Factory(_))), "{refused:?}");
    let refused = pool.check_out(CheckoutOptions::new()).await;
    assert!(
        matches!(&refused, Err(PoolError::FactoryPanicked { message }) if message == "the fake was told to panic"),
        "{refused:?}"
    );
    let deadline = Instant::now() + 20 * MS;
    let refused = pool.check_out(CheckoutOptions::new().with_deadline(Some(deadline))).await;
    assert!(
        matches!(refused, Err(PoolError::TimedOut { waited: Duration::ZERO, making }) if making == 20 * MS),
        "{refused:?}"
    );
    assert_eq!(call(&pool).await, 1);
    let stats = pool.stats();
    assert_eq!((stats.failed, stats.created, stats.busy, fakes.alive()), (3, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn background_creation_backs_off_after_failures() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2, 2));
    fakes.always(MakeBehaviour::Panic);
    assert!(pool.check_out(CheckoutOptions::new()).await.is_err());
    sleep(Duration::from_secs(10)).await;
    assert!((8..=12).contains(&fakes.asked()), "{} attempts in 10 s", fakes.asked());
    let before = fakes.asked();
    for _ in 0..100 {
        assert!(pool.check_out(CheckoutOptions::new()).await.is_err());
        sleep(MS).await;
    }
    assert!(fakes.asked() <= before + 101, "calls do not hurry it");
    fakes.always(MakeBehaviour::Prompt);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(pool.stats().ready, 2, "it recovers by itself");
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_hangs_in_the_background_is_given_up() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1, 1).with_make_timeout(100 * MS));
    fakes.next([MakeBehaviour::Prompt, MakeBehaviour::Hang]);
    assert_eq!(call(&pool).await, 1);
    sleep(50 * MS).await;
    assert_eq!(call(&pool).await, 2, "a call does not wait for the background task");
    sleep(100 * MS).await;
    assert_eq!((pool.stats().failed, pool.stats().ready), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_warm_up_says_so_and_keeps_what_it_made() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(3, 3).with_warm_start(true));
    fakes.next([MakeBehaviour::Prompt, MakeBehaviour::Fail]);
    assert!(matches!(pool.warm().await, Err(PoolError::Factory(_))));
    assert_eq!(pool.stats().ready, 1);
    assert_eq!(pool.warm().await.unwrap(), 2, "what is missing");
}

#[tokio::test(start_paused = true)]
async fn the_background_task_ends_with_the_pool() {
    let fakes = FakeFactory::new();
    let metrics = tokio::runtime::Handle::current().metrics();
    let lazy = Config::new(Lazy::new());
    for config in [fixed(2, 2), reuse(lazy, 10)] {
        let pool = Pool::new(fakes.clone(), config);
        call(&pool).await;
        sleep(10 * MS).await;
        assert_eq!(metrics.num_alive_tasks(), 1);
        drop(pool);
        sleep(10 * MS).await;
        assert_eq!((metrics.num_alive_tasks(), fakes.alive()), (0, 0));
    }
}

#[test]
fn the_background_task_is_started_again_in_another_runtime() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2, 2));
    for round in 1..=2 {
        paused().block_on(async {
            call(&pool).await;
            sleep(10 * MS).await;
        });
        assert_eq!(pool.stats().ready, 2, "round {round}");
    }
    assert_eq!(fakes.made(), 4);
}

#[tokio::test(start_paused = true)]
async fn ready_workers_are_shed_where_none_are_to_be_kept() {
    let reuse = std::num::NonZeroU32::new(9).unwrap();
    for (strategy, kept) in [(Strategy::lazy(), 0), (Strategy::fixed(Some(n(2)), None).unwrap(), 2)]
    {
        let fakes = FakeFactory::new();
        let pool = Pool::new(fakes.clone(), Config::new(strategy).with_reuse(reuse));
        let leases = [
            pool.check_out(CheckoutOptions::new()).await,
            pool.check_out(CheckoutOptions::new()).await,
        ];
        for lease in leases {
            lease.unwrap().give_back(Disposition::Reuse);
        }
        assert_eq!(pool.stats().ready, 2);
        assert_eq!(pool.release_idle(), 2 - kept);
        assert_eq!(pool.stats().ready as usize, kept);
        assert_eq!(pool.release_idle(), 0);
        pool.check_out(CheckoutOptions::new()).await.unwrap().give_back(Disposition::Reuse);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_made_shared_has_the_same_permit_and_keeps_the_pool() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), reuse(Config::new(Strategy::inline()), 2));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap().into_shared().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.busy, stats.retired_for(Retired::Cancelled)), (1, 0));
    let weak = Arc::downgrade(&pool);
    drop(pool);
    let pool = tokio::spawn(async move {
        assert_eq!(lease.number(), 1);
        let pool = weak.upgrade().unwrap();
        lease.give_back(Disposition::Reuse);
        pool
    })
    .await
    .unwrap();
    assert_eq!((pool.stats().busy, call(&pool).await, fakes.made()), (0, 1, 1));
}
