//! A simulated machine with a few cores, calls that compute and wait, and a pool in front of it.
//!
//! Cores are shared fairly among the computing calls; the more there are, the more is lost to switching. A call
//! computes, waits for I/O, and computes again. Callers queue without a bound, first come, first served. The rule
//! that sets the number of workers runs every 20 ms.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use std::num::NonZeroUsize;

use crisol_pool::strategy::Adaptive;
use crisol_pool::strategy::adaptive::{Controller, Decision, Meter, Sample};

pub(crate) const CORES: f64 = 4.0;
pub(crate) const MAX: usize = 100;
const START: usize = 4;
const TICK: f64 = 0.02;
/// Part of the time that is excluded from the figures.
const LEARNING: f64 = 0.1;

/// One call: its arrival, computing time and waiting time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) at: f64,
    pub(crate) cpu: f64,
    pub(crate) io: f64,
}

/// Rule that sets the number of workers.
pub(crate) enum Rule {
    Fixed(usize),
    /// Adds one at each look that finds waiting calls.
    AddOne(usize),
    Adaptive(Box<Controller>),
}

impl Rule {
    pub(crate) fn adaptive() -> Self {
        let n = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        let pool = Adaptive::new().with_start(n(START)).with_max(n(MAX));
        Self::Adaptive(Box::new(Controller::new(pool)))
    }

    pub(crate) fn add_one() -> Self {
        Self::AddOne(START)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Calls per second that ended while calls arrived.
    pub(crate) throughput: f64,
    /// In seconds.
    pub(crate) p99: f64,
    /// Mean number of workers over time.
    pub(crate) workers: f64,
    pub(crate) decisions: Vec<Decision>,
}

/// A time in seconds with a total order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Key(f64, usize);

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    granted: f64,
    busy_at_start: usize,
    /// The call is in its second computing phase.
    last_part: bool,
}

struct Machine<'a> {
    calls: &'a [Call],
    progress: Vec<Progress>,
    now: f64,
    /// Seconds of computing that each computing call has received since the start.
    dose: f64,
    /// Computing calls, ordered by the dose at which they finish.
    computing: BinaryHeap<Reverse<Key>>,
    waiting_for_io: BinaryHeap<Reverse<Key>>,
    queue: VecDeque<usize>,
    busy: usize,
    workers: usize,
    peak: usize,
    meter: Meter,
    /// Statistics of calls that arrived after the first tenth of the time, which is left for learning.
    latencies: Vec<f64>,
    ended: usize,
    ended_in_time: usize,
}

/// Runs `calls`, in order of arrival, under `rule`.
pub(crate) fn run(calls: &[Call], mut rule: Rule) -> Outcome {
    let horizon = calls.last().map_or(1.0, |call| call.at);
    let mut machine = Machine::new(calls, &rule);
    let (mut next, mut tick, mut outcome) = (0, TICK, Outcome::default());
    while machine.ended < calls.len() {
        let arrival = calls.get(next).map_or(f64::INFINITY, |call| call.at);
        let now = machine.next_end().min(arrival).min(tick);
        machine.advance(now);
        if now == tick {
            machine.look(&mut rule, &mut outcome.decisions);
            tick += TICK;
            if now <= horizon {
                outcome.workers += machine.workers as f64 * TICK / horizon;
            }
        } else if now == arrival {
            machine.arrive(next);
            next += 1;
        } else {
            machine.end_a_part(horizon);
        }
    }
    machine.latencies.sort_by(f64::total_cmp);
    outcome.p99 =
        machine.latencies.get(machine.latencies.len() * 99 / 100).copied().unwrap_or_default();
    outcome.throughput = machine.ended_in_time as f64 / (horizon * (1.0 - LEARNING));
    outcome
}

