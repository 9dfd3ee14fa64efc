//! A call may be dropped at any await point: in the queue, while its worker is made, and while it runs. Each one is
//! tested in pools of every strategy.

use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::testing::{FakeFactory, FakeWorker, MakeBehaviour};
use crisol_pool::{CheckoutOptions, Config, Disposition, Pool, Strategy};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

fn pools(fakes: &FakeFactory) -> Vec<Arc<Pool<FakeFactory>>> {
    let one = NonZeroUsize::MIN;
    let strategies = [
        Strategy::inline(),
        Lazy::new().with_max(one).into(),
        Strategy::fixed(Some(one), None).unwrap(),
        Adaptive::new().with_max(one).into(),
    ];
    let configs = strategies.iter().flat_map(|strategy| {
        [1, 9].map(|reuse| Config::new(*strategy).with_reuse(NonZeroU32::new(reuse).unwrap()))
    });
    configs.map(|config| Pool::new(fakes.clone(), config)).collect()
}

/// A call with three await points: its permit, its worker, and its work.
async fn call(pool: &Arc<Pool<FakeFactory>>) {
    let deadline = Some(Instant::now() + Duration::from_secs(60));
    let options = CheckoutOptions::new().with_deadline(deadline);
    let lease = pool.check_out_shared(options, |_: &FakeWorker| true).await.unwrap();
    for _ in 0..3 {
        sleep(MS).await;
    }
    lease.give_back(Disposition::Reuse);
}

/// Polls `future` at most `times` times, each time that it may progress; returns true if it completed.
async fn poll_times(future: impl Future<Output = ()>, times: usize) -> bool {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if polls == times {
            return std::task::Poll::Ready(false);
        }
        polls += 1;
        let ended = future.as_mut().poll(cx).map(|()| true);
        // The future is dropped here after its last poll, at whichever point it waits.
        if ended.is_pending() && polls == times { std::task::Poll::Ready(false) } else { ended }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn call_dropped_at_any_poll_leaves_pool_intact() {
    let fakes = FakeFactory::new();
    fakes.always(MakeBehaviour::After(MS));
    for pool in pools(&fakes) {
        let (mut polls, mut ended) = (0, false);
        while !ended {
            let holder = {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { call(&pool).await })
            };
            yield_now().await;
            ended = poll_times(call(&pool), polls).await;
            polls += 1;
            holder.await.unwrap();
            let stats = pool.stats();
            assert_eq!((stats.busy, stats.queued), (0, 0), "{:?}, {polls} polls", pool.config());
            call(&pool).await;
        }
        assert!(polls > 5, "it was dropped in the queue, while its worker was made, and at work");
        assert!(pool.drain(Duration::ZERO).await.is_clean());
        sleep(100 * MS).await;
        assert_eq!(fakes.alive(), 0, "{:?}", pool.config());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_while_making_a_worker_frees_its_permit() {
    let fakes = FakeFactory::new();
    for pool in pools(&fakes) {
        fakes.next([MakeBehaviour::Hang]);
        let first = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { call(&pool).await })
        };
        yield_now().await;
        assert_eq!(pool.stats().busy, 1);
        let second = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { call(&pool).await })
        };
        yield_now().await;
        first.abort();
        second.await.unwrap();
        assert_eq!(pool.stats().busy, 0, "{:?}", pool.config());
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_behind_ten_thousand_that_leave_is_served() {
    for pool in pools(&FakeFactory::new()) {
        let pool = Pool::new(FakeFactory::new(), pool.config().with_buffer(usize::MAX));
        let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
        let waiters: Vec<_> = (0..10_000)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { call(&pool).await })
            })
            .collect();
        while pool.stats().queued < 10_000 {
            yield_now().await;
        }
        let last = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { call(&pool).await })
        };
        yield_now().await;
        assert_eq!(pool.stats().queued, 10_001);
        // Some hold a grant that they have not read.
        lease.give_back(Disposition::Reuse);
        for waiter in &waiters {
            waiter.abort();
        }
        last.await.unwrap();
        let stats = pool.stats();
        assert_eq!((stats.busy, stats.queued, stats.admitted), (0, 0, 2));
    }
}
