//! One function, assembled: what a call goes through.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol_core::{CallContext, CallError, EntryId, MAX_DEPTH};
use crisol_engine::{Funcs, Linked, Val};
use crisol_pool::{Ask, Fate, Pool, Retired};
use crisol_wasi::Plan;
use crisol_wit::{Lifted, LowerError, Mapping, Outcome};

use crate::adapter::{Instances, fate};
use crate::failure::Ended;
use crate::generation::Generation;

/// One function, assembled: compiled, linked, pooled, limited.
pub(crate) struct Function {
    pub(crate) id: EntryId,
    pub(crate) linked: Linked,
    pub(crate) mapping: Mapping,
    /// The imports that its code has and its entry does not declare, for the error of calling one.
    pub(crate) undeclared: BTreeSet<String>,
    /// Whether its code may call other functions.
    pub(crate) calls_others: bool,
    /// What the guest sees of the outside; the pool makes instances by the same.
    pub(crate) plan: Arc<Plan>,
    pub(crate) max_execution: Duration,
    /// Instances that the engine may hold, for the error when there are no more.
    pub(crate) instances: u64,
    pub(crate) pool: Arc<Pool<Instances>>,
}

impl Function {
    /// Makes the first instances, if the pool keeps any and is to begin with them.
    pub(crate) async fn warm(&self) -> Result<(), CallError> {
        let warmed = self.pool.warm().await;
        warmed.map(drop).map_err(|refused| self.ended(None).by_refusal(refused, Vec::new()))
    }

    fn ended(&self, limit: Option<Duration>) -> Ended<'_> {
        let (queue, making) = (Duration::ZERO, Duration::ZERO);
        let (instances, undeclared) = (self.instances, &self.undeclared);
        Ended { id: &self.id, limit, queue, making, instances, undeclared }
    }

    /// Runs one call on behalf of a generation, which is where what it calls in turn is looked up. Lowering
    /// has been done, before anything waits; `lowered` is what came of it.
    ///
    /// The caller's task does all of it: no hop to another task or thread.
    pub(crate) async fn call(
        &self,
        within: &Generation,
        context: CallContext,
        lowered: Result<Vec<Val>, LowerError>,
    ) -> Result<Lifted, CallError> {
        let args = lowered.map_err(|error| CallError::InvalidInput {
            id: self.id.clone(),
            source: error.into(),
        })?;
        // A limit beyond the clock's range is none.
        let own = Instant::now().checked_add(self.max_execution);
        let deadline = [own, context.deadline()].into_iter().flatten().min();
        let limit = (deadline == own).then_some(self.max_execution);
        let ended = self.ended(limit);

        let chain = context.chain();
        let chained = || chain.iter().cloned().collect();
        if chain.depth() > MAX_DEPTH {
            return Err(CallError::TooDeep { id: self.id.clone(), allowed: MAX_DEPTH });
        }
        let held = chain.iter().filter(|ancestor| **ancestor == self.id).count();
        let ask = Ask::new().by(deadline.map(Into::into)).holding(held);

        let environment = self.plan.environment().map_err(|error| ended.by_making(error.into()))?;
        let checked_out = self.pool.check_out_if(ask, |worker| worker.environment == environment);
        let mut lease =
            checked_out.await.map_err(|refused| ended.by_refusal(refused, chained()))?;

        let (worker, interruption) = lease.split();
        if self.calls_others
            && let Some(invoke) = within.invoker()
        {
            worker.instance.lend(Funcs { invoke, context: context.within(&self.id, deadline) });
        }
        let running = worker.instance.call(&args, deadline);
        let running = crisol_wasi::on_behalf_of(context.id(), running);
        let Some(outcome) = interruption.race(running).await else {
            lease.give_back(Fate::Retire(Retired::Interrupted));
            return Err(CallError::Interrupted { id: self.id.clone() });
        };
        let ended = Ended { queue: lease.waited(), making: lease.making(), ..ended };
        lease.give_back(fate(&outcome));
        let result = outcome.map_err(|failure| ended.by_failure(failure))?;
        match self.mapping.lift(result) {
            Outcome::Value(value) => Ok(value),
            Outcome::Error(error) => {
                let error = Box::new(error.to_value());
                Err(CallError::Function { id: self.id.clone(), error })
            }
        }
    }
}
