//! The one verb.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Args, CallContext, CallError, EntryId, Reply, Signature, Value};

/// Calls functions by id.
///
/// This is all that an edge (HTTP, Lua, the shell, a guest's `funcs` import) knows of the runtime, and
/// all that a runtime must offer to be served by them.
///
/// # Contract
/// - Arguments are checked against the function's signature before anything runs; a mismatch is
///   [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput).
/// - The context's deadline covers everything, waiting included. The function's own limit may only
///   make it shorter.
/// - Dropping the future cancels the call and frees whatever it held.
/// - The error side of a function's own top-level `result` comes back as
///   [`CallError::Function`], never as a [`Reply`].
#[async_trait]
pub trait Invoke: Send + Sync {
    /// Calls `id` with `args` and waits for what comes back.
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError>;

    /// What `id` takes and gives, for an edge that binds arguments by name or type; `None` when there
    /// is no such function.
    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>>;

    /// Whether a call of `id` would be let in now, for an edge that has arguments still to read: a check and no
    /// promise, since the moment of the call is another. Takes no lock.
    ///
    /// # Errors
    /// What the call would be refused with: [`ErrorKind::Saturated`](crate::ErrorKind::Saturated).
    fn admits(&self, _id: &EntryId) -> Result<(), CallError> {
        Ok(())
    }
}

struct InvokeFn<F> {
    call: F,
    signature: Option<Arc<Signature>>,
}

/// An [`Invoke`] made from a closure, for tests and small adapters: every id has the same signature.
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
        let values = args
            .into_values()
            .map_err(|source| CallError::InvalidInput { id: id.clone(), source: source.into() })?;
        (self.call)(id.clone(), context, values).await
    }

    fn signature(&self, _id: &EntryId) -> Option<Arc<Signature>> {
        self.signature.clone()
    }
}
