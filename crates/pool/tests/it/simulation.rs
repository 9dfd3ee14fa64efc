//! The adaptive rule on a simulated machine, compared with fixed sizes and with the simple rule "add one when the
//! queue is not empty". `cargo run --release --example simulation` prints the figures for more sizes.

mod loads;
mod machine;

use loads::{KINDS, SHAPES};
use machine::{Call, Outcome, Rule};

/// Sizes that are best for some load.
const SIZES: [usize; 4] = [4, 24, 32, 100];

/// The best result of the fixed sizes for a load, for each figure separately.
struct Best {
    throughput: f64,
    p99: f64,
}

impl Best {
    fn of(calls: &[Call]) -> Self {
        let fixed = SIZES.map(|workers| machine::run(calls, Rule::Fixed(workers)));
        Self {
            throughput: fixed.iter().map(|one| one.throughput).fold(0.0, f64::max),
            p99: fixed.iter().map(|one| one.p99).fold(f64::INFINITY, f64::min),
        }
    }

    /// True with at least 90 % of the throughput and at most 1.5 times the p99.
    fn is_near(&self, one: &Outcome) -> bool {
        one.throughput >= 0.9 * self.throughput && one.p99 <= 1.5 * self.p99
    }
}

fn stays_near_the_best_fixed_size(kind: usize, shape: usize) {
    let calls = loads::calls(KINDS[kind], SHAPES[shape], 40_000, 1);
    let best = Best::of(&calls);
    let adaptive = machine::run(&calls, Rule::adaptive());
    let Outcome { throughput, p99, .. } = &adaptive;
    assert!(
        best.is_near(&adaptive),
        "{} {}: {throughput:.0} of {:.0} calls/s, p99 {p99:.4} of {:.4} s: {:#?}",
        KINDS[kind].name,
        SHAPES[shape].name,
        best.throughput,
        best.p99,
        adaptive.decisions
    );
}

macro_rules! loads {
    ($($test:ident: $kind:literal $shape:literal,)*) => {
        $(#[test] fn $test() { stays_near_the_best_fixed_size($kind, $shape); })*
    };
}

loads! {
    calls_that_wait_in_bursts: 0 0,
    calls_that_wait_by_day_and_night: 0 1,
    calls_that_wait_in_a_step: 0 2,
    calls_that_wait_in_noise: 0 3,
    calls_that_wait_in_overload: 0 4,
    mixed_calls_in_bursts: 1 0,
    mixed_calls_by_day_and_night: 1 1,
    mixed_calls_in_a_step: 1 2,
    mixed_calls_in_noise: 1 3,
    mixed_calls_in_overload: 1 4,
    calls_that_compute_in_bursts: 2 0,
    calls_that_compute_by_day_and_night: 2 1,
    calls_that_compute_in_a_step: 2 2,
    calls_that_compute_in_noise: 2 3,
    calls_that_compute_in_overload: 2 4,
}

#[test]
fn the_simple_rule_misses_the_best_fixed_size() {
    for (kind, shape) in [(1, 2), (2, 4)] {
        let calls = loads::calls(KINDS[kind], SHAPES[shape], 40_000, 1);
        assert!(!Best::of(&calls).is_near(&machine::run(&calls, Rule::add_one())));
    }
}
