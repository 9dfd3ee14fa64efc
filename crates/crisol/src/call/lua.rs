//! Lua functions: Lua states as pool workers, and the mapping of their failures.

use std::sync::Arc;
use std::time::Duration;

use crisol_core::{
    CallContext, CallError, Caller, EntryId, ErrorDetails, Invoke, ResourceLimit, Value,
};
use crisol_lua::{Call, Failure, Program, State};
use crisol_pool::{Disposition, Factory, Lease, Retired};
use crisol_wasi::GuestLog;
use tokio::runtime::Handle;

use super::deadline::{CallDeadline, now};
use super::failure::Cause;
use super::nested::NestedInvoke;
use super::pipeline::{CallScope, Job, Pooled, Workers};

/// A loaded Lua function: pooled states, output limit, log.
pub(crate) struct LuaFunction {
    pub(crate) scripts: Pooled<States>,
    pub(crate) max_output_bytes: u64,
    pub(crate) log: Arc<GuestLog>,
}

impl LuaFunction {
    /// Runs one call.
    pub(crate) async fn call(
        &self,
        nested: impl NestedInvoke,
        context: &CallContext,
        deadline: CallDeadline,
        args: Vec<Value>,
    ) -> Result<Value, CallError> {
        let id = &self.scripts.id;
        let invoke = nested.invoker().ok_or_else(|| CallError::unavailable(id))?;
        let outcome = self.scripts.serve(context, deadline, LuaCall { invoke, args }).await;
        self.log.report_omitted();
        let value = outcome?;
        let allowed = self.max_output_bytes;
        if size(&value) > allowed {
            let limit = ResourceLimit::Output { allowed };
            return Err(CallError::new(id, ErrorDetails::Limit(limit)));
        }
        Ok(value)
    }
}

/// Job of one call on a Lua state.
struct LuaCall {
    invoke: Arc<dyn Invoke>,
    args: Vec<Value>,
}

impl Job<States> for LuaCall {
    type Output = Value;
    type Failure = Failure;

    fn run(
        self,
        state: &mut State,
        scope: CallScope<'_>,
    ) -> impl Future<Output = Result<Value, Failure>> + Send {
        let call = Call { invoke: self.invoke, context: scope.nested_context().by(Caller::Lua) };
        state.call(call, self.args, scope.deadline.at)
    }
}

/// Pool factory of a script's Lua states.
pub(crate) struct States {
    pub(crate) program: Program,
    pub(crate) max_execution: Duration,
}

impl Factory for States {
    type Worker = State;
    type Error = Failure;

    async fn make(&self) -> Result<State, Failure> {
        self.program.start(now().checked_add(self.max_execution)).await
    }
}

impl Workers for States {
    fn fitting(&self) -> Result<impl FnMut(&State) -> bool + Send, Failure> {
        Ok(|_: &State| true)
    }

    fn disposition(&self, failure: Option<&Failure>) -> Disposition {
        match failure {
            None | Some(Failure::Returned(_)) => Disposition::Reuse,
            Some(Failure::Deadline { .. }) => Disposition::Retire(Retired::TimedOut),
            Some(_) => Disposition::Retire(Retired::Failed),
        }
    }

    fn classify(&self, id: &EntryId, failure: Failure) -> Cause {
        Cause::Error(match failure {
            Failure::Deadline { running, waiting } => return Cause::Deadline { running, waiting },
            Failure::OverMemory(over) => return Cause::OverMemory(over),
            Failure::Returned(error) => CallError::function(id, error),
            Failure::Memory { allowed } => {
                let limit = ResourceLimit::ScriptMemory { allowed };
                CallError::new(id, ErrorDetails::Limit(limit))
            }
            Failure::Raised(trace) => CallError::trap(id, trace),
            Failure::Result(text) => CallError::unexpected_result(id, text),
            other => CallError::internal(id, other),
        })
    }

    /// Gives a state back once its code has stopped. Until then it counts as a worker of its pool, even if the caller
    /// has left.
    fn release(mut lease: Lease<'_, Self>, disposition: Option<Disposition>) {
        if !lease.worker().is_running() {
            return end(lease, disposition);
        }
        let Ok(tokio) = Handle::try_current() else { return end(lease, disposition) };
        if let Some(mut lease) = lease.into_shared() {
            tokio.spawn(async move {
                lease.worker().settle().await;
                lease.give_back(disposition.unwrap_or(Disposition::Retire(Retired::Cancelled)));
            });
        }
    }
}

fn end(lease: Lease<'_, States>, disposition: Option<Disposition>) {
    match disposition {
        Some(disposition) => lease.give_back(disposition),
        None => drop(lease),
    }
}

/// Computes the size of a result in bytes: the length of text, the width of numbers, keys included.
fn size(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => 8,
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| size(key) + size(value)).sum(),
    }
}
