//! Controller, stock and decision log of one pool, under a lock that no call takes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Adaptive;
use super::controller::{Controller, Decision, Sample};
use super::meter::Meter;
use super::stock::Stock;
use crate::demand::Demand;

/// Interval of the controller's steps while calls come.
const LOOK: Duration = Duration::from_millis(20);
/// Time until the next look after calls stop, to release unused workers.
const AT_REST: Duration = Duration::from_secs(5);
/// Number of decisions kept in the log.
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(crate) struct Adaptation {
    /// Service times, recorded by the calls.
    pub(crate) meter: Meter,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    controller: Controller,
    stock: Stock,
    log: VecDeque<Decision>,
    asked: Duration,
    peak: usize,
}

/// Outcome of one look.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) keep: usize,
    pub(crate) workers: Option<usize>,
    /// Time of the next look if no call comes before.
    pub(crate) again: Option<Duration>,
}

impl Adaptation {
    pub(crate) fn new(adaptive: Adaptive) -> Self {
        let start = adaptive.start().get();
        let inner = Inner {
            controller: Controller::new(adaptive),
            stock: Stock::new(start),
            log: VecDeque::new(),
            asked: Duration::ZERO,
            peak: 0,
        };
        Self { meter: Meter::new(), inner: Mutex::new(inner) }
    }

    /// Evaluates the demand at `now`, measured from the pool's creation. With `reused`, busy workers return to the
    /// stock.
    pub(crate) fn look(&self, now: Duration, demand: Demand, reused: bool) -> Verdict {
        let Demand { admitted, busy, peak, queued, workers } = demand;
        let mut inner = self.lock();
        let keep = inner.stock.keep(now, if reused { peak } else { admitted });
        inner.peak = inner.peak.max(peak);
        let mut to = None;
        if now.saturating_sub(inner.asked) >= LOOK {
            inner.asked = now;
            let peak = std::mem::replace(&mut inner.peak, busy);
            let sample = Sample { workers, queued, peak };
            if let Some(decision) = inner.controller.step(now, sample, &self.meter) {
                if inner.log.len() == REMEMBERED {
                    inner.log.pop_front();
                }
                inner.log.push_back(decision);
                to = Some(decision.to);
            }
        }
        let at_rest = keep <= 1 && inner.controller.is_at_rest();
        Verdict { keep, workers: to, again: (!at_rest).then_some(AT_REST) }
    }

    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.lock().log.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
