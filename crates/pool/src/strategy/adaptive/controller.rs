//! Controller of the number of calls at once. Pure: takes numbers and time, returns a decision with its reason.
//!
//! **Input.** The service time of calls, from permit to end, at each level of concurrency. By Little's law, `n`
//! concurrent calls that take `S` each make `n / S` calls a second, so the levels together are a curve of
//! throughput over concurrency. Every call that ends adds to the curve, whether or not the pool was full.
//! Measurements fade (half in 10 s), and are discarded when the service time of a level changes suddenly.
//!
//! **Output.** The pool grows only while callers wait. It grows by one level while doubling the concurrency has
//! brought at least a third of the possible throughput, and by two levels while it has brought three fifths.
//! Without measurements, it grows by up to three levels. Once growth stops paying, the controller settles at the
//! smallest level with 95 % of the best throughput seen, and tries again after the measurements above that level
//! have faded. The best level may stem from another load: the controller moves down to it at once, but up by two
//! levels at most. The pool shrinks after less than half of it was used for at least half a minute.
//!
//! Calls that wait for I/O take as long at a concurrency of 64 as at 4, and the pool grows to its maximum. Calls
//! that compute take twice as long at twice the number of cores, and the pool stays near that number. A mixture of
//! both lies in between. The controller never looks at the processor, so it learns other limits too, such as a
//! database that serves ten calls at once.

use std::time::Duration;

use super::Adaptive;
use super::meter::{LEVELS, Meter, begin_of, level_of};

/// Time after which a measurement counts half.
const HALF_LIFE: f64 = 10.0;
/// Number of recent calls from which a level is known.
const KNOWN: f64 = 30.0;
/// Number of recent calls from which a level is preferred for settling. The mean of fewer calls is off by more than
/// the margin of [`AS_GOOD`].
const SURE: f64 = 120.0;
/// Maximum weight of a level, so that it can fade.
const MEMORY: f64 = 400.0;
/// Growth pays while doubling brought this part of a doubled throughput.
const PAYS: f64 = 0.33;
/// Growth is by two levels, which is twice the concurrency, while doubling brought this part of a doubled
/// throughput.
const STEEP: f64 = 0.6;
/// A level is as good as the best one if it has this part of its throughput.
const AS_GOOD: f64 = 0.95;
/// Maximum of levels to grow without measurements.
const BLIND: usize = 3;
/// Factor, in either direction, by which a level's throughput must change to count as a change of load.
const UPSET: f64 = 1.7;
/// Number of consecutive looks with a queue after which the queue counts as demand; a queue longer than the number
/// of workers counts at once. An occasional waiting call is normal.
const PERSISTENT: u32 = 5;
/// Window of the peak. Unused workers are released after one to two windows.
const IDLE_WINDOW: Duration = Duration::from_secs(30);
/// Time after settling in which the controller does not settle again.
const SETTLED: Duration = Duration::from_secs(2);

/// Measurements since the controller's last step.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Calls that may run at once now. The pool may have grown since the last step to avoid a refusal.
    pub workers: usize,
    /// Calls that wait now.
    pub queued: usize,
    /// Highest number of calls that ran at once.
    pub peak: usize,
}

/// A change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// Time of the change, measured from the pool's creation.
    pub at: Duration,
    /// Calls at once before the change.
    pub from: usize,
    /// Calls at once after the change.
    pub to: usize,
    /// Reason for the change.
    pub reason: Reason,
}

