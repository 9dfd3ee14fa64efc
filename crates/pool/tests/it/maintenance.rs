//! The background task: refills, pauses after failures, and ends with its pool.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::testing::{FakeFactory, MakeBehaviour};
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, PoolError, Retired, Strategy};
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::support::{call, fixed, n, paused, reuse};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Milliseconds between the attempts to make a worker, over `time`.
async fn gaps(fakes: &FakeFactory, time: Duration) -> Vec<u128> {
    let (start, mut last, mut asked, mut gaps) =
        (Instant::now(), Instant::now(), fakes.asked(), Vec::new());
    while start.elapsed() < time {
        sleep(MS).await;
        if fakes.asked() > asked {
            asked = fakes.asked();
            gaps.push(last.elapsed().as_millis());
            last = Instant::now();
        }
    }
    gaps
}

#[tokio::test(start_paused = true)]
async fn the_pause_doubles_to_30_s_and_resets_after_a_success() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1, 1));
    // The first call makes its own worker; the second finds the one that was ready in the end.
    fakes.next([MakeBehaviour::Prompt]);
    for _ in 0..2 {
        fakes.always(MakeBehaviour::Fail);
        call(&pool).await;
        let gaps = gaps(&fakes, 90 * SECOND).await;
        let expected = [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 30_000];
        // The first attempt is immediate, and the clock is read every millisecond.
        let near = |(found, wanted): (&u128, &u128)| found.abs_diff(*wanted) <= 2;
        assert!(gaps.len() == 14 && gaps[1..].iter().zip(&expected).all(near), "{gaps:?}");
        assert_eq!(pool.stats().failed, fakes.asked() as u64 - pool.stats().created);
        let asked = fakes.asked();
        sleep(Duration::from_secs(7_200)).await;
        assert!((239..=241).contains(&(fakes.asked() - asked)), "hours later it still tries");
        fakes.always(MakeBehaviour::Prompt);
        sleep(31 * SECOND).await;
        assert_eq!(pool.stats().ready, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_pool_in_a_pause() {
    let metrics = Handle::current().metrics();
    for drain in [true, false] {
        let fakes = FakeFactory::new();
        fakes.always(MakeBehaviour::Fail);
        let pool = Pool::new(fakes.clone(), fixed(2, 2));
        assert!(pool.check_out(CheckoutOptions::new()).await.is_err());
        sleep(10 * SECOND).await;
        assert_eq!(metrics.num_alive_tasks(), 1);
        let kept = drain.then(|| Arc::clone(&pool));
        if drain {
            assert!(pool.drain(SECOND).await.is_clean());
        }
        drop(pool);
        sleep(MS).await;
        assert_eq!(metrics.num_alive_tasks(), 0, "the pause would last for seconds");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn drained_pool_is_idle() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2, 3).with_warm_start(true));
    assert_eq!(pool.warm().await.unwrap(), 3);
    call(&pool).await;
    sleep(10 * MS).await;
    assert!(pool.drain(SECOND).await.is_clean());
    assert_eq!(pool.warm().await.unwrap(), 0);
    sleep(10 * MS).await;
    assert_eq!((fakes.asked(), fakes.alive(), pool.stats().ready), (4, 0, 0));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_made_during_a_drain_is_dropped() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1, 1));
    fakes.next([MakeBehaviour::Prompt, MakeBehaviour::After(10 * MS)]);
    call(&pool).await;
    sleep(MS).await;
    assert_eq!(fakes.asked(), 2);
    assert!(pool.drain(SECOND).await.is_clean());
    sleep(50 * MS).await;
    let stats = pool.stats();
    assert_eq!((stats.created, stats.ready, fakes.alive()), (2, 0, 0));
    assert_eq!(stats.retired_for(Retired::Drained), 1);
}

