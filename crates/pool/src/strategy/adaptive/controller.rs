//! How many calls may run at once: a pure controller, numbers and time in, decision and reason out.
//!
//! **What it knows.** For each level of concurrency that calls have met, how long they took there, from their
//! permit to their end. By Little's law `n` calls at once that take `S` each make `n / S` calls a second, so
//! the levels together are a curve of throughput over concurrency, and every call that ends adds to it,
//! whether the pool was full or not. What was learned fades (half in 10 s), and is thrown away when the
//! calls of a level suddenly take much more or less time than they did.
//!
//! **What it does.** Only callers that wait make it grow. Then, while twice the concurrency has brought at
//! least a third of the throughput that it might have, it goes one level up, and two while it has brought
//! three fifths; where nothing is known yet it is optimistic for three levels. Where more workers bring
//! nothing, it settles at the smallest level that makes 95 % of the best throughput seen, and tries again once
//! the memory of what is above has faded. What was best may have been so under another load: it goes down
//! there at once and up by two levels at most. It goes down when less than half was used for half a minute or
//! more.
//!
//! Calls that wait for I/O take as long at 64 at once as at 4, and it grows to the maximum; calls that
//! compute take twice as long at twice the cores, and it stays about the number of cores; a mixture lies in
//! between. It never looks at the processor, so it learns other limits in the same way: a database behind
//! the calls that serves ten at once and no more.

use std::time::Duration;

use super::Adaptive;
use super::meter::{LEVELS, Meter, begin_of, level_of};

/// What was learned counts half after this long.
const HALF_LIFE: f64 = 10.0;
/// A level is known when it has been met by this many calls lately.
const KNOWN: f64 = 30.0;
/// A level is worth settling at when it has been met by this many, if there is such a one: the mean of
/// fewer is off by more than what [`AS_GOOD`] tells apart.
const SURE: f64 = 120.0;
/// No level remembers more calls than this, so that it can fade.
const MEMORY: f64 = 400.0;
/// Growing further pays while doubling brought this part of a doubled throughput.
const PAYS: f64 = 0.33;
/// It goes two levels up at a time, which is twice as many, while doubling brought this part of it.
const STEEP: f64 = 0.6;
/// A level serves as well as the best one if it makes this part of its throughput.
const AS_GOOD: f64 = 0.95;
/// How many levels it goes up on optimism alone.
const BLIND: usize = 3;
/// A change of throughput at one level, by this factor either way, is a change of the load.
const UPSET: f64 = 1.7;
/// A queue is to be taken seriously when so many looks in a row find one, or when it is longer than the
/// workers are many: now and then a call waits where all is well.
const PERSISTENT: u32 = 5;
/// Unused workers are given up after one to two of these.
const IDLE_WINDOW: Duration = Duration::from_secs(30);
/// After it settled, it does not grow for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// What happened since the controller was asked last.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// How many calls may run at once now. It may have grown since, to keep a call from being refused.
    pub workers: usize,
    /// Calls that wait now.
    pub queued: usize,
    /// Calls that ran at once, at most.
    pub peak: usize,
}

/// The number of workers has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// When, since the pool was made.
    pub at: Duration,
    /// From how many calls at once.
    pub from: usize,
    /// To how many.
    pub to: usize,
    /// Why.
    pub reason: Reason,
}

/// Why the number of workers has changed. Throughputs are calls per second.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Calls waited, and nothing is known of this many at once yet.
    Untried {
        /// Calls that wait.
        queued: usize,
    },
    /// Calls waited, and having more at once has paid so far.
    Paid {
        /// Calls that wait.
        queued: usize,
        /// Throughput at about half as many at once.
        before: f64,
        /// Throughput at as many at once as before this decision.
        now: f64,
    },
    /// As many or more calls were served when fewer ran at once.
    TooMany {
        /// Throughput at as many at once as before this decision.
        now: f64,
        /// Throughput at as many as there are to be.
        then: f64,
    },
    /// Calls waited, and more were served when more ran at once.
    TooFew {
        /// Throughput at as many at once as before this decision.
        now: f64,
        /// Throughput at as many as there are to be, or at more.
        then: f64,
    },
    /// More did not pay, and nothing is known of fewer.
    Compared,
    /// Much less was used for a while.
    Unused {
        /// Calls that ran at once, at most.
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
                write!(f, "{queued} calls wait, and so many at once have not been tried lately")
            }
            Reason::Paid { queued, before, now } => write!(
                f,
                "{queued} calls wait, and more at once has paid: {now:.0} calls a second, {before:.0} with half"
            ),
            Reason::TooMany { now, then } => write!(
                f,
                "{then:.0} calls a second with {to} at once, {now:.0} with {from}: the rest only gets in the way"
            ),
            Reason::TooFew { now, then } => {
                write!(f, "{then:.0} calls a second with more at once, {now:.0} with {from}")
            }
            Reason::Compared => {
                write!(f, "more did not pay, and fewer at once have not been tried lately")
            }
            Reason::Unused { peak } => write!(f, "no more than {peak} ran at once for a while"),
            Reason::Pressed => {
                write!(f, "a call would have been refused though there could be more")
            }
        }
    }
}

/// What is known of one level.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// Calls that it is known from, faded.
    weight: f64,
    /// Mean seconds per call.
    service: f64,
    /// Mean calls at once.
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

/// Decides how many calls may run at once, from how long they take: `n` calls at once that take `S` each are
/// `n / S` calls a second, so that the calls themselves draw the curve of throughput over concurrency.
#[derive(Debug)]
pub struct Controller {
    max: usize,
    start: usize,
    levels: [Level; LEVELS],
    /// When it was asked last.
    last: Duration,
    /// What it last left the pool with.
    workers: usize,
    /// Calls at once, at most: in this window of time and in the one before.
    peaks: [usize; 2],
    window_began: Duration,
    settled_until: Duration,
    /// How many looks in a row have found calls waiting.
    looks_with_queue: u32,
}

impl Controller {
    /// For such a pool.
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

    /// Looks at what was measured until `now`, since the pool was made; decides whether to change the
    /// number of workers.
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

    /// Where to go while calls wait.
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

    /// The highest level that is known, and what is known of half as many at once.
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

    /// More does not pay: the smallest level that serves as well as the best.
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
            // Nothing is known of fewer, which may do as well.
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

    /// Whether there is nothing left to give up.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.workers <= self.start
    }
}

/// The part of what it might have that going from `fewer` to `more` has brought.
fn brought(fewer: Level, more: Level) -> f64 {
    let gain = more.throughput() / fewer.throughput().max(1e-9) - 1.0;
    let might = more.at_once / fewer.at_once.max(1e-9) - 1.0;
    gain / might.max(1e-9)
}
