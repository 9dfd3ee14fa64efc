//! The trait by which edges call functions.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Args, CallContext, CallError, EntryId, Reply, Signature, Value};

/// Calls functions by id.
///
/// The only part of the runtime that edges (HTTP, Lua, the shell, a guest's `funcs` import) depend on.
///
/// # Contract
/// - Arguments are checked against the function's signature before any code runs; a mismatch is
///   [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput).
/// - The context's deadline covers the whole call, including waits. The function's own limit can only shorten it.
/// - Dropping the future cancels the call and frees everything that it held.
/// - The error side of a function's own top-level `result` is returned as [`ErrorKind::Function`](crate::ErrorKind::Function), never as a
///   [`Reply`].
#[async_trait]
pub trait Invoke: Send + Sync {
    /// Calls `id` with `args` and returns its result.
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError>;

    /// Signature of `id`, for an edge that binds arguments by name or type; `None` if there is no such function.
    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>>;

    /// Checks whether a call of `id` would be admitted now, so that an edge can refuse it before it reads the
    /// arguments. The answer is a snapshot and reserves nothing. Takes no lock.
    ///
    /// # Errors
    /// Returns the refusal of the call: [`ErrorKind::Saturated`](crate::ErrorKind::Saturated).
    fn admits(&self, _id: &EntryId) -> Result<(), CallError> {
        Ok(())
    }
}

struct InvokeFn<F> {
    call: F,
    signature: Option<Arc<Signature>>,
}

/// Makes an [`Invoke`] from a closure, for tests and small adapters. Every id has the same signature.
pub fn invoke_fn<F, Fut>(signature: Option<Arc<Signature>>, call: F) -> impl Invoke
where
    F: Fn(EntryId, CallContext, Vec<Value>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Reply, CallError>> + Send,
{
    InvokeFn { call, signature }
}

#[async_trait]
impl<F, Fut> Invoke for InvokeFn<F>
where
    F: Fn(EntryId, CallContext, Vec<Value>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Reply, CallError>> + Send,
{
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        let values = args.into_values().map_err(|error| CallError::invalid_input(id, error))?;
        (self.call)(id.clone(), context, values).await
    }

    fn signature(&self, _id: &EntryId) -> Option<Arc<Signature>> {
        self.signature.clone()
    }
}
