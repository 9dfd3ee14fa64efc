//! Tests of the controller alone: numbers and times in, decisions and reasons out.

use std::num::NonZeroUsize;
use std::time::Duration;

use crisol_pool::strategy::Adaptive;
use crisol_pool::strategy::adaptive::{Controller, Decision, Meter, Reason, Sample};
use proptest::prelude::{ProptestConfig, any};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A controller with its meter and clock.
struct Desk {
    controller: Controller,
    meter: Meter,
    now: Duration,
    workers: usize,
}

impl Desk {
    fn new(start: usize, max: usize) -> Self {
        let n = |n| NonZeroUsize::new(n).unwrap();
        let pool = Adaptive::new().with_start(n(start)).with_max(n(max));
        let controller = Controller::new(pool);
        Self { controller, meter: Meter::new(), now: Duration::ZERO, workers: start }
    }

    /// Records `calls` calls that took `took` each, at a concurrency of `at_once`.
    fn calls(&mut self, calls: usize, at_once: usize, took: Duration) -> &mut Self {
        for _ in 0..calls {
            self.meter.record(took, at_once, at_once - 1);
        }
        self
    }

    /// A step 20 ms later.
    fn look(&mut self, queued: usize) -> Option<(usize, Reason)> {
        self.look_after(20 * MS, queued, self.workers)
    }

    fn look_after(
        &mut self,
        time: Duration,
        queued: usize,
        peak: usize,
    ) -> Option<(usize, Reason)> {
        self.now += time;
        let sample = Sample { workers: self.workers, queued, peak };
        let Decision { at, from, to, reason, .. } =
            self.controller.step(self.now, sample, &self.meter)?;
        assert_eq!(at, self.now);
        assert_eq!(from == self.workers, reason != Reason::Pressed);
        self.workers = to;
        Some((to, reason))
    }

    /// A controller that measured equal throughput at eight and sixteen, and settled at eight.
    fn settled_at_eight() -> Self {
        let mut desk = Self::new(8, 100);
        desk.workers = 16;
        desk.look(0);
        desk.calls(200, 8, 10 * MS).calls(200, 16, 20 * MS);
        assert_eq!(desk.look(100), Some((8, Reason::TooMany { now: 800.0, then: 800.0 })));
        desk
    }
}

#[test]
fn short_queue_counts_after_five_checks_and_long_one_at_once() {
    let mut desk = Desk::new(4, 100);
    for round in 0..2 {
        for look in 0..4 {
            assert_eq!(desk.look(1), None, "round {round}, look {look}");
        }
        assert_eq!(desk.look(0), None);
    }
    let looks: Vec<_> = (0..5).map(|_| desk.look(1)).collect();
    assert_eq!(looks[..4], [None; 4]);
    assert_eq!(looks[4], Some((6, Reason::Untried { queued: 1 })));
    let mut desk = Desk::new(4, 100);
    assert_eq!(desk.look(4), None, "no longer than the workers are many");
    assert_eq!(desk.look(5), Some((6, Reason::Untried { queued: 5 })));
}

#[test]
fn growth_without_measurements_stops_after_three_levels() {
    let mut desk = Desk::new(4, 100);
    let levels: Vec<_> = (0..6).map(|_| desk.look(1_000).map(|(to, _)| to)).collect();
    assert_eq!(levels, [Some(6), Some(8), Some(12), None, None, None]);
    let mut desk = Desk::new(4, 7);
    let levels: Vec<_> = (0..3).map(|_| desk.look(1_000).map(|(to, _)| to)).collect();
    assert_eq!(levels, [Some(6), Some(7), None]);
}

#[test]
fn it_grows_while_doubling_brings_a_third_more_throughput() {
    // 400 calls a second at four. A third more is 533 at eight, and three fifths more are 640.
    for (served, to) in [(530.0, 8), (537.0, 12), (635.0, 12), (645.0, 16), (800.0, 16)] {
        let mut desk = Desk::new(4, 100);
        desk.workers = 8;
        desk.look(0);
        desk.calls(150, 4, 10 * MS).calls(150, 8, Duration::from_secs_f64(8.0 / served));
        let decision = desk.look(100);
        assert_eq!(desk.workers, to, "{served} calls a second: {decision:?}");
        if let Some((_, Reason::Paid { queued, before, now })) = decision {
            assert_eq!((queued, before.round(), now.round()), (100, 400.0, served));
        }
    }
}

#[test]
fn growth_to_the_best_level_is_two_levels_at_a_time() {
    let mut desk = Desk::new(4, 100);
    desk.workers = 8;
    desk.look(0);
    desk.calls(200, 8, 10 * MS).calls(200, 48, 24 * MS).calls(200, 96, 48 * MS);
    assert_eq!(desk.look(100), Some((16, Reason::TooFew { now: 800.0, then: 2_000.0 })));
}

#[test]
fn it_settles_at_the_fewest_workers_that_serve_as_well() {
    let mut desk = Desk::settled_at_eight();
    // It stays for two seconds, regardless of the queue.
    desk.workers = 16;
    desk.look(0);
    let pressed = desk.look(100);
    assert_eq!(pressed, None);
    assert_eq!(desk.look_after(2 * SECOND, 100, 16).map(|(to, _)| to), Some(8));
}

#[test]
fn smallest_level_with_95_percent_throughput_wins() {
    for (took, settles) in [(Duration::from_micros(10_400), 8), (Duration::from_micros(10_700), 12)]
    {
        let mut desk = Desk::new(4, 100);
        desk.workers = 24;
        desk.look(0);
        // The best is 800 calls a second at twelve.
        desk.calls(200, 8, took).calls(200, 12, 15 * MS).calls(200, 24, 31 * MS);
        assert_eq!(desk.look(100).map(|(to, _)| to), Some(settles), "{took:?}");
    }
}

