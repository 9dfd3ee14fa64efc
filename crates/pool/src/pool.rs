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
use crate::stats::{Stats, Tally};
use crate::strategy::Strategy;
use crate::strategy::adaptive::{Adaptation, Decision};

/// A pool of workers. See the [crate's page](crate).
pub struct Pool<F: Factory> {
    pub(crate) factory: F,
    pub(crate) gate: Gate<F::Worker>,
    pub(crate) config: Config,
    /// Notified when a drain completes.
    pub(crate) emptied: Notify,
    /// Asks calls that outlast a drain to stop.
    pub(crate) interruption: Interruption,
    /// Wakes the background task.
    pub(crate) bell: Arc<Notify>,
    /// True while a background task exists.
    pub(crate) tended: AtomicBool,
    /// Measurements and decisions of an adaptive pool.
    pub(crate) adaptation: Option<Box<Adaptation>>,
    pub(crate) me: Weak<Self>,
    pub(crate) born: Instant,
}

impl<F: Factory> Pool<F> {
    /// Creates a pool of the workers that `factory` makes. No worker is made and no task is started yet.
    #[must_use]
    pub fn new(factory: F, config: Config) -> Arc<Self> {
        let reuse = config.reuse.get();
        Arc::new_cyclic(|me| Self {
            factory,
            gate: Gate::new(config.strategy.rules(), config.buffer, reuse),
            config,
            emptied: Notify::new(),
            interruption: Interruption::default(),
            bell: Arc::new(Notify::new()),
            tended: AtomicBool::new(false),
            adaptation: match config.strategy {
                Strategy::Adaptive(adaptive) => Some(Box::new(Adaptation::new(adaptive))),
                _ => None,
            },
            me: me.clone(),
            born: Instant::now(),
        })
    }

    /// Statistics, read without the pool's lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.gate.tally.snapshot()
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
        self.adaptation.as_ref().map_or_else(Vec::new, |adaptation| adaptation.decisions())
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

    pub(crate) fn tally(&self) -> &Tally {
        &self.gate.tally
    }

    pub(crate) fn reuse(&self) -> u32 {
        self.config.reuse.get()
    }

    /// Timestamp for an idle worker. The clock is read only in pools that retire idle workers.
    pub(crate) fn now_for_idling(&self) -> Instant {
        if self.gate.minds_idleness { Instant::now() } else { self.born }
    }

    /// Start of a call and number of running calls, for adaptive pools only.
    pub(crate) fn started(&self) -> Option<(Instant, usize)> {
        self.adaptation.as_ref()?;
        Some((Instant::now(), self.busy()))
    }

    /// Records the end of a call, with its value of [`Pool::started`].
    pub(crate) fn ended(&self, (since, at_start): (Instant, usize)) {
        if let Some(adaptation) = &self.adaptation {
            adaptation.meter.record(since.elapsed(), at_start, self.busy());
        }
    }

    fn busy(&self) -> usize {
        usize::try_from(self.tally().busy.value()).unwrap_or(usize::MAX)
    }
}

impl<F: Factory> Drop for Pool<F> {
    fn drop(&mut self) {
        self.bell.notify_one();
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
