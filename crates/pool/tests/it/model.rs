//! Random schedules of callers, checked against a small model of permits and queue order.
//!
//! Every future is polled by hand, and only after its waker was called, so that a lost wake-up shows as a caller
//! that the model has admitted and the pool has not.

use std::collections::VecDeque;
use std::future::Future;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crisol_pool::strategy::{Adaptive, Lazy};
use crisol_pool::testing::{FakeError, FakeFactory, MakeBehaviour, resize};
use crisol_pool::{
    CheckoutOptions, Config, Disposition, Lease, Pool, PoolError, Retired, Strategy,
};
use proptest::prelude::{Just, ProptestConfig, any, prop_oneof};
use proptest::strategy::Strategy as Generator;
use proptest::{collection, prop_assert, prop_assert_eq, proptest};

#[derive(Debug, Clone)]
enum Step {
    /// A caller arrives with `held` workers among its ancestors; `making` applies if its worker must be made.
    Come {
        held: usize,
        making: MakeBehaviour,
    },
    /// The nth running call ends.
    End {
        nth: usize,
        disposition: Option<Disposition>,
    },
    /// The nth waiting call is dropped.
    Cancel {
        nth: usize,
    },
    /// Sets the number of calls that may run at once.
    Resize {
        workers: usize,
    },
    Drain,
    /// The grace of a drain ends.
    Close,
}

/// Steps, each with a flag to run the woken callers before the next step.
fn steps() -> impl Generator<Value = Vec<(Step, bool)>> {
    let making = prop_oneof![
        12 => Just(MakeBehaviour::Prompt),
        1 => Just(MakeBehaviour::Fail),
        1 => Just(MakeBehaviour::Panic),
    ];
    let disposition = prop_oneof![
        6 => Just(Some(Disposition::Reuse)),
        1 => Just(Some(Disposition::Retire(Retired::Failed))),
        1 => Just(None),
    ];
    let held = prop_oneof![8 => Just(0_usize), 1 => 1..3_usize];
    let step = prop_oneof![
        40 => (held, making).prop_map(|(held, making)| Step::Come { held, making }),
        30 => (any::<usize>(), disposition).prop_map(|(nth, disposition)| Step::End { nth, disposition }),
        10 => any::<usize>().prop_map(|nth| Step::Cancel { nth }),
        6 => (0..6_usize).prop_map(|workers| Step::Resize { workers }),
        1 => Just(Step::Drain),
        1 => Just(Step::Close),
    ];
    collection::vec((step, proptest::bool::weighted(0.7)), 1..120)
}

fn configs() -> impl Generator<Value = Config> {
    let n = |n| NonZeroUsize::new(n).unwrap();
    let strategy = prop_oneof![
        Just(Strategy::inline()),
        (1..4_usize).prop_map(move |max| Lazy::new().with_max(n(max)).into()),
        (1..4_usize).prop_map(move |workers| Strategy::fixed(Some(n(workers)), None).unwrap()),
        (1..4_usize, 1..3_usize).prop_map(move |(max, start)| Adaptive::new()
            .with_max(n(max))
            .with_start(n(start))
            .into()),
    ];
    (strategy, 0..4_usize, 1..4_u32).prop_map(|(strategy, buffer, reuse)| {
        Config::new(strategy).with_buffer(buffer).with_reuse(NonZeroU32::new(reuse).unwrap())
    })
}

type Checkout =
    Pin<Box<dyn Future<Output = Result<Lease<'static, FakeFactory>, PoolError<FakeError>>>>>;

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

struct Caller {
    id: usize,
    future: Checkout,
    woken: Arc<Woken>,
}

impl Caller {
    fn poll(&mut self) -> Poll<Result<Lease<'static, FakeFactory>, PoolError<FakeError>>> {
        self.woken.0.store(false, SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.woken))))
    }
}

/// The expected state.
#[derive(Debug, Default)]
struct Model {
    inside: Vec<usize>,
    /// Waiting callers, each with the number of workers that it blocks.
    waiting: VecDeque<(usize, usize)>,
    workers: usize,
    max: usize,
    buffer: usize,
    draining: bool,
    /// Callers that were refused and have not run since.
    refused: Vec<usize>,
}

