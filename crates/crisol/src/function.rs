//! One function, assembled: what a call goes through.

use std::pin::pin;
use std::time::Duration;

use crisol_core::{CallContext, CallError, MAX_DEPTH};
use crisol_pool::{Ask, Fate, Retired};
use crisol_wit::{Lifted, LowerError, Mapping, Outcome, Packed};

use crate::failure::Ended;
use crate::generation::Generation;
use crate::pooled::{Pooled, Until, now};

/// One function, assembled.
pub(crate) struct Function {
    pub(crate) guest: Pooled,
    pub(crate) mapping: Mapping,
}

/// Bytes of text from which on it is lowered aside. Less takes no longer than a guest's turn.
pub(crate) const LONG_TEXT: usize = 256 << 10;

impl Function {
    /// Runs one call with the text of a JSON array, which is lowered on a thread that may block: ten megabytes of numbers take a
    /// tenth of a second, for which nothing else would run on the caller's. The deadline is of all of it: at the deadline the
    /// call is over, and the thread ends with the text that it has begun.
    pub(crate) async fn call_with_long_text(
        &self,
        within: &Generation,
        context: CallContext,
        text: Vec<u8>,
    ) -> Result<Lifted, CallError> {
        let until = Until::of(self.guest.max_execution, &context);
        let mapping = self.mapping.clone();
        let mut lowering = tokio::task::spawn_blocking(move || mapping.lower_json(&text));
        let lowered = match until.deadline {
            None => (&mut lowering).await,
            Some(deadline) => {
                let in_time = tokio::time::timeout_at(deadline.into(), &mut lowering).await;
                in_time.map_err(|_| {
                    lowering.abort();
                    let waited = now().saturating_duration_since(until.began);
                    self.guest.ended(until.limit).deadline(Duration::ZERO, waited)
                })?
            }
        };
        // Lowering does not panic, and nobody aborts it but a runtime that shuts down.
        let ended = |error: tokio::task::JoinError| LowerError::Source {
            place: None,
            message: error.to_string(),
        };
        let lowered = lowered.map_err(ended).flatten();
        self.call_until(within, context, lowered, Until { began: now(), ..until }).await
    }

    /// Runs one call on behalf of a generation, which is where what it calls in turn is looked up. Lowering
    /// has been done, before anything waits; `lowered` is what came of it.
    ///
    /// The caller's task does all of it: no hop to another task or thread.
    pub(crate) fn call(
        &self,
        within: &Generation,
        context: CallContext,
        lowered: Result<Packed, LowerError>,
    ) -> impl Future<Output = Result<Lifted, CallError>> {
        // No future around another: what it holds would be copied.
        let until = Until::of(self.guest.max_execution, &context);
        self.call_until(within, context, lowered, until)
    }

    async fn call_until(
        &self,
        within: &Generation,
        context: CallContext,
        lowered: Result<Packed, LowerError>,
        until: Until,
    ) -> Result<Lifted, CallError> {
        let args = lowered.map_err(|error| CallError::InvalidInput {
            id: self.guest.id.clone(),
            source: error.into(),
        })?;
        let ended = self.guest.ended(until.limit);

        let chain = context.chain();
        let chained = || chain.iter().cloned().collect();
        if chain.depth() > MAX_DEPTH {
            return Err(CallError::TooDeep { id: self.guest.id.clone(), allowed: MAX_DEPTH });
        }
        let held = chain.iter().filter(|ancestor| **ancestor == self.guest.id).count();
        let ask = Ask::new().by(until.deadline.map(Into::into)).holding(held);

        let environment =
            self.guest.plan.environment().map_err(|error| ended.by_making(error.into()))?;
        let checked_out =
            self.guest.pool.check_out_if(ask, |worker| worker.environment == environment);
        let mut lease =
            checked_out.await.map_err(|refused| ended.by_refusal(refused, chained()))?;

        // Who got an instance at once, and had no variables to be asked for, is where it was when the call began.
        let at_once =
            self.guest.plan.is_static() && lease.waited().is_zero() && lease.making().is_zero();
        let began = if at_once { until.began } else { now() };
        let (worker, interruption) = lease.split();
        if let Some(funcs) = self.guest.funcs(|| within.invoker(), &context, until) {
            worker.instance.lend(funcs);
        }
        let outcome = {
            // Pinned one by one: what is polled through a reference is not copied from level to level.
            let running = pin!(worker.instance.call_since(began, args, until.deadline));
            let running = pin!(crisol_wasi::on_behalf_of(context.id(), running));
            interruption.race(running).await
        };
        let Some(outcome) = outcome else {
            lease.give_back(Fate::Retire(Retired::Interrupted));
            return Err(CallError::Interrupted { id: self.guest.id.clone() });
        };
        let ended = Ended { queue: lease.waited(), making: lease.making(), ..ended };
        lease.give_back(self.guest.callee.fate(&outcome));
        let result = outcome.map_err(|failure| ended.by_failure(failure))?;
        match self.mapping.lift(result) {
            Outcome::Value(value) => Ok(value),
            Outcome::Error(error) => {
                let error = Box::new(error.to_value());
                Err(CallError::Function { id: self.guest.id.clone(), error })
            }
        }
    }
}