#[test]
fn growth_needs_clearly_more_throughput() {
    for (took, goes) in [(Duration::from_micros(15_500), false), (13 * MS, true)] {
        let mut desk = Desk::new(4, 100);
        desk.workers = 8;
        desk.look(0);
        // Eight make 800; twelve make either slightly more, or so much more that eight are too few.
        desk.calls(200, 8, 10 * MS).calls(200, 12, took).calls(200, 24, 40 * MS);
        let decision = desk.look(100);
        match (goes, decision) {
            (true, Some((12, Reason::TooFew { now, then }))) => assert!(then > now),
            (false, Some((to, _))) => assert!(to < 8, "{decision:?}"),
            (false, None) => {}
            _ => assert_eq!(decision, None, "{took:?}"),
        }
    }
}

#[test]
fn the_lowest_known_level_is_compared_with_half_of_it() {
    for (start, to) in [(2, 4), (6, 6)] {
        let mut desk = Desk::new(start, 100);
        desk.workers = 8;
        desk.look(0);
        desk.calls(200, 8, 10 * MS).calls(200, 16, 20 * MS);
        assert_eq!(desk.look(100), Some((to, Reason::Compared)));
    }
}

#[test]
fn levels_with_more_calls_weigh_more() {
    let mut desk = Desk::new(2, 100);
    desk.workers = 16;
    desk.look(0);
    desk.calls(40, 4, 5 * MS).calls(200, 8, 10 * MS).calls(200, 16, 20 * MS);
    assert_eq!(desk.look(100).map(|(to, _)| to), Some(8));
}

#[test]
fn measurements_fade_at_any_count() {
    for calls in [200, 100_000] {
        let mut desk = Desk::new(8, 100);
        desk.calls(calls, 8, 10 * MS).calls(calls, 16, 20 * MS);
        desk.look(0);
        assert_eq!(desk.look(100), None, "more is known to bring nothing");
        let later = desk.look_after(60 * SECOND, 100, 8);
        assert_eq!(later, Some((12, Reason::Untried { queued: 100 })), "{calls} calls");
    }
}

#[test]
fn calls_that_suddenly_take_longer_or_shorter_make_it_forget() {
    // Calls that take half as long again are the same load; calls that take twice as long are another.
    for (took, forgets) in [(15, false), (20, true), (7, false), (5, true)] {
        let mut desk = Desk::new(8, 100);
        desk.calls(200, 8, 10 * MS).calls(200, 16, 20 * MS);
        desk.look(0);
        desk.calls(200, 8, took * MS);
        let grows = matches!(desk.look(100), Some((12, Reason::Paid { .. })));
        assert_eq!(grows, forgets, "{took} ms in place of 10");
    }
}

#[test]
fn half_unused_workers_are_released_after_30_to_60_s() {
    let mut desk = Desk::new(4, 100);
    desk.workers = 64;
    desk.look(0);
    // It was used in this window, so the next one has to pass as well.
    assert_eq!(desk.look_after(15 * SECOND, 0, 40), None);
    assert_eq!(desk.look_after(16 * SECOND, 0, 10), None);
    assert_eq!(desk.look_after(29 * SECOND, 0, 10), None);
    assert_eq!(desk.look_after(2 * SECOND, 0, 10), None, "40 of 64 ran a minute ago");
    assert_eq!(desk.look_after(31 * SECOND, 0, 1), Some((20, Reason::Unused { peak: 10 })));
    assert!(!desk.controller.is_at_rest());
    assert_eq!(desk.look_after(31 * SECOND, 0, 1), None, "10 of 20 ran a minute ago");
    assert_eq!(desk.look_after(31 * SECOND, 0, 1), Some((4, Reason::Unused { peak: 1 })));
    assert!(desk.controller.is_at_rest());
    assert_eq!(desk.look_after(31 * SECOND, 0, 0), None);
}

#[test]
fn growth_by_the_gate_is_recorded_once() {
    let mut desk = Desk::new(4, 100);
    desk.workers = 9;
    assert_eq!(desk.look(0), Some((9, Reason::Pressed)));
    assert_eq!(desk.look(0), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Every decision on random input is one that the pool can follow.
    #[test]
    fn decisions_are_bounded_and_justified(
        start in 1..20_usize,
        max in 1..60_usize,
        looks in collection::vec(
            (0..40_000_u64, 0..200_usize, 0..60_usize, 1..90_usize, 0..200_usize, 0..50_000_u64, any::<bool>()),
            1..60,
        ),
    ) {
        let mut desk = Desk::new(start, max);
        desk.workers = start.min(max);
        let start = desk.workers;
        for (after, queued, peak, at_once, calls, took, grow) in looks {
            desk.calls(calls, at_once, Duration::from_micros(took));
            let own = desk.workers;
            if grow {
                desk.workers = (own + 1).min(max);
            }
            let from = desk.workers;
            let Some((to, reason)) = desk.look_after(Duration::from_millis(after), queued, peak) else {
                prop_assert!(from == own, "growing is told");
                continue;
            };
            prop_assert!((1..=max).contains(&to), "{to} of {max}");
            match reason {
                Reason::Pressed => prop_assert!(grow && to == from),
                Reason::Unused { .. } => prop_assert!(to < from && to >= start),
                Reason::Compared | Reason::TooMany { .. } => prop_assert!(to < from && queued > 0),
                _ => prop_assert!(to > from && queued > 0, "{reason:?}"),
            }
            prop_assert_eq!(desk.controller.is_at_rest(), to <= start);
        }
    }
}