/// Reason for a change of the number of workers. Throughputs are in calls per second.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Calls waited, and this concurrency has no measurements yet.
    Untried {
        /// Calls that wait.
        queued: usize,
    },
    /// Calls waited, and earlier growth raised the throughput.
    Paid {
        /// Calls that wait.
        queued: usize,
        /// Throughput at about half the concurrency.
        before: f64,
        /// Throughput at the concurrency before this decision.
        now: f64,
    },
    /// A lower concurrency served as many calls or more.
    TooMany {
        /// Throughput at the concurrency before this decision.
        now: f64,
        /// Throughput at the new concurrency.
        then: f64,
    },
    /// Calls waited, and a higher concurrency served more.
    TooFew {
        /// Throughput at the concurrency before this decision.
        now: f64,
        /// Throughput at the new concurrency, or at a higher one.
        then: f64,
    },
    /// Growth did not pay, and lower concurrencies have no measurements.
    Compared,
    /// Much of the pool was unused for a while.
    Unused {
        /// Highest number of calls that ran at once.
        peak: usize,
    },
    /// The buffer was full, or a call would have waited for its own ancestors: the pool grew by itself.
    Pressed,
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, from, to, reason } = self;
        write!(f, "{:.2} s: {from} → {to} workers: ", at.as_secs_f64())?;
        match reason {
            Reason::Untried { queued } => {
                write!(f, "{queued} calls wait, and this concurrency has no recent measurements")
            }
            Reason::Paid { queued, before, now } => write!(
                f,
                "{queued} calls wait, and growth has paid: {now:.0} calls/s, {before:.0} at half the concurrency"
            ),
            Reason::TooMany { now, then } => write!(
                f,
                "{then:.0} calls/s at {to}, {now:.0} at {from}: lower concurrency is faster"
            ),
            Reason::TooFew { now, then } => {
                write!(f, "{then:.0} calls/s at a higher concurrency, {now:.0} at {from}")
            }
            Reason::Compared => {
                write!(f, "growth did not pay, and lower concurrencies have no recent measurements")
            }
            Reason::Unused { peak } => write!(f, "at most {peak} calls ran at once recently"),
            Reason::Pressed => {
                write!(f, "the buffer was full below the maximum of workers")
            }
        }
    }
}

/// Measurements of one level.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// Number of calls measured, faded.
    weight: f64,
    /// Mean seconds per call.
    service: f64,
    /// Mean number of calls at once.
    at_once: f64,
}

impl Level {
    fn is_known(&self) -> bool {
        self.weight >= KNOWN
    }

    fn throughput(&self) -> f64 {
        self.at_once / self.service.max(1e-9)
    }
}

/// Decides the number of calls that may run at once from their service times. By Little's law, `n` concurrent calls
/// that take `S` each make `n / S` calls a second, so the calls themselves draw the curve of throughput over
/// concurrency.
#[derive(Debug)]
pub struct Controller {
    max: usize,
    start: usize,
    levels: [Level; LEVELS],
    /// Time of the last step.
    last: Duration,
    /// Number of workers after the last step.
    workers: usize,
    /// Highest number of calls at once, in the current window and in the one before.
    peaks: [usize; 2],
    window_began: Duration,
    settled_until: Duration,
    /// Consecutive looks that found calls waiting.
    looks_with_queue: u32,
}

impl Controller {
    /// Creates a controller for an adaptive pool.
    #[must_use]
    pub fn new(pool: Adaptive) -> Self {
        let (start, max) = (pool.start().get(), pool.max.get());
        Self {
            max,
            start,
            levels: [Level::default(); LEVELS],
            last: Duration::ZERO,
            workers: start,
            peaks: [start; 2],
            window_began: Duration::ZERO,
            settled_until: Duration::ZERO,
            looks_with_queue: 0,
        }
    }

    /// Evaluates the measurements up to `now`, which counts from the pool's creation, and decides on a new number
    /// of workers; `None` keeps the current number.
    pub fn step(&mut self, now: Duration, sample: Sample, meter: &Meter) -> Option<Decision> {
        self.learn(now, meter);
        let from = sample.workers;
        let pressed = (from > self.workers).then_some((from, Reason::Pressed));
        let unused = self.unused(now, sample);
        let (to, reason) = pressed.or_else(|| self.under_demand(now, sample)).or(unused)?;
        let from = if matches!(reason, Reason::Pressed) { self.workers } else { from };
        self.workers = to;
        Some(Decision { at: now, from, to, reason })
    }

    fn learn(&mut self, now: Duration, meter: &Meter) {
        let elapsed = now.saturating_sub(self.last).as_secs_f64();
        self.last = now;
        let fade = 0.5_f64.powf(elapsed / HALF_LIFE);
        let readings = meter.take();
        let upset = self.levels.iter().zip(&readings).any(|(level, reading)| {
            let seen = reading.at_once as f64 / (reading.nanos as f64 / 1e9).max(1e-9);
            let known = level.throughput();
            let enough = level.is_known() && reading.calls as f64 >= KNOWN / 2.0;
            enough && (seen > known * UPSET || seen < known / UPSET)
        });
        for (level, reading) in self.levels.iter_mut().zip(readings) {
            level.weight = if upset { 0.0 } else { level.weight * fade };
            if reading.calls > 0 {
                let calls = reading.calls as f64;
                let part = calls / (level.weight + calls);
                level.service += (reading.nanos as f64 / 1e9 / calls - level.service) * part;
                level.at_once += (reading.at_once as f64 / calls - level.at_once) * part;
                level.weight = (level.weight + calls).min(MEMORY);
            }
        }
    }

