//! A guest behind its pool: what functions and HTTP handlers have in common.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol_core::{CallContext, CallError, EntryId, Invoke};
use crisol_engine::{Funcs, Reached};
use crisol_pool::strategy::adaptive::Decision;
use crisol_pool::{Drained, Factory, Pool, Stats};
use crisol_wasi::Plan;

use crate::adapter::{Callee, Instances};
use crate::failure::Ended;
use crate::imports::Linkage;

/// A guest, assembled: compiled, linked, pooled, limited.
pub(crate) struct Pooled {
    pub(crate) id: EntryId,
    pub(crate) callee: Callee,
    /// Imports that its method may call.
    pub(crate) reached: Reached,
    /// Those that its entry does not declare, for the error of calling one.
    pub(crate) undeclared: BTreeSet<String>,
    /// What the guest sees of the outside; the pool makes instances by the same.
    pub(crate) plan: Arc<Plan>,
    pub(crate) max_execution: Duration,
    /// Instances that the engine may hold, for the error when there are no more.
    pub(crate) instances: u64,
    /// Whether its code may call other functions.
    pub(crate) calls_others: bool,
    pub(crate) pool: Arc<Pool<Instances>>,
}

impl Pooled {
    /// What it is linked to.
    pub(crate) fn linkage(&self) -> Linkage<'_> {
        let Self { callee, reached, plan, .. } = self;
        Linkage::new(callee.code(), callee.imports(), reached, plan)
    }

    /// Makes the first instances, if the pool keeps any and is to begin with them.
    pub(crate) async fn warm(&self) -> Result<(), CallError> {
        let warmed = self.pool.warm().await;
        warmed.map(drop).map_err(|refused| self.ended(None).by_warming(refused))
    }

    /// What errors of a call need to know; `limit` as in [`Until`].
    pub(crate) fn ended(&self, limit: Option<Duration>) -> Ended<'_> {
        let (queue, making) = (Duration::ZERO, Duration::ZERO);
        let (instances, undeclared) = (self.instances, &self.undeclared);
        Ended { id: &self.id, limit, queue, making, instances, undeclared }
    }

    /// What the guest calls others through while it serves a call; none for one that calls nobody, which pays
    /// nothing for it.
    pub(crate) fn funcs(
        &self,
        invoke: impl FnOnce() -> Option<Arc<dyn Invoke>>,
        context: &CallContext,
        until: Until,
    ) -> Option<Funcs> {
        let invoke = self.calls_others.then(invoke).flatten()?;
        Some(Funcs { invoke, context: context.within(&self.id, until.deadline) })
    }
}

/// Reads the clock of tokio's timers, which a test can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Until when a call may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    /// When the call began.
    pub(crate) began: Instant,
    pub(crate) deadline: Option<Instant>,
    /// The callee's own limit, when that is what set the deadline; `None` when the caller's did.
    pub(crate) limit: Option<Duration>,
}

impl Until {
    /// The earlier of what the callee has for a call that begins now, and what is left to the caller.
    pub(crate) fn of(max_execution: Duration, context: &CallContext) -> Self {
        let began = now();
        // A limit beyond the clock's range is none.
        let own = began.checked_add(max_execution);
        let deadline = [own, context.deadline()].into_iter().flatten().min();
        Self { began, deadline, limit: (deadline == own).then_some(max_execution) }
    }
}

/// A pool, whatever its workers are.
pub(crate) trait AnyPool: Send + Sync {
    /// What it has done so far.
    fn stats(&self) -> Stats;
    /// Whether a caller would be let in or could wait now; otherwise how many wait.
    fn admits(&self) -> Result<(), usize>;
    /// Drops the ready workers of a pool that is to keep none. Returns their number.
    fn shed(&self) -> usize;
    /// Why it has as many workers as it has.
    fn decisions(&self) -> Vec<Decision>;
    /// Takes no new calls; those inside end by themselves or are told to after `grace`.
    fn drain(&self, grace: Duration) -> Pin<Box<dyn Future<Output = Drained> + Send + '_>>;
}

impl<F: Factory> AnyPool for Pool<F> {
    fn stats(&self) -> Stats {
        Self::stats(self)
    }

    fn admits(&self) -> Result<(), usize> {
        Self::admits(self)
    }

    fn shed(&self) -> usize {
        Self::shed(self)
    }

    fn decisions(&self) -> Vec<Decision> {
        Self::decisions(self)
    }

    fn drain(&self, grace: Duration) -> Pin<Box<dyn Future<Output = Drained> + Send + '_>> {
        Box::pin(Self::drain(self, grace))
    }
}
