//! Controller, ready target and decision log of one pool, under a lock that no call takes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Adaptive;
use super::controller::{Controller, Decision, Sample};
use super::meter::Meter;
use super::ready_target::ReadyTarget;
use crate::demand::Demand;

/// Interval of the controller's steps while calls come.
const STEP: Duration = Duration::from_millis(20);
/// Time until the next step after calls stop, to release unused workers.
const AT_REST: Duration = Duration::from_secs(5);
/// Number of decisions kept in the log.
const LOG_LENGTH: usize = 64;

#[derive(Debug)]
pub(crate) struct Scaler {
    /// Service times, recorded by the calls.
    pub(crate) meter: Meter,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    controller: Controller,
    ready_target: ReadyTarget,
    log: VecDeque<Decision>,
    last_step: Duration,
    peak: usize,
}

/// Result of one step.
#[derive(Debug)]
pub(crate) struct Scaling {
    /// Workers to keep ready.
    pub(crate) keep: usize,
    /// New number of calls that may run at once, if it changes.
    pub(crate) workers: Option<usize>,
    /// Time until the next step if no call comes before.
    pub(crate) next: Option<Duration>,
}

impl Scaler {
    pub(crate) fn new(adaptive: Adaptive) -> Self {
        let start = adaptive.start().get();
        let inner = Inner {
            controller: Controller::new(adaptive),
            ready_target: ReadyTarget::new(start),
            log: VecDeque::new(),
            last_step: Duration::ZERO,
            peak: 0,
        };
        Self { meter: Meter::new(), inner: Mutex::new(inner) }
    }

    /// Evaluates the demand at `now`, measured from the pool's creation. With `reused`, busy workers become
    /// ready again.
    pub(crate) fn step(&self, now: Duration, demand: Demand, reused: bool) -> Scaling {
        let Demand { admitted, busy, peak, queued, workers } = demand;
        let mut inner = self.lock();
        let keep = inner.ready_target.update(now, if reused { peak } else { admitted });
        inner.peak = inner.peak.max(peak);
        let mut to = None;
        if now.saturating_sub(inner.last_step) >= STEP {
            inner.last_step = now;
            let peak = std::mem::replace(&mut inner.peak, busy);
            let sample = Sample { workers, queued, peak };
            if let Some(decision) = inner.controller.step(now, sample, &self.meter) {
                if inner.log.len() == LOG_LENGTH {
                    inner.log.pop_front();
                }
                inner.log.push_back(decision);
                to = Some(decision.to);
            }
        }
        let at_rest = keep <= 1 && inner.controller.is_at_rest();
        Scaling { keep, workers: to, next: (!at_rest).then_some(AT_REST) }
    }

    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.lock().log.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