    /// Next size while calls wait.
    fn under_demand(&mut self, now: Duration, sample: Sample) -> Option<(usize, Reason)> {
        let Sample { workers, queued, .. } = sample;
        self.looks_with_queue = if queued == 0 { 0 } else { self.looks_with_queue + 1 };
        let pressing = queued > workers || self.looks_with_queue >= PERSISTENT;
        if !pressing {
            return None;
        }
        let here = level_of(workers);
        let Some((top, half)) = self.top() else {
            let blind = here.saturating_sub(level_of(self.start));
            return self.grow_blindly(here, blind, sample);
        };
        let highest = self.levels.get(top)?;
        match half {
            Some(half) if brought(half, *highest) < PAYS => self.settle(now, here, workers),
            _ if here > top => self.grow_blindly(here, here - top, sample),
            half => {
                let steep = half.is_some_and(|half| brought(half, *highest) >= STEEP);
                let to = begin_of(top + if steep { 2 } else { 1 }).min(self.max);
                let before = half.map_or(0.0, |half| half.throughput());
                let reason = Reason::Paid { queued, before, now: highest.throughput() };
                (to > workers).then_some((to, reason))
            }
        }
    }

    /// The highest known level, with the measurements at half its concurrency.
    fn top(&self) -> Option<(usize, Option<Level>)> {
        let top = self.levels.iter().rposition(Level::is_known)?;
        let half = self.levels.get(top)?.at_once / 1.9;
        let mut known = self.levels.iter().filter(|level| level.is_known());
        Some((top, known.rfind(|level| level.at_once <= half).copied()))
    }

    fn grow_blindly(&self, here: usize, blind: usize, sample: Sample) -> Option<(usize, Reason)> {
        let to = begin_of(here + 1).min(self.max);
        let may = blind < BLIND && to > sample.workers;
        may.then_some((to, Reason::Untried { queued: sample.queued }))
    }

    /// Settles at the smallest level as good as the best, after growth stopped paying.
    fn settle(&mut self, now: Duration, here: usize, workers: usize) -> Option<(usize, Reason)> {
        if now < self.settled_until {
            return None;
        }
        let known = || self.levels.iter().filter(|level| level.is_known());
        let best = known().map(Level::throughput).fold(0.0, f64::max);
        let is_good = |level: &&Level| level.throughput() >= best * AS_GOOD;
        let sure = known().filter(|level| level.weight >= SURE).find(is_good);
        let good = sure.or_else(|| known().find(is_good)).copied()?;
        let to = (good.at_once.ceil() as usize).clamp(1, self.max);
        if level_of(to) == here {
            // Lower concurrencies have no measurements and may serve as well.
            let lowest = known().next().is_some_and(|lowest| lowest.at_once >= good.at_once);
            let to = (to / 2).max(self.start);
            return (lowest && level_of(to) < here).then_some((to, Reason::Compared));
        }
        let known_here = self.levels.get(here).filter(|level| level.is_known());
        let current = known_here.map_or(0.0, Level::throughput);
        if to > workers && current > good.throughput() * AS_GOOD {
            return None;
        }
        let to = to.min(begin_of(here + 2).max(workers));
        self.settled_until = now.saturating_add(SETTLED);
        let reason = if to < workers {
            Reason::TooMany { now: current, then: good.throughput() }
        } else {
            Reason::TooFew { now: current, then: good.throughput() }
        };
        Some((to, reason))
    }

    fn unused(&mut self, now: Duration, sample: Sample) -> Option<(usize, Reason)> {
        let [current, previous] = &mut self.peaks;
        *current = (*current).max(sample.peak);
        if now.saturating_sub(self.window_began) < IDLE_WINDOW {
            return None;
        }
        let peak = (*current).max(*previous);
        self.peaks = [sample.peak, *current];
        self.window_began = now;
        let to = peak.saturating_mul(2).max(self.start);
        (to < sample.workers).then_some((to, Reason::Unused { peak }))
    }

    /// True if no workers are left to release.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.workers <= self.start
    }
}

/// Part of the possible gain in throughput that going from `fewer` to `more` has brought.
fn brought(fewer: Level, more: Level) -> f64 {
    let gain = more.throughput() / fewer.throughput().max(1e-9) - 1.0;
    let might = more.at_once / fewer.at_once.max(1e-9) - 1.0;
    gain / might.max(1e-9)
}