#[tokio::test(start_paused = true)]
async fn pool_warms_up_once_within_its_timeout() {
    let fakes = FakeFactory::new();
    let cold = Pool::new(fakes.clone(), fixed(2, 4));
    assert_eq!((cold.warm().await.unwrap(), fakes.asked()), (0, 0));
    let warm = fixed(2, 4).with_warm_start(true).with_make_timeout(100 * MS);
    let pool = Pool::new(fakes.clone(), warm);
    fakes.always(MakeBehaviour::After(MS));
    let (one, other) = tokio::join!(pool.warm(), pool.warm());
    assert_eq!((one.unwrap() + other.unwrap(), fakes.asked()), (4, 4), "no worker for two");
    let pool = Pool::new(fakes.clone(), warm);
    call(&pool).await;
    yield_now().await;
    let (asked, warmed) = (fakes.asked(), pool.warm().await.unwrap());
    sleep(10 * MS).await;
    assert_eq!((asked, warmed, fakes.asked()), (6, 0, 9), "the background task is at them");
    let pool = Pool::new(fakes.clone(), warm);
    fakes.next([MakeBehaviour::Prompt, MakeBehaviour::Hang]);
    let warmed = pool.warm().await;
    assert!(
        matches!(warmed, Err(PoolError::TimedOut { waited: Duration::ZERO, making }) if making == 100 * MS),
        "{warmed:?}"
    );
    assert_eq!((pool.stats().ready, pool.stats().failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_factory_is_given_up_after_30_s_by_default() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1, 1));
    fakes.next([MakeBehaviour::Prompt, MakeBehaviour::Hang]);
    call(&pool).await;
    sleep(Duration::from_millis(29_900)).await;
    assert_eq!(pool.stats().failed, 0);
    sleep(200 * MS).await;
    assert_eq!((pool.stats().failed, pool.stats().ready), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn other_tasks_run_during_a_refill() {
    let pool = Pool::new(FakeFactory::new(), fixed(64, 64));
    call(&pool).await;
    let mut seen = BTreeSet::new();
    while pool.stats().ready < 64 {
        yield_now().await;
        seen.insert(pool.stats().ready);
    }
    assert!(seen.len() > 32, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_do_not_hurry_a_refill() {
    let pool = Pool::new(FakeFactory::new(), fixed(2, 4));
    for _ in 0..3 {
        call(&pool).await;
        sleep(2 * MS).await;
        assert_eq!(pool.stats().ready, 4);
        // Paused time does not advance while a task is runnable.
        for _ in 0..50 {
            call(&pool).await;
            yield_now().await;
        }
        assert_eq!(pool.stats().ready, 0, "one refill a millisecond, and callers make their own");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_returned_worker_serves_first_and_others_idle_out() {
    let fakes = FakeFactory::new();
    let lazy = Lazy::new().with_idle_timeout(500 * MS);
    let pool = Pool::new(fakes.clone(), reuse(Config::new(lazy), 1_000));
    let start = Instant::now();
    let alive_at = async |ms: u32| {
        tokio::time::sleep_until(start + ms * MS).await;
        fakes.alive()
    };
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(pool.check_out(CheckoutOptions::new()).await.unwrap());
    }
    for (lease, ms) in leases.into_iter().zip([0, 300, 450]) {
        assert_eq!(alive_at(ms).await, 3);
        lease.give_back(Disposition::Reuse);
    }
    assert_eq!(alive_at(460).await, 3);
    assert_eq!(call(&pool).await, 3);
    for (ms, alive) in [(499, 3), (502, 2), (799, 2), (802, 1), (959, 1), (962, 0)] {
        assert_eq!(alive_at(ms).await, alive, "after {ms} ms");
    }
    assert_eq!((pool.stats().ready, pool.stats().retired_for(Retired::Idle)), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn inline_and_lazy_keep_an_idle_worker_for_30_s_by_default() {
    for strategy in [Strategy::inline(), Strategy::lazy()] {
        let fakes = FakeFactory::new();
        let pool = Pool::new(fakes.clone(), reuse(Config::new(strategy), 9));
        call(&pool).await;
        sleep(Duration::from_millis(29_900)).await;
        assert_eq!(fakes.alive(), 1, "{strategy:?}");
        sleep(200 * MS).await;
        assert_eq!(fakes.alive(), 0, "{strategy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn inline_and_lazy_without_reuse_run_no_task() {
    let pools = [Strategy::inline(), Strategy::lazy()]
        .map(|strategy| Pool::new(FakeFactory::new(), Config::new(strategy)));
    for pool in pools {
        call(&pool).await;
        sleep(MS).await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "{:?}", pool.config());
    }
}

#[tokio::test(start_paused = true)]
async fn worker_returned_to_full_stock_is_dropped() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), reuse(fixed(2, 2), 100));
    fakes.next([MakeBehaviour::Prompt, MakeBehaviour::After(5 * MS), MakeBehaviour::Prompt]);
    let one = pool.check_out(CheckoutOptions::new()).await.unwrap();
    sleep(MS).await;
    let two = pool.check_out(CheckoutOptions::new()).await.unwrap();
    assert_eq!((one.number(), two.number(), fakes.asked()), (1, 2, 3), "one is on its way");
    one.give_back(Disposition::Reuse);
    two.give_back(Disposition::Reuse);
    sleep(10 * MS).await;
    assert_eq!((pool.stats().ready, fakes.made(), fakes.alive()), (2, 3, 2));
    assert_eq!(pool.stats().retired_for(Retired::Surplus), 1);
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_pool_never_has_more_than_twice_its_maximum() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), Config::new(Adaptive::new().with_max(n(3))));
    for _ in 0..20 {
        for _ in 0..50 {
            call(&pool).await;
        }
        sleep(2 * MS).await;
        assert_eq!(pool.stats().ready, 3);
    }
    assert!(fakes.most_alive() <= pool.config().strategy().max_live().get());
}

#[test]
fn maintenance_starts_with_the_first_call_in_a_runtime() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(2, 2));
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(pin!(call(&pool)).poll(cx).is_ready(), "callers make their own");
    }
    paused().block_on(async {
        call(&pool).await;
        sleep(10 * MS).await;
    });
    assert_eq!(pool.stats().ready, 2);
}

#[test]
fn maintenance_moves_to_the_next_runtime() {
    let pool = Pool::new(FakeFactory::new(), fixed(2, 2));
    for _ in 0..2 {
        paused().block_on(async {
            call(&pool).await;
            // Time does not advance: when the runtime ends, the task has looked once and is about to look again.
            for _ in 0..20 {
                yield_now().await;
            }
            assert_eq!(pool.stats().ready, 2);
            call(&pool).await;
        });
    }
}
