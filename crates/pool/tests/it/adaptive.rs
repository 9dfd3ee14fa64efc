//! The adaptive pool in paused time: it grows if that pays, reports its decisions, and releases unused workers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crisol_pool::strategy::Adaptive;
use crisol_pool::strategy::adaptive::Reason;
use crisol_pool::testing::{FakeFactory, MakeBehaviour};
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, Retired};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

fn adaptive(max: usize) -> Config {
    Config::new(Adaptive::new().with_max(NonZeroUsize::new(max).unwrap())).with_warm_start(true)
}

/// Runs `callers` concurrent callers with `calls` calls each. Each tenth of a call takes `time` of the number of
/// calls that run then.
async fn load(
    pool: &Arc<Pool<FakeFactory>>,
    callers: usize,
    calls: usize,
    time: fn(u64) -> Duration,
) {
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let pool = Arc::clone(pool);
            tokio::spawn(async move {
                for _ in 0..calls {
                    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
                    for _ in 0..10 {
                        sleep(time(pool.stats().busy)).await;
                    }
                    lease.give_back(Disposition::Reuse);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_io_get_the_maximum_of_workers() {
    let pool = Pool::new(FakeFactory::new(), adaptive(32));
    assert_eq!(pool.warm().await.unwrap(), 4);
    load(&pool, 64, 40, |_| 2 * MS).await;
    assert_eq!(pool.stats().workers, 32);
    let decisions = pool.decisions();
    assert!(decisions.iter().any(|one| matches!(one.reason, Reason::Paid { .. })), "{decisions:?}");
    let first = decisions[0].to_string();
    assert_eq!(
        first,
        "0.02 s: 4 → 6 workers: 60 calls wait, and this concurrency has no recent measurements"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_get_in_each_others_way_get_few() {
    let pool = Pool::new(FakeFactory::new(), adaptive(64));
    // From four on, time grows in proportion to concurrency.
    load(&pool, 80, 50, |busy| MS * u32::try_from(busy.max(4)).unwrap()).await;
    let workers = pool.stats().workers;
    assert!((4..=16).contains(&workers), "{workers}: {:#?}", pool.decisions());
    let decisions = pool.decisions();
    assert!(
        decisions.iter().any(|one| matches!(one.reason, Reason::TooMany { .. })),
        "{decisions:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn unused_workers_are_released() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), adaptive(32));
    load(&pool, 64, 40, |_| 2 * MS).await;
    assert!(fakes.alive() > 4, "ready for the next burst");
    sleep(Duration::from_secs(180)).await;
    let stats = pool.stats();
    assert_eq!((stats.workers, stats.ready, fakes.alive()), (4, 1, 1));
    assert!(stats.retired_for(Retired::Surplus) > 0);
    assert!(matches!(pool.decisions().last().unwrap().reason, Reason::Unused { .. }));
}

#[tokio::test(start_paused = true)]
async fn it_scales_while_nothing_can_be_made_in_the_background() {
    for hang in [true, false] {
        let fakes = FakeFactory::new();
        let pool = Pool::new(fakes.clone(), adaptive(32));
        if hang {
            fakes.next([MakeBehaviour::Prompt, MakeBehaviour::Hang]);
            pool.check_out(CheckoutOptions::new()).await.unwrap().give_back(Disposition::Reuse);
            sleep(MS).await;
        } else {
            fakes.always(MakeBehaviour::Fail);
            assert!(pool.check_out(CheckoutOptions::new()).await.is_err());
            // By now the pause is as long as the load below.
            sleep(Duration::from_secs(15)).await;
            fakes.always(MakeBehaviour::Prompt);
        }
        load(&pool, 64, 40, |_| 2 * MS).await;
        assert_eq!((pool.stats().workers, pool.stats().created > 2_500), (32, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_had_to_grow_says_so() {
    let pool = Pool::new(FakeFactory::new(), adaptive(8).with_buffer(0));
    load(&pool, 6, 20, |_| MS).await;
    let decisions = pool.decisions();
    assert_eq!((decisions[0].from, decisions[0].to, decisions[0].reason), (4, 6, Reason::Pressed));
}
