//! Foreign code that misbehaves: wakers and workers that panic, workers that block on drop, tasks whose last waker
//! the pool holds, times out of range.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::testing::{FakeFactory, FakeWorker, MakeBehaviour, resize};
use crisol_pool::{
    CheckoutOptions, Config, Disposition, Factory, Lease, Pool, PoolError, Retired, Strategy,
};
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep};

use crate::support::n;

const MS: Duration = Duration::from_millis(1);

fn fixed(workers: usize) -> Config {
    Config::new(Strategy::fixed(Some(n(workers)), None).unwrap()).with_warm_start(true)
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("the waker panics");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_keeps_nobody_else_asleep() {
    let pool =
        Pool::new(FakeFactory::new(), Config::new(Adaptive::new().with_max(n(8)).with_start(n(1))));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let waker = Waker::from(Arc::new(Panics));
    let mut broken = Box::pin(pool.check_out(CheckoutOptions::new()));
    assert!(broken.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut others = Vec::new();
    for _ in 0..3 {
        let pool = Arc::clone(&pool);
        others.push(tokio::spawn(async move {
            pool.check_out(CheckoutOptions::new()).await.map(drop).is_ok()
        }));
        yield_now().await;
    }
    // All four are granted at once; the first one's waker panics.
    assert!(catch_unwind(AssertUnwindSafe(|| resize(&pool, 5))).is_err());
    for other in others {
        assert!(other.await.unwrap());
    }
    drop(broken);
    lease.give_back(Disposition::Reuse);
    assert!(pool.drain(Duration::ZERO).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_at_a_calls_end_leaves_the_pool_intact() {
    let pool = Pool::new(FakeFactory::new(), Config::new(Strategy::inline()));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let waker = Waker::from(Arc::new(Panics));
    let mut broken = Box::pin(pool.check_out(CheckoutOptions::new()));
    assert!(broken.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| lease.give_back(Disposition::Reuse))).is_err());
    drop(broken);
    assert!(pool.check_out(CheckoutOptions::new()).await.is_ok());
    assert_eq!(pool.stats().busy, 0);
}

/// A hand-made task that lives as long as one of its wakers.
struct Task(#[expect(dead_code, reason = "it is there to be dropped")] Work);

type Work = Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn pool_can_drop_the_last_waker_of_a_task_with_a_lease() {
    let now = &mut Context::from_waker(Waker::noop());
    for leave in [false, true] {
        let pool = Pool::new(FakeFactory::new(), Config::new(Strategy::inline()));
        let mut check_out =
            pin!(pool.check_out_shared(CheckoutOptions::new(), |_: &FakeWorker| true));
        let Poll::Ready(Ok(lease)) = check_out.as_mut().poll(now) else { panic!("it is free") };
        let task = Arc::new(Task(Mutex::new(Box::pin(async move {
            let _lease = lease;
            std::future::pending::<()>().await;
        }))));
        let mut waiter = Box::pin(pool.check_out(CheckoutOptions::new()));
        let waker = Waker::from(Arc::clone(&task));
        assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop((task, waker));
        // The pool's clone of the waker is the last one; its drop gives the lease back.
        if !leave {
            assert!(waiter.as_mut().poll(now).is_pending());
            assert!(waiter.as_mut().poll(now).is_ready());
        }
        drop(waiter);
        assert_eq!(pool.stats().busy, 0);
    }
}

/// A worker with scripted behaviour on drop.
struct Rude(Option<Box<dyn FnOnce() + Send>>);

impl Drop for Rude {
    fn drop(&mut self) {
        if let Some(deed) = self.0.take() {
            deed();
        }
    }
}

type Deed = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Rudes(Mutex<Vec<Deed>>);

impl Factory for Rudes {
    type Worker = Rude;
    type Error = Infallible;

    async fn make(&self) -> Result<Rude, Infallible> {
        Ok(Rude(self.0.lock().unwrap().pop()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_when_dropped_costs_no_permit() {
    let pool = Pool::new(Rudes::default(), Config::new(Strategy::inline()));
    for give_back in [true, false] {
        pool.factory().0.lock().unwrap().push(Box::new(|| panic!("dropping panics")));
        let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
        let dropped = catch_unwind(AssertUnwindSafe(|| match give_back {
            true => lease.give_back(Disposition::Reuse),
            false => drop(lease),
        }));
        assert!(dropped.is_err());
        assert_eq!(pool.stats().busy, 0);
    }
    assert!(pool.check_out(CheckoutOptions::new()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_worker_panic_in_the_background_stops_nothing() {
    let adaptive = Adaptive::new().with_max(n(8)).with_start(n(4));
    let pool = Pool::new(Rudes::default(), Config::new(adaptive).with_warm_start(true));
    pool.factory().0.lock().unwrap().push(Box::new(|| panic!("dropping panics")));
    assert_eq!(pool.warm().await.unwrap(), 4);
    // The call makes its own worker, so the first one made is surplus later.
    pool.check_out(CheckoutOptions::new()).await.unwrap().give_back(Disposition::Reuse);
    sleep(Duration::from_secs(120)).await;
    assert!(pool.stats().retired_for(Retired::Surplus) > 0);
    for _ in 0..3 {
        pool.check_out(CheckoutOptions::new()).await.unwrap().give_back(Disposition::Reuse);
        sleep(5 * MS).await;
        assert_eq!(pool.stats().ready, 1, "it is filled up again");
    }
}

#[test]
fn a_worker_that_blocks_when_dropped_holds_nobody_else_up() {
    let pool = Pool::new(Rudes::default(), Config::new(Lazy::new().with_max(n(2))));
    let check_out = || {
        let mut lease = Box::pin(pool.check_out_shared(CheckoutOptions::new(), |_: &Rude| true));
        match lease.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(lease)) => lease,
            _ => panic!("there is room"),
        }
    };
    for end in [|lease: Lease<'static, Rudes>| lease.give_back(Disposition::Reuse), drop] {
        let (go, wait): (SyncSender<()>, Receiver<()>) = sync_channel(0);
        let (reached, dropping) = sync_channel(1);
        pool.factory().0.lock().unwrap().push(Box::new(move || {
            reached.send(()).unwrap();
            wait.recv().unwrap();
        }));
        let blocking = check_out();
        std::thread::scope(|scope| {
            let dropper = scope.spawn(move || end(blocking));
            dropping.recv().unwrap();
            for _ in 0..10 {
                check_out().give_back(Disposition::Reuse);
            }
            assert_eq!(pool.stats().busy, 1, "its permit stays with it until it is gone");
            go.send(()).unwrap();
            dropper.join().unwrap();
        });
        assert_eq!(pool.stats().busy, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_panic_in_a_drain_does_not_block_it() {
    let pool = Pool::new(Rudes::default(), fixed(1).with_reuse(NonZeroU32::MAX));
    pool.factory().0.lock().unwrap().push(Box::new(|| panic!("dropping panics")));
    let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
    let draining = {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { pool.drain(Duration::from_secs(1)).await })
    };
    yield_now().await;
    let start = Instant::now();
    assert!(catch_unwind(AssertUnwindSafe(|| lease.give_back(Disposition::Reuse))).is_err());
    assert!(draining.await.unwrap().is_clean());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Gives its lease back on drop.
struct Last<'p>(Option<Lease<'p, FakeFactory>>, Disposition);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            lease.give_back(self.1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fate_given_during_a_panic_is_used() {
    let pool = Pool::new(FakeFactory::new(), fixed(1).with_reuse(NonZeroU32::MAX));
    for disposition in [Disposition::Reuse, Disposition::Retire(Retired::Failed)] {
        let last = Last(Some(pool.check_out(CheckoutOptions::new()).await.unwrap()), disposition);
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _last = last;
            panic!("the call panics");
        }));
        assert!(panicked.is_err());
    }
    let stats = pool.stats();
    assert_eq!((stats.retired_for(Retired::Failed), stats.retired_in_all()), (1, 1));
}

/// A factory that panics with a scripted payload.
struct Panicking(fn());

impl Factory for Panicking {
    type Worker = ();
    type Error = Infallible;

    async fn make(&self) -> Result<(), Infallible> {
        self.0();
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn any_panic_payload_of_a_factory_is_an_error() {
    let panics: [(fn(), &str); 3] = [
        (|| panic!("a text"), "a text"),
        (|| panic!("text number {}", n(2)), "text number 2"),
        (|| std::panic::panic_any(3), "no message"),
    ];
    for (panic, expected) in panics {
        let pool = Pool::new(Panicking(panic), fixed(1));
        for _ in 0..2 {
            let refused = pool.check_out(CheckoutOptions::new()).await.map(drop);
            let Err(PoolError::FactoryPanicked { message }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!((message.as_str(), pool.stats().busy), (expected, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_past_deadline_gets_a_ready_worker_and_never_waits() {
    let fakes = FakeFactory::new();
    let pool = Pool::new(fakes.clone(), fixed(1));
    pool.warm().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let options = CheckoutOptions::new().with_deadline(Some(Instant::now() - MS));
    let lease = pool.check_out(options).await.unwrap();
    let refused = pool.check_out(options).await;
    assert!(
        matches!(refused, Err(PoolError::TimedOut { waited: Duration::ZERO, .. })),
        "{refused:?}"
    );
    drop(lease);
    fakes.always(MakeBehaviour::Hang);
    let refused = pool.check_out(options).await;
    assert!(
        matches!(refused, Err(PoolError::TimedOut { making: Duration::ZERO, .. })),
        "{refused:?}"
    );
    assert_eq!((pool.stats().busy, pool.stats().queued), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn extreme_numbers_are_valid() {
    let most = NonZeroUsize::MAX;
    let lazy = Lazy::new().with_max(most).with_idle_timeout(Duration::MAX);
    for strategy in [
        Strategy::Lazy(lazy),
        Strategy::fixed(Some(n(1)), Some(n(3))).unwrap(),
        Adaptive::new().with_max(most).with_start(n(2)).into(),
    ] {
        let config = Config::new(strategy)
            .with_buffer(usize::MAX)
            .with_reuse(NonZeroU32::MAX)
            .with_make_timeout(Duration::MAX);
        assert!(strategy.max_live() >= strategy.max_workers());
        let pool = Pool::new(FakeFactory::new(), config);
        for _ in 0..3 {
            let options = CheckoutOptions::new().with_held_workers(usize::MAX);
            pool.check_out(options).await.unwrap().give_back(Disposition::Reuse);
            sleep(5 * MS).await;
        }
        assert!(pool.drain(Duration::MAX).await.is_clean());
    }
    assert_eq!(Config::new(Lazy::new().with_max(most)).buffer(), usize::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_century_at_rest_changes_nothing() {
    for strategy in [Strategy::lazy(), Strategy::fixed(None, None).unwrap(), Strategy::adaptive()] {
        let config = Config::new(strategy).with_reuse(NonZeroU32::new(9).unwrap());
        let pool = Pool::new(FakeFactory::new(), config);
        for _ in 0..3 {
            let lease = pool.check_out(CheckoutOptions::new()).await.unwrap();
            lease.give_back(Disposition::Reuse);
            yield_now().await;
            // Something over a year, a hundred times.
            advance(Duration::from_secs(100 * 365 * 86_400)).await;
            sleep(Duration::from_secs(60)).await;
        }
        let stats = pool.stats();
        assert_eq!((stats.busy, stats.queued, stats.admitted), (0, 0, 3));
    }
}

/// A worker that is not `Sync`, like a Lua state.
struct Counter(Cell<u32>);

struct Counters;

impl Factory for Counters {
    type Worker = Counter;
    type Error = Infallible;

    async fn make(&self) -> Result<Counter, Infallible> {
        Ok(Counter(Cell::new(0)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_need_not_be_sync_to_move_between_tasks() {
    let config = fixed(1).with_reuse(NonZeroU32::MAX);
    let pool = Pool::new(Counters, config);
    for round in 1..=20 {
        let pool = Arc::clone(&pool);
        let lease: Lease<'static, Counters> = tokio::spawn(async move {
            pool.check_out_shared(CheckoutOptions::new(), |_: &Counter| true).await
        })
        .await
        .unwrap()
        .unwrap();
        tokio::spawn(async move {
            yield_now().await;
            lease.0.set(lease.0.get() + 1);
            assert_eq!(lease.0.get(), round);
            lease.give_back(Disposition::Reuse);
        })
        .await
        .unwrap();
    }
}
