//! The pool: its parts and statistics.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Config;
use crate::factory::Factory;
use crate::gate::Gate;
use crate::interruption::Interruption;
use crate::stats::{Counters, Stats};
use crate::strategy::Strategy;
use crate::strategy::adaptive::{Decision, Scaler};

/// A pool of workers. See the [crate's page](crate).
pub struct Pool<F: Factory> {
    pub(crate) factory: F,
    pub(crate) gate: Gate<F::Worker>,
    pub(crate) config: Config,
    /// Notified when a drain completes.
    pub(crate) drained: Notify,
    /// Asks calls that outlast a drain to stop.
    pub(crate) interruption: Interruption,
    /// Wakes the background task.
    pub(crate) wake: Arc<Notify>,
    /// True while a background task exists.
    pub(crate) is_maintained: AtomicBool,
    /// Measurements and decisions of an adaptive pool.
    pub(crate) scaler: Option<Box<Scaler>>,
    pub(crate) this: Weak<Self>,
    pub(crate) created_at: Instant,
}

impl<F: Factory> Pool<F> {
    /// Creates a pool of the workers that `factory` makes. No worker is made and no task is started yet.
    #[must_use]
    pub fn new(factory: F, config: Config) -> Arc<Self> {
        let reuse = config.reuse.get();
        Arc::new_cyclic(|this| Self {
            factory,
            gate: Gate::new(config.strategy.params(), config.buffer, reuse),
            config,
            drained: Notify::new(),
            interruption: Interruption::default(),
            wake: Arc::new(Notify::new()),
            is_maintained: AtomicBool::new(false),
            scaler: match config.strategy {
                Strategy::Adaptive(adaptive) => Some(Box::new(Scaler::new(adaptive))),
                _ => None,
            },
            this: this.clone(),
            created_at: Instant::now(),
        })
    }

    /// Statistics, read without the pool's lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.gate.counters.snapshot()
    }

    /// Checks whether a call would run or could wait now, without the pool's lock. The answer is a snapshot and
    /// reserves nothing. A refusal counts in [`Stats::saturated`].
    ///
    /// # Errors
    /// Returns the number of waiting calls if the buffer is full.
    pub fn admits(&self) -> Result<(), usize> {
        self.gate.admits()
    }

    /// The last scaling decisions of an adaptive pool, oldest first, each with its reason. Empty for other
    /// strategies.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        self.scaler.as_ref().map_or_else(Vec::new, |scaler| scaler.decisions())
    }

    /// The factory that makes the workers.
    #[must_use]
    pub fn factory(&self) -> &F {
        &self.factory
    }

    /// The configuration of the pool.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.gate.counters
    }

    pub(crate) fn reuse(&self) -> u32 {
        self.config.reuse.get()
    }

    /// Timestamp for an idle worker. The clock is read only in pools that retire idle workers.
    pub(crate) fn idle_since(&self) -> Instant {
        if self.gate.has_idle_timeout { Instant::now() } else { self.created_at }
    }

    /// Start of a call and number of running calls, for adaptive pools only.
    pub(crate) fn started(&self) -> Option<(Instant, usize)> {
        self.scaler.as_ref()?;
        Some((Instant::now(), self.busy()))
    }

    /// Records the end of a call, with its value of [`Pool::started`].
    pub(crate) fn ended(&self, (since, at_start): (Instant, usize)) {
        if let Some(scaler) = &self.scaler {
            scaler.meter.record(since.elapsed(), at_start, self.busy());
        }
    }

    fn busy(&self) -> usize {
        usize::try_from(self.counters().busy.value()).unwrap_or(usize::MAX)
    }
}

impl<F: Factory> Drop for Pool<F> {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl<F: Factory> fmt::Debug for Pool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