#[derive(Debug, PartialEq)]
enum Expected {
    In,
    WaitHistogram,
    Saturated,
    Draining,
    WouldDeadlock,
}

impl Model {
    fn come(&mut self, id: usize, held: usize) -> Expected {
        if self.draining {
            return Expected::Draining;
        }
        if self.inside.len() >= self.workers {
            let blocked = self.blocked() + held;
            if held > 0 && blocked >= self.workers {
                if blocked >= self.max {
                    return Expected::WouldDeadlock;
                }
                self.resize(blocked + 1);
            }
            let full = self.inside.len() >= self.workers && self.waiting.len() >= self.buffer;
            if full {
                if self.workers >= self.max {
                    return Expected::Saturated;
                }
                self.resize(self.workers + 1);
            }
        }
        if self.inside.len() < self.workers {
            self.inside.push(id);
            Expected::In
        } else {
            self.waiting.push_back((id, held));
            Expected::WaitHistogram
        }
    }

    /// Workers that are blocked until the waiting callers are served.
    fn blocked(&self) -> usize {
        self.waiting.iter().map(|(_, held)| held).sum()
    }

    fn resize(&mut self, workers: usize) {
        self.workers = workers.max(self.blocked() + 1).min(self.max);
        self.fill();
    }

    fn fill(&mut self) {
        while self.inside.len() < self.workers {
            let Some((id, _)) = self.waiting.pop_front() else { return };
            self.inside.push(id);
        }
    }

    fn leave(&mut self, id: usize) {
        self.inside.retain(|inside| *inside != id);
        self.fill();
    }
}

struct World {
    fakes: FakeFactory,
    pool: Arc<Pool<FakeFactory>>,
    model: Model,
    callers: VecDeque<Caller>,
    leases: Vec<(usize, Lease<'static, FakeFactory>)>,
    next: usize,
}

impl World {
    fn new(config: Config) -> Self {
        let fakes = FakeFactory::new();
        let pool = Pool::new(fakes.clone(), config);
        let workers = usize::try_from(pool.stats().workers).unwrap();
        let max = config.strategy().max_workers().get();
        let model = Model { workers, max, buffer: config.buffer(), ..Model::default() };
        Self { fakes, pool, model, callers: VecDeque::new(), leases: Vec::new(), next: 0 }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Come { held, making } => self.come(held, making),
            Step::End { nth, disposition } if !self.leases.is_empty() => {
                let (id, lease) = self.leases.remove(nth % self.leases.len());
                match disposition {
                    Some(disposition) => lease.give_back(disposition),
                    None => drop(lease),
                }
                self.model.leave(id);
            }
            Step::Cancel { nth } if !self.callers.is_empty() => {
                let caller = self.callers.remove(nth % self.callers.len()).unwrap();
                self.model.waiting.retain(|(id, _)| *id != caller.id);
                drop(caller.future);
                // It may have been admitted without having run since.
                if self.model.inside.contains(&caller.id) {
                    self.model.leave(caller.id);
                }
            }
            Step::Resize { workers } => {
                resize(&self.pool, workers);
                self.model.resize(workers);
            }
            Step::Drain => {
                let mut drain = Box::pin(self.pool.drain(Duration::MAX));
                let over = drain.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
                self.model.draining = true;
                assert_eq!(over, self.model.inside.is_empty() && self.model.waiting.is_empty());
            }
            Step::Close => self.close(),
            Step::End { .. } | Step::Cancel { .. } => {}
        }
    }

