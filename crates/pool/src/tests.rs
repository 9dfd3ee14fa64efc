//! Tests of the gate's internals. They are not in the gate's file, which `tests/shuttle.rs` compiles with another
//! lock.

use std::task::{Context, Waker};

use crate::gate::Gate;
use crate::state::{Admission, Refusal};
use crate::strategy::{ReadyPolicy, Strategy, StrategyParams};

#[test]
fn stats_are_read_without_the_lock() {
    let gate: Gate<()> = Gate::new(Strategy::lazy().params(), 3, 1);
    let lock = gate.lock();
    assert_eq!(gate.counters.snapshot().workers, 100);
    drop(lock);
}

#[test]
fn extreme_numbers_do_not_overflow_or_hide_a_deadlock() {
    let params =
        StrategyParams { start: 1, max: usize::MAX, keep: ReadyPolicy::Measured, idle: None };
    let gate: Gate<()> = Gate::new(params, usize::MAX, u32::MAX);
    let cx = Context::from_waker(Waker::noop());
    let mut settled = Vec::new();
    for held in [0, usize::MAX, usize::MAX - 1, 1, usize::MAX] {
        let (entry, effects) = gate.enter(held, &cx);
        let refused = matches!(entry, Admission::Refused(Refusal::WouldDeadlock { .. }));
        assert_eq!(refused, held == usize::MAX && settled.len() < 2);
        settled.push((entry, effects));
    }
    gate.set_ready_target(usize::MAX);
    drop(gate.resize(usize::MAX));
    assert_eq!(gate.counters.workers.value(), usize::MAX as u64);
    drop(gate.resize(0));
    assert_eq!((gate.occupancy(), gate.counters.workers.value()), ((4, 0), 1));
}

#[test]
fn a_call_wakes_the_background_task_once_after_each_rest() {
    let fixed = Strategy::fixed(None, None).map(|fixed| (fixed.params(), [true, false, true]));
    let lazy = (Strategy::lazy().params(), [false; 3]);
    for (params, wakes) in fixed.into_iter().chain([lazy]) {
        let gate: Gate<()> = Gate::new(params, 3, 1);
        let cx = Context::from_waker(Waker::noop());
        let mut woken = Vec::new();
        for rest in [false, false, true] {
            if rest {
                gate.park();
            }
            let (_entry, effects) = gate.enter(0, &cx);
            woken.push(effects.wake_task);
        }
        assert_eq!(woken, wakes);
    }
}

#[test]
fn demand_has_the_peak_between_two_measurements() {
    let params = StrategyParams { start: 1, max: 3, keep: ReadyPolicy::Measured, idle: None };
    let gate: Gate<()> = Gate::new(params, 3, 1);
    let cx = Context::from_waker(Waker::noop());
    let demand = || {
        let demand = gate.demand();
        (demand.peak, demand.busy, demand.queued)
    };
    let mut settled = vec![gate.enter(0, &cx), gate.enter(0, &cx)];
    let grown = gate.resize(2);
    let left = [gate.leave(None), gate.leave(None)];
    assert_eq!(demand(), (2, 0, 0), "the second was let in by the growth");
    assert_eq!(demand(), (0, 0, 0));
    settled.push(gate.enter(0, &cx));
    let gone = gate.leave(None);
    assert_eq!(demand(), (1, 0, 0));
    drop((settled, grown, left, gone));
}
