//! Statistics of a pool, written under its lock and read without it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::factory::Retired;

/// Upper bounds of the buckets of [`WaitHistogram`], in microseconds. The first bucket holds calls that did not wait.
pub const WAIT_BOUNDS: [u64; 16] = [
    0, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000, 30_000_000,
];

/// Retirement reasons, in the order of [`Stats::retired`].
pub const RETIRED_REASONS: [Retired; 11] = [
    Retired::Worn,
    Retired::Failed,
    Retired::TimedOut,
    Retired::Exited,
    Retired::Cancelled,
    Retired::Interrupted,
    Retired::Panicked,
    Retired::Stale,
    Retired::Idle,
    Retired::Surplus,
    Retired::Drained,
];

/// Snapshot of a pool's statistics. Each number is exact at some moment of the reading; two numbers may be from
/// different moments.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that may run at once now.
    pub workers: u64,
    /// Calls that hold a permit: running, or waiting for their worker to be made.
    pub busy: u64,
    /// Workers that are ready for a call.
    pub ready: u64,
    /// Calls that wait for a permit.
    pub queued: u64,
    /// Calls admitted so far.
    pub admitted: u64,
    /// Calls that returned their permit, regardless of their outcome.
    pub finished: u64,
    /// Calls refused because the buffer was full.
    pub saturated: u64,
    /// Waiting times of the admitted calls.
    pub waits: WaitHistogram,
    /// Workers made.
    pub created: u64,
    /// Failed attempts to make a worker: errors, panics and timeouts.
    pub failed: u64,
    /// Workers retired, in the order of [`RETIRED_REASONS`].
    pub retired: [u64; RETIRED_REASONS.len()],
}

impl Stats {
    /// Workers retired for `reason`.
    #[must_use]
    pub fn retired_for(&self, reason: Retired) -> u64 {
        let mut both = RETIRED_REASONS.iter().zip(self.retired);
        both.find(|(known, _)| **known == reason).map_or(0, |(_, count)| count)
    }

    /// Workers retired for any reason.
    #[must_use]
    pub fn retired_in_all(&self) -> u64 {
        self.retired.iter().sum()
    }
}

/// Histogram of waiting times over the fixed buckets of [`WAIT_BOUNDS`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WaitHistogram {
    /// Calls per bucket. The last bucket, beyond the bounds, holds all longer waits.
    pub buckets: [u64; WAIT_BOUNDS.len() + 1],
    /// Sum of all waiting times.
    pub total: Duration,
}

/// Counters that the pool writes. Those on the call path are written only under the pool's lock, so a plain load
/// and store suffices and no call pays for a locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) workers: Gauge,
    pub(crate) busy: Gauge,
    pub(crate) ready: Gauge,
    pub(crate) queued: Gauge,
    pub(crate) admitted: Gauge,
    pub(crate) finished: Gauge,
    saturated: AtomicU64,
    waits: [Gauge; WAIT_BOUNDS.len() + 1],
    waited_us: Gauge,
    created: AtomicU64,
    failed: AtomicU64,
    retired: [AtomicU64; RETIRED_REASONS.len()],
}

/// A number with one writer at a time.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Relaxed);
    }

    pub(crate) fn store(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn bump(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Counters {
    pub(crate) fn saturated(&self) {
        self.saturated.fetch_add(1, Relaxed);
    }

    pub(crate) fn created(&self) {
        self.created.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn retired(&self, reason: Retired, count: usize) {
        let mut both = RETIRED_REASONS.iter().zip(&self.retired);
        if let Some((_, slot)) = both.find(|(known, _)| **known == reason) {
            slot.fetch_add(count as u64, Relaxed);
        }
    }

    /// Counts a call that waited. The first bucket is derived from `admitted`.
    pub(crate) fn waited(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = WAIT_BOUNDS.iter().take_while(|bound| us > **bound).count().max(1);
        if let Some(slot) = self.waits.get(bucket) {
            slot.bump();
        }
        self.waited_us.store(self.waited_us.value().wrapping_add(us));
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let mut buckets = self.waits.each_ref().map(Gauge::value);
        let after_a_wait: u64 = buckets.iter().sum();
        let admitted = self.admitted.value();
        if let Some(first) = buckets.first_mut() {
            *first = admitted.saturating_sub(after_a_wait);
        }
        Stats {
            workers: self.workers.value(),
            busy: self.busy.value(),
            ready: self.ready.value(),
            queued: self.queued.value(),
            admitted,
            finished: self.finished.value(),
            saturated: self.saturated.load(Relaxed),
            waits: WaitHistogram { buckets, total: Duration::from_micros(self.waited_us.value()) },
            created: self.created.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retired: self.retired.each_ref().map(|count| count.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_in_the_right_bucket() {
        let counters = Counters::default();
        for _ in 0..4 {
            counters.admitted.bump();
        }
        for us in [50, 51, 40_000_000] {
            counters.waited(Duration::from_micros(us));
        }
        let waits = counters.snapshot().waits;
        let filled: Vec<_> = waits.buckets.iter().enumerate().filter(|(_, n)| **n > 0).collect();
        assert_eq!(filled, [(0, &1), (1, &1), (2, &1), (WAIT_BOUNDS.len(), &1)]);
        assert_eq!(waits.total, Duration::from_micros(40_000_101));
    }

    #[test]
    fn every_reason_has_its_own_count() {
        let counters = Counters::default();
        for (n, reason) in RETIRED_REASONS.into_iter().enumerate() {
            counters.retired(reason, n + 1);
        }
        let stats = counters.snapshot();
        for (n, reason) in RETIRED_REASONS.into_iter().enumerate() {
            assert_eq!(stats.retired_for(reason), n as u64 + 1);
        }
        assert_eq!(stats.retired_in_all(), 66);
    }
}