    fn close(&mut self) {
        let mut drain = Box::pin(self.pool.drain(Duration::ZERO));
        let Poll::Ready(drained) = drain.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("no grace is over at once");
        };
        let model = &mut self.model;
        let left = (model.inside.len(), model.waiting.len());
        assert_eq!((drained.interrupted, drained.refused), left);
        model.draining = true;
        model.refused.extend(model.waiting.drain(..).map(|(id, _)| id));
    }

    /// Callers that were admitted and have not run since. All of them were woken.
    fn unaware(&self) -> usize {
        let inside = self.callers.iter().filter(|one| self.model.inside.contains(&one.id));
        inside.inspect(|one| assert!(one.woken.0.load(SeqCst), "{} was not woken", one.id)).count()
    }

    fn come(&mut self, held: usize, making: MakeBehaviour) {
        let id = self.next;
        self.next += 1;
        self.fakes.always(making);
        let pool = Arc::clone(&self.pool);
        let options = CheckoutOptions::new().with_held_workers(held);
        let future = Box::pin(async move { pool.check_out_shared(options, |_| true).await });
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let mut caller = Caller { id, future, woken };
        let expected = self.model.come(id, held);
        match (caller.poll(), expected) {
            (Poll::Pending, Expected::WaitHistogram) => self.callers.push_back(caller),
            (Poll::Ready(Err(PoolError::Saturated { waiting })), Expected::Saturated) => {
                assert_eq!(waiting, self.model.waiting.len());
            }
            (Poll::Ready(Err(PoolError::Draining)), Expected::Draining)
            | (Poll::Ready(Err(PoolError::WouldDeadlock { .. })), Expected::WouldDeadlock) => {}
            (Poll::Ready(answer), Expected::In) => self.came_in(id, answer),
            (found, expected) => panic!("expected {expected:?}, found {found:?}"),
        }
    }

    fn came_in(
        &mut self,
        id: usize,
        answer: Result<Lease<'static, FakeFactory>, PoolError<FakeError>>,
    ) {
        if let Some(at) = self.model.refused.iter().position(|one| *one == id) {
            self.model.refused.swap_remove(at);
            assert!(matches!(answer, Err(PoolError::Draining)), "{answer:?}");
            return;
        }
        assert!(self.model.inside.contains(&id), "{id} is not one whose turn it is");
        match answer {
            Ok(lease) => self.leases.push((id, lease)),
            Err(PoolError::Factory(_) | PoolError::FactoryPanicked { .. }) => self.model.leave(id),
            Err(other) => panic!("{id} was let in and got {other:?}"),
        }
    }

    fn run_the_woken(&mut self) {
        while let Some(at) = self.callers.iter().position(|one| one.woken.0.load(SeqCst)) {
            let mut caller = self.callers.remove(at).unwrap();
            match caller.poll() {
                Poll::Ready(answer) => self.came_in(caller.id, answer),
                Poll::Pending => self.callers.insert(at, caller),
            }
        }
    }
}

/// Hides the messages of panics of fakes: the pool catches the panics, and hundreds of runs would print them.
fn silence_fakes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some("the fake was told to panic") {
                print(info);
            }
        }));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_pool_does_what_the_model_does(config in configs(), steps in steps()) {
        silence_fakes();
        // A drain sets a timer; nothing else in this test does.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let mut world = World::new(config);
        for (step, at_once) in steps {
            world.take(step);
            if at_once {
                world.run_the_woken();
            }
            let unaware = world.unaware();
            let stats = world.pool.stats();
            let model = &world.model;
            prop_assert_eq!(stats.busy as usize, model.inside.len());
            prop_assert_eq!(stats.queued as usize, model.waiting.len());
            prop_assert_eq!(stats.workers as usize, model.workers);
            prop_assert_eq!(world.leases.len() + unaware, model.inside.len());
            let seen = stats.ready as usize + world.leases.len();
            prop_assert!(seen <= world.fakes.alive() && world.fakes.alive() <= seen + unaware);
            prop_assert_eq!(stats.created - stats.retired_in_all(), world.fakes.alive() as u64);
            prop_assert!(stats.workers as usize <= model.max);
            prop_assert_eq!(stats.admitted - stats.finished + unaware as u64, stats.busy);
        }
        world.run_the_woken();
        while !world.leases.is_empty() {
            world.take(Step::End { nth: 0, disposition: Some(Disposition::Reuse) });
            world.run_the_woken();
        }
        prop_assert!(world.callers.is_empty(), "every waiting caller is served");
        drop(world.pool);
        prop_assert_eq!(world.fakes.alive(), 0);
    }
}
