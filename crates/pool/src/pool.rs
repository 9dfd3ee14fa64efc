//! The pool: its parts, and its numbers.

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

/// A pool of workers; see the [crate's page](crate).
pub struct Pool<F: Factory> {
    pub(crate) factory: F,
    pub(crate) gate: Gate<F::Worker>,
    pub(crate) config: Config,
    /// Rung when a drain has come to its end.
    pub(crate) emptied: Notify,
    /// Tells calls that outlast a drain to stop.
    pub(crate) interruption: Interruption,
    /// Wakes the background task.
    pub(crate) bell: Arc<Notify>,
    /// Whether there is a background task.
    pub(crate) tended: AtomicBool,
    /// What an adaptive pool learns and decides.
    pub(crate) adaptation: Option<Box<Adaptation>>,
    pub(crate) me: Weak<Self>,
    pub(crate) born: Instant,
}

impl<F: Factory> Pool<F> {
    /// A pool of the workers that `factory` makes. Nothing is made yet, and no task is started.
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

    /// The numbers, read without the pool's lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.gate.tally.snapshot()
    }

    /// Whether a caller would be let in or could wait now, read without the pool's lock: a check and no promise. A
    /// refusal counts as one of [`Stats::saturated`].
    ///
    /// # Errors
    /// How many wait when the buffer is full.
    pub fn admits(&self) -> Result<(), usize> {
        self.gate.admits()
    }

    /// Why an adaptive pool has as many workers as it has: its last decisions, oldest first. Empty for
    /// other strategies.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        self.adaptation.as_ref().map_or_else(Vec::new, |adaptation| adaptation.decisions())
    }

    /// What makes its workers.
    #[must_use]
    pub fn factory(&self) -> &F {
        &self.factory
    }

    /// How it was set up.
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

    /// The time to stamp an idle worker with. Only pools that let workers go for idleness read the clock.
    pub(crate) fn now_for_idling(&self) -> Instant {
        if self.gate.minds_idleness { Instant::now() } else { self.born }
    }

    /// When a call starts, and how many then run at once; only adaptive pools want to know.
    pub(crate) fn started(&self) -> Option<(Instant, usize)> {
        self.adaptation.as_ref()?;
        Some((Instant::now(), self.busy()))
    }

    /// A call that was [`Pool::started`] has ended.
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
