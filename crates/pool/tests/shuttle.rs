//! The gate under a scheduler that explores interleavings of its lock: no permit is lost or invented, every waiter
//! is woken, and every worker is accounted for.
//!
//! It compiles the gate's own sources with shuttle's lock in place of the standard one, and is therefore a test binary
//! of its own.
#![allow(clippy::too_many_lines, reason = "a test may list as many cases as it needs")]
#![expect(unreachable_pub, reason = "these sources are part of a library elsewhere")]
#![expect(dead_code, reason = "not every part of the sources is used")]
#![expect(clippy::panic, reason = "tests")]

mod sync {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
mod factory {
    pub(crate) use crisol_pool::Retired;
}
#[path = "../src/demand.rs"]
mod demand;
#[path = "../src/queue.rs"]
mod queue;
#[path = "../src/stats.rs"]
mod stats;
mod strategy {
    use std::time::Duration;

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct StrategyParams {
        pub(crate) start: usize,
        pub(crate) max: usize,
        pub(crate) keep: ReadyPolicy,
        pub(crate) idle: Option<Duration>,
    }

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum ReadyPolicy {
        None,
        Fixed(usize),
        Measured,
    }
}
#[path = "../src/gate.rs"]
mod gate;
#[path = "../src/state.rs"]
mod state;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gate::Gate;
use queue::Ticket;
use shuttle::future::block_on;
use shuttle::thread;
use state::{Admission, Effects, IdleWorker, Refusal};
use strategy::{ReadyPolicy, StrategyParams};
use tokio::time::Instant;

fn gate(start: usize, max: usize, buffer: usize) -> Arc<Gate<usize>> {
    let params = StrategyParams { start, max, keep: ReadyPolicy::None, idle: None };
    Arc::new(Gate::new(params, buffer, 1_000))
}

/// Applies effects like a pool does. Dropped workers are counted.
fn apply(effects: Effects<usize>, gone: &AtomicUsize) {
    if let Some(waker) = effects.wake {
        waker.wake();
    }
    if let Some(rare) = effects.rare {
        rare.wake.into_iter().for_each(Waker::wake);
        gone.fetch_add(rare.retired.len(), SeqCst);
    }
}

enum Way {
    In(Option<IdleWorker<usize>>),
    Refused(Refusal),
}

fn enter(gate: &Gate<usize>, gone: &AtomicUsize) -> Way {
    let mut ticket: Option<Ticket> = None;
    block_on(poll_fn(|cx| {
        if let Some(ticket) = &ticket {
            return gate.poll(ticket, Duration::ZERO, cx).map(|answer| match answer {
                Some(idle) => Way::In(idle),
                None => Way::Refused(Refusal::Draining),
            });
        }
        let (entry, effects) = gate.enter(0, cx);
        apply(effects, gone);
        match entry {
            Admission::Admitted(idle) => Poll::Ready(Way::In(idle)),
            Admission::Refused(refusal) => Poll::Ready(Way::Refused(refusal)),
            Admission::Queued(mine) => {
                ticket = Some(mine);
                Poll::Pending
            }
        }
    }))
}

#[test]
fn permits_bound_running_calls_and_reach_every_caller() {
    shuttle::check_random(
        || {
            let gate = gate(2, 2, 10);
            let shared = Arc::new([const { AtomicUsize::new(0) }; 3]);
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let (gate, shared) = (Arc::clone(&gate), Arc::clone(&shared));
                    thread::spawn(move || {
                        let [inside, made, gone] = &*shared;
                        for _ in 0..2 {
                            let Way::In(idle) = enter(&gate, gone) else { panic!("refused") };
                            assert!(inside.fetch_add(1, SeqCst) < 2);
                            let idle = idle.unwrap_or_else(|| IdleWorker {
                                worker: made.fetch_add(1, SeqCst),
                                uses: 0,
                                since: Instant::now(),
                            });
                            thread::yield_now();
                            inside.fetch_sub(1, SeqCst);
                            apply(gate.leave(Some(idle)), gone);
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.join().unwrap();
            }
            let [_, made, gone] = &*shared;
            let ready = std::iter::from_fn(|| gate.pop_ready()).count();
            assert_eq!(ready + gone.load(SeqCst), made.load(SeqCst), "no worker is lost");
            assert!(made.load(SeqCst) <= 2);
            assert_eq!(gate.occupancy(), (0, 0));
        },
        2_000,
    );
}

#[test]
fn a_waiter_that_gives_up_passes_its_grant_on() {
    shuttle::check_random(
        || {
            let gate = gate(1, 1, 10);
            let gone = Arc::new(AtomicUsize::new(0));
            let Way::In(None) = enter(&gate, &gone) else { panic!("it was free") };
            let (entry, _) = gate.enter(0, &Context::from_waker(Waker::noop()));
            let Admission::Queued(ticket) = entry else { panic!("it is taken") };
            let quitter = {
                let (gate, gone) = (Arc::clone(&gate), Arc::clone(&gone));
                thread::spawn(move || apply(gate.cancel(&ticket).0, &gone))
            };
            let waiter = {
                let (gate, gone) = (Arc::clone(&gate), Arc::clone(&gone));
                thread::spawn(move || {
                    assert!(matches!(enter(&gate, &gone), Way::In(_)));
                    apply(gate.leave(None), &gone);
                })
            };
            apply(gate.leave(None), &gone);
            quitter.join().unwrap();
            waiter.join().unwrap();
            assert_eq!(gate.occupancy(), (0, 0));
        },
        2_000,
    );
}

#[test]
fn a_drain_and_a_resize_beside_callers_lose_nobody() {
    shuttle::check_random(
        || {
            let gate = gate(1, 3, 10);
            let gone = Arc::new(AtomicUsize::new(0));
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let (gate, gone) = (Arc::clone(&gate), Arc::clone(&gone));
                    thread::spawn(move || match enter(&gate, &gone) {
                        Way::In(_) => apply(gate.leave(None), &gone),
                        Way::Refused(refusal) => assert_eq!(refusal, Refusal::Draining),
                    })
                })
                .collect();
            let sizer = {
                let (gate, gone) = (Arc::clone(&gate), Arc::clone(&gone));
                thread::spawn(move || {
                    apply(gate.resize(3), &gone);
                    apply(gate.resize(1), &gone);
                })
            };
            apply(gate.close(false), &gone);
            apply(gate.close(true), &gone);
            for caller in callers {
                caller.join().unwrap();
            }
            sizer.join().unwrap();
            assert_eq!(gate.occupancy(), (0, 0));
        },
        2_000,
    );
}

type Action = Box<dyn FnOnce(&Gate<usize>, &AtomicUsize) + Send>;

/// Queues by hand, so that a granted permit can stay unread for a while.
fn admit_or_queue(gate: &Gate<usize>) -> Ticket {
    let (entry, _) = gate.enter(0, &Context::from_waker(Waker::noop()));
    let Admission::Queued(ticket) = entry else { panic!("it is taken") };
    ticket
}

/// One call runs and two wait. The first waiter gives up while the permit returns with its worker, during a drain
/// whose grace may end.
#[test]
fn cancellation_during_a_drain_returns_permit_and_worker() {
    for drain in [false, true] {
        shuttle::check_random(
            move || {
                let gate = gate(1, 1, 10);
                let gone = Arc::new(AtomicUsize::new(0));
                let Way::In(None) = enter(&gate, &gone) else { panic!("it was free") };
                let (quits, stays) = (admit_or_queue(&gate), admit_or_queue(&gate));
                let on_its_own = |action: Action| {
                    let (gate, gone) = (Arc::clone(&gate), Arc::clone(&gone));
                    thread::spawn(move || action(&gate, &gone))
                };
                let beside = [
                    on_its_own(Box::new(move |gate, gone| apply(gate.cancel(&quits).0, gone))),
                    on_its_own(Box::new(|gate, gone| {
                        let idle = IdleWorker { worker: 7, uses: 1, since: Instant::now() };
                        apply(gate.leave(Some(idle)), gone);
                    })),
                    on_its_own(Box::new(move |gate, gone| {
                        if drain {
                            apply(gate.close(false), gone);
                            apply(gate.close(true), gone);
                        }
                    })),
                ];
                let cx = Context::from_waker(Waker::noop());
                let served = loop {
                    match gate.poll(&stays, Duration::ZERO, &cx) {
                        Poll::Ready(answer) => break answer,
                        Poll::Pending => thread::yield_now(),
                    }
                };
                match served {
                    Some(idle) => {
                        let idle = idle.expect("the worker comes with its permit");
                        apply(gate.leave(Some(idle)), &gone);
                    }
                    None => assert!(drain, "only a drain refuses waiting callers"),
                }
                beside.into_iter().for_each(|one| one.join().unwrap());
                assert_eq!(gate.occupancy(), (0, 0));
                let ready = std::iter::from_fn(|| gate.pop_ready()).count();
                assert_eq!((ready, gone.load(SeqCst)), if drain { (0, 1) } else { (1, 0) });
            },
            2_000,
        );
    }
}

/// A drain ends exactly when no call is left; the last one out reports it, on every path.
#[test]
fn drained_gate_reports_its_end_once() {
    shuttle::check_random(
        || {
            let gate = gate(1, 1, 10);
            let ends = Arc::new(AtomicUsize::new(0));
            let Way::In(None) = enter(&gate, &ends) else { panic!("it was free") };
            let waiting = admit_or_queue(&gate);
            drop(gate.close(false));
            let quitter = {
                let (gate, ends) = (Arc::clone(&gate), Arc::clone(&ends));
                thread::spawn(move || {
                    let effects = gate.cancel(&waiting).0;
                    ends.fetch_add(usize::from(effects.drained), SeqCst);
                })
            };
            ends.fetch_add(usize::from(gate.leave(None).drained), SeqCst);
            quitter.join().unwrap();
            assert_eq!((gate.occupancy(), ends.load(SeqCst)), ((0, 0), 1));
        },
        2_000,
    );
}
