//! Call pipeline: deadline, nesting depth, check-out, interruption, give-back, failure mapping.
//!
//! Every kind of function goes through [`Pooled::admit`] and [`Pooled::run`]; the kinds differ in their [`Workers`]
//! and [`Job`]. All steps run in the caller's task, without a hop to another task or thread.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crisol_core::{CallContext, CallError, EntryId, ErrorDetails, MAX_DEPTH};
use crisol_pool::{CheckoutOptions, Disposition, Factory, Lease, Pool, Retired};

use super::deadline::CallDeadline;
use super::failure::{CallFailure, Cause};

/// A pool's factory with the answers that the pipeline needs: workers that fit a call, their disposition after it, the
/// meaning of their failures.
pub(crate) trait Workers: Factory + Sized {
    /// Returns a predicate for the ready workers that fit a call.
    ///
    /// # Errors
    /// Fails if the call lacks something that every worker needs, such as a required variable.
    fn fitting(&self) -> Result<impl FnMut(&Self::Worker) -> bool + Send, Self::Error>;

    /// Decides the disposition of a worker after a call, by the call's failure.
    fn disposition(&self, failure: Option<&Self::Error>) -> Disposition;

    /// Maps a failure to its cause for callers.
    fn classify(&self, id: &EntryId, failure: Self::Error) -> Cause;

    /// Ends a lease; without a disposition the call was dropped.
    fn release(lease: Lease<'_, Self>, disposition: Option<Disposition>) {
        match disposition {
            Some(disposition) => lease.give_back(disposition),
            None => drop(lease),
        }
    }
}

/// Work of one call on its worker.
pub(crate) trait Job<W: Workers> {
    /// The result.
    type Output;
    /// The failure.
    type Failure: Into<W::Error>;

    /// Does the work. Dropping the future cancels it.
    fn run(
        self,
        worker: &mut W::Worker,
        scope: CallScope<'_>,
    ) -> impl Future<Output = Result<Self::Output, Self::Failure>> + Send;
}

/// Id, context and deadline of a running call, for its job.
#[derive(Clone, Copy)]
pub(crate) struct CallScope<'a> {
    pub(crate) id: &'a EntryId,
    pub(crate) context: &'a CallContext,
    pub(crate) deadline: CallDeadline,
    /// True if the call got its worker without waiting.
    pub(crate) at_once: bool,
}

impl CallScope<'_> {
    /// Creates the context of nested calls.
    pub(crate) fn nested_context(&self) -> CallContext {
        self.context.within(self.id, self.deadline.at)
    }
}

/// A function, HTTP handler or command behind its pool.
pub(crate) struct Pooled<W: Workers> {
    pub(crate) id: EntryId,
    /// Time limit of a call; none for no limit.
    pub(crate) limit: Option<Duration>,
    pub(crate) pool: Arc<Pool<W>>,
}

/// An admitted call: it holds a worker.
pub(crate) struct Admitted<'p, W: Workers> {
    lease: LeaseGuard<'p, W>,
    deadline: CallDeadline,
}

/// Guard that releases the lease of a worker when the call ends or is dropped.
struct LeaseGuard<'p, W: Workers>(Option<Lease<'p, W>>);

impl<W: Workers> Pooled<W> {
    /// Returns the factory of its workers.
    pub(crate) fn workers(&self) -> &W {
        self.pool.factory()
    }

    /// Computes the deadline of a call that starts now.
    pub(crate) fn deadline(&self, context: &CallContext) -> CallDeadline {
        CallDeadline::of(self.limit, context)
    }

    /// Runs one call: admission, then its job.
    pub(crate) async fn serve<J: Job<W>>(
        &self,
        context: &CallContext,
        deadline: CallDeadline,
        job: J,
    ) -> Result<J::Output, CallError> {
        let mut admitted = self.admit(context, deadline).await?;
        self.run(&mut admitted, context, job).await
    }

    /// Checks the nesting depth and waits for a worker that fits the call.
    pub(crate) async fn admit(
        &self,
        context: &CallContext,
        deadline: CallDeadline,
    ) -> Result<Admitted<'_, W>, CallError> {
        let failure = CallFailure::new(&self.id, deadline.limit);
        let chain = context.chain();
        if chain.depth() > MAX_DEPTH {
            return Err(CallError::new(&self.id, ErrorDetails::TooDeep { allowed: MAX_DEPTH }));
        }
        let held = chain.iter().filter(|ancestor| **ancestor == self.id).count();
        let options = CheckoutOptions::new()
            .with_deadline(deadline.at.map(Into::into))
            .with_held_workers(held);
        let classify = |error| self.workers().classify(&self.id, error);
        let fits = self.workers().fitting().map_err(|error| failure.by_cause(classify(error)))?;
        let lease = self.pool.check_out_if(options, fits).await.map_err(|refused| {
            failure.by_refusal(refused, || chain.iter().cloned().collect(), classify)
        })?;
        Ok(Admitted { lease: LeaseGuard(Some(lease)), deadline })
    }

    /// Runs the job of an admitted call until it ends or a drain interrupts it, then gives the worker back.
    pub(crate) async fn run<J: Job<W>>(
        &self,
        admitted: &mut Admitted<'_, W>,
        context: &CallContext,
        job: J,
    ) -> Result<J::Output, CallError> {
        let deadline = admitted.deadline;
        let unavailable = || CallError::unavailable(&self.id);
        let lease = admitted.lease.0.as_mut().ok_or_else(unavailable)?;
        let (queue, making) = (lease.waited(), lease.making());
        let at_once = queue.is_zero() && making.is_zero();
        let scope = CallScope { id: &self.id, context, deadline, at_once };
        let (worker, interruption) = lease.split();
        let outcome = {
            // Pinned here: polling through a reference avoids copying the future from level to level.
            let running = pin!(job.run(worker, scope));
            interruption.race(running).await
        };
        let Some(outcome) = outcome else {
            admitted.lease.give_back(Disposition::Retire(Retired::Interrupted));
            return Err(CallError::interrupted(&self.id));
        };
        let outcome = outcome.map_err(Into::into);
        admitted.lease.give_back(self.workers().disposition(outcome.as_ref().err()));
        outcome.map_err(|error| {
            let failure =
                CallFailure { queue, making, ..CallFailure::new(&self.id, deadline.limit) };
            failure.by_cause(self.workers().classify(&self.id, error))
        })
    }

    /// Creates the first workers of a pool with a warm start.
    pub(crate) async fn warm(&self) -> Result<(), CallError> {
        let classify = |error| self.workers().classify(&self.id, error);
        let warmed = self.pool.warm().await;
        warmed
            .map(drop)
            .map_err(|refused| CallFailure::new(&self.id, None).by_warming(refused, classify))
    }
}

impl<W: Workers> Admitted<'_, W> {
    /// Converts the call so that another task can own it. None if the pool is being dropped.
    #[cfg(feature = "http")]
    pub(crate) fn into_shared(mut self) -> Option<Admitted<'static, W>> {
        let lease = self.lease.0.take()?.into_shared()?;
        Some(Admitted { lease: LeaseGuard(Some(lease)), deadline: self.deadline })
    }
}

impl<W: Workers> LeaseGuard<'_, W> {
    fn give_back(&mut self, disposition: Disposition) {
        if let Some(lease) = self.0.take() {
            W::release(lease, Some(disposition));
        }
    }
}

impl<W: Workers> Drop for LeaseGuard<'_, W> {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            W::release(lease, None);
        }
    }
}