impl<'a> Machine<'a> {
    fn new(calls: &'a [Call], rule: &Rule) -> Self {
        Self {
            calls,
            progress: vec![Progress::default(); calls.len()],
            now: 0.0,
            dose: 0.0,
            computing: BinaryHeap::new(),
            waiting_for_io: BinaryHeap::new(),
            queue: VecDeque::new(),
            busy: 0,
            workers: match rule {
                Rule::Fixed(workers) | Rule::AddOne(workers) => *workers,
                Rule::Adaptive(_) => START,
            },
            peak: 0,
            meter: Meter::new(),
            latencies: Vec::with_capacity(calls.len()),
            ended: 0,
            ended_in_time: 0,
        }
    }

    /// Seconds of computing that each computing call receives per second.
    fn rate(&self) -> f64 {
        let share = CORES / self.computing.len().max(1) as f64;
        if share >= 1.0 { 1.0 } else { share / (1.0 + 0.01 * (1.0 / share - 1.0)) }
    }

    fn next_end(&self) -> f64 {
        let computed = self.computing.peek().map_or(f64::INFINITY, |Reverse(Key(dose, _))| {
            self.now + (dose - self.dose).max(0.0) / self.rate()
        });
        computed.min(self.waiting_for_io.peek().map_or(f64::INFINITY, |Reverse(Key(at, _))| *at))
    }

    fn advance(&mut self, now: f64) {
        self.dose += (now - self.now) * self.rate();
        self.now = now;
    }

    fn arrive(&mut self, call: usize) {
        if self.busy < self.workers {
            self.start(call);
        } else {
            self.queue.push_back(call);
        }
    }

    fn start(&mut self, call: usize) {
        self.busy += 1;
        self.peak = self.peak.max(self.busy);
        self.progress[call] =
            Progress { granted: self.now, busy_at_start: self.busy, last_part: false };
        self.computing.push(Reverse(Key(self.dose + self.calls[call].cpu / 2.0, call)));
    }

    fn end_a_part(&mut self, horizon: f64) {
        let io = self.waiting_for_io.peek().map(|Reverse(Key(at, _))| *at);
        if io.is_some_and(|at| at <= self.now) {
            if let Some(Reverse(Key(_, call))) = self.waiting_for_io.pop() {
                self.progress[call].last_part = true;
                self.computing.push(Reverse(Key(self.dose + self.calls[call].cpu / 2.0, call)));
            }
        } else if let Some(Reverse(Key(_, call))) = self.computing.pop() {
            if self.progress[call].last_part {
                self.end(call, horizon);
            } else {
                self.waiting_for_io.push(Reverse(Key(self.now + self.calls[call].io, call)));
            }
        }
    }

    fn end(&mut self, call: usize, horizon: f64) {
        let Progress { granted, busy_at_start, .. } = self.progress[call];
        self.meter.record(Duration::from_secs_f64(self.now - granted), busy_at_start, self.busy);
        self.ended += 1;
        if self.calls[call].at > horizon * LEARNING {
            self.latencies.push(self.now - self.calls[call].at);
        }
        self.ended_in_time += usize::from(self.now <= horizon && self.now > horizon * LEARNING);
        self.busy -= 1;
        self.fill();
    }

    fn fill(&mut self) {
        while self.busy < self.workers {
            let Some(call) = self.queue.pop_front() else { return };
            self.start(call);
        }
    }

    fn look(&mut self, rule: &mut Rule, decisions: &mut Vec<Decision>) {
        match rule {
            Rule::Fixed(_) => {}
            Rule::AddOne(workers) => {
                *workers = (*workers + usize::from(!self.queue.is_empty())).min(MAX);
                self.workers = *workers;
            }
            Rule::Adaptive(controller) => {
                let sample = Sample {
                    workers: self.workers,
                    queued: self.queue.len(),
                    peak: std::mem::replace(&mut self.peak, self.busy),
                };
                let now = Duration::from_secs_f64(self.now);
                if let Some(decision) = controller.step(now, sample, &self.meter) {
                    self.workers = decision.to;
                    decisions.push(decision);
                }
            }
        }
        self.fill();
    }
}
