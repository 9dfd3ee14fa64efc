//! A WebAssembly function: lowering, the call on an instance, lifting.

use std::pin::pin;

use crisol_core::{CallContext, CallError};
use crisol_engine::Failure;
use crisol_wit::{Lifted, Mapping, Outcome, Packed};

use super::deadline::{CallDeadline, now};
use super::guest::{Guest, Instances, Worker};
use super::nested::NestedInvoke;
use super::pipeline::{CallScope, Job, Pooled};

/// A loaded WebAssembly function: its pooled guest and its type mapping.
pub(crate) struct Function {
    pub(crate) guest: Pooled<Instances>,
    pub(crate) mapping: Mapping,
}

impl Function {
    /// Runs one call with lowered arguments.
    pub(crate) async fn call(
        &self,
        nested: impl NestedInvoke,
        context: &CallContext,
        deadline: CallDeadline,
        args: Packed,
    ) -> Result<Lifted, CallError> {
        let job = FunctionCall { guest: &self.guest.workers().0, nested, args };
        let result = self.guest.serve(context, deadline, job).await?;
        match self.mapping.lift(result) {
            Outcome::Value(value) => Ok(value),
            Outcome::Error(error) => Err(CallError::function(&self.guest.id, error.to_value())),
        }
    }
}

/// Job of one call on an instance.
struct FunctionCall<'a, W> {
    guest: &'a Guest,
    nested: W,
    args: Packed,
}

impl<W: NestedInvoke> Job<Instances> for FunctionCall<'_, W> {
    type Output = Option<Packed>;
    type Failure = Failure;

    fn run(
        self,
        worker: &mut Worker,
        scope: CallScope<'_>,
    ) -> impl Future<Output = Result<Option<Packed>, Failure>> + Send {
        let Self { guest, nested, args } = self;
        // Nothing was awaited, so the call's start time is still current.
        let at_once = scope.at_once && guest.plan.is_static();
        let began = if at_once { scope.deadline.began } else { now() };
        guest.lend(&mut worker.instance, nested, &scope);
        let (id, deadline) = (scope.context.id(), scope.deadline.at);
        async move {
            // Pinned here: polling through a reference avoids copying the future from level to level.
            let running = pin!(worker.instance.call_since(began, args, deadline));
            crisol_wasi::with_call(id, running).await
        }
    }
}
