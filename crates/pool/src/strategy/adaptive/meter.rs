//! Service times by concurrency, the controller's input.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Number of levels of concurrency: 1, 2, 3, 4, 6, 8, 12, 16, 24 …, each about 1.4 times the one below.
pub(super) const LEVELS: usize = 33;

/// Level of `calls` at once: the highest that begins at or below it.
pub(super) fn level_of(calls: usize) -> usize {
    let calls = calls.max(1);
    let doublings = calls.ilog2() as usize;
    let half = if doublings > 0 { (calls >> (doublings - 1)) & 1 } else { 0 };
    // No level lies between 1 and 2.
    (2 * doublings + half).saturating_sub(1).min(LEVELS - 1)
}

/// Lowest concurrency of `level`.
pub(super) fn begin_of(level: usize) -> usize {
    match level.min(LEVELS - 1) {
        0 => 1,
        level => {
            let (doublings, half) = (level.div_ceil(2), (level + 1) % 2);
            (1 << doublings) + half * (1 << (doublings - 1))
        }
    }
}

/// Collects service times from the tasks of the calls.
#[derive(Debug)]
pub struct Meter([Cell; LEVELS]);

#[derive(Debug, Default)]
struct Cell {
    calls: AtomicU64,
    nanos: AtomicU64,
    at_once: AtomicU64,
}

/// Measurements at one level between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reading {
    pub(super) calls: u64,
    pub(super) nanos: u64,
    /// Sum of the concurrency over the calls.
    pub(super) at_once: u64,
}

impl Meter {
    /// Creates a meter without measurements.
    #[must_use]
    pub fn new() -> Self {
        Self(from_fn(|_| Cell::default()))
    }

    /// Records a call that took `service` from permit to end. `at_start` and `at_end` are the running calls, itself
    /// included, at its start and before its end.
    pub fn record(&self, service: Duration, at_start: usize, at_end: usize) {
        let at_once = at_start.midpoint(at_end.saturating_add(1)).max(1);
        if let Some(cell) = self.0.get(level_of(at_once)) {
            cell.calls.fetch_add(1, Relaxed);
            cell.nanos.fetch_add(u64::try_from(service.as_nanos()).unwrap_or(u64::MAX), Relaxed);
            cell.at_once.fetch_add(at_once as u64, Relaxed);
        }
    }

    /// Takes the measurements and resets the meter. A call that ends meanwhile may be split over this reading and
    /// the next.
    pub(super) fn take(&self) -> [Reading; LEVELS] {
        self.0.each_ref().map(|cell| Reading {
            calls: cell.calls.swap(0, Relaxed),
            nanos: cell.nanos.swap(0, Relaxed),
            at_once: cell.at_once.swap(0, Relaxed),
        })
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_contiguous_and_grow_by_half_and_third() {
        let begins: Vec<_> = (0..11).map(begin_of).collect();
        assert_eq!(begins, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]);
        for calls in 1..70_000 {
            let level = level_of(calls);
            assert!(begin_of(level) <= calls, "{calls}");
            assert!(level == LEVELS - 1 || calls < begin_of(level + 1), "{calls}");
        }
    }

    #[test]
    fn calls_count_at_their_mean_concurrency() {
        let meter = Meter::new();
        meter.record(Duration::from_micros(3), 1, 10);
        let readings = meter.take();
        assert_eq!(readings[level_of(6)], Reading { calls: 1, nanos: 3_000, at_once: 6 });
        assert_eq!(meter.take(), [Reading::default(); LEVELS]);
    }
}
