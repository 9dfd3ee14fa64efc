//! The adaptive rule on a simulated machine, beside every fixed size and the plain rule "add one when the
//! queue is not empty". `cargo run --example simulation` prints the figures.

#[path = "simulation/loads.rs"]
mod loads;
#[path = "simulation/machine.rs"]
mod machine;

use loads::{KINDS, Kind, SHAPES};
use machine::{Outcome, Rule};

const SIZES: [usize; 9] = [2, 4, 5, 8, 16, 24, 32, 48, 100];

/// At least 90 % of the best throughput of a fixed size, and at most 1.5 times the best p99.
fn stays_near_the_best_fixed_size(kind: Kind) {
    let (mut theirs, mut ours) = (0, 0);
    for shape in SHAPES {
        let calls = loads::calls(kind, shape, 40_000, 1);
        let fixed = SIZES.map(|workers| machine::run(&calls, Rule::Fixed(workers)));
        let most = fixed.iter().map(|one| one.throughput).fold(0.0, f64::max);
        let least = fixed.iter().map(|one| one.p99).fold(f64::INFINITY, f64::min);
        let is_near = |one: &Outcome| one.throughput >= 0.9 * most && one.p99 <= 1.5 * least;
        let adaptive = machine::run(&calls, Rule::adaptive());
        let (name, Outcome { throughput, p99, .. }) = (shape.name, &adaptive);
        assert!(
            is_near(&adaptive),
            "{} {name}: {throughput:.0} of {most:.0} calls/s, p99 {p99:.4} of {least:.4} s: {:#?}",
            kind.name,
            adaptive.decisions
        );
        ours += 1;
        theirs += usize::from(is_near(&machine::run(&calls, Rule::add_one())));
    }
    assert!(theirs < ours, "the plain rule would do as well");
}

#[test]
fn calls_that_wait() {
    stays_near_the_best_fixed_size(KINDS[0]);
}

#[test]
fn calls_of_both_kinds() {
    stays_near_the_best_fixed_size(KINDS[1]);
}

#[test]
fn calls_that_compute() {
    stays_near_the_best_fixed_size(KINDS[2]);
}
