//! Interceptors: middleware between a caller and a function, and their order per function.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{CallContext, CallError, EntryId, Reply, Value};

/// Middleware around calls of functions: observes, changes, answers, refuses or repeats a call.
///
/// Every call of a function passes all interceptors, in the order in which the builder received them. This holds for
/// all edges: Rust, HTTP, Lua, a guest's `funcs`, a command line; nested calls included. Calls of an unknown function,
/// and arguments that do not fit the signature, fail before the first interceptor. A runtime without interceptors
/// has no cost for them; with one, arguments and results become trees of [`Value`]s.
///
/// A request to a component that answers HTTP itself (`wasi:http`) is one call without arguments, whose reply is
/// null: its request and response are streams, and the request can be sent only once. If an interceptor replies
/// instead, its reply becomes the response, like the reply of a function with `transport: wasi-http`.
///
/// ```
/// use crisol::interceptor::{Interceptor, Next};
/// use crisol::{CallContext, CallError, EntryId, Reply, Value};
///
/// /// Tells how long calls take.
/// struct Timed;
///
/// #[async_trait::async_trait]
/// impl Interceptor for Timed {
///     async fn around(
///         &self,
///         id: &EntryId,
///         context: CallContext,
///         args: Vec<Value>,
///         next: Next<'_>,
///     ) -> Result<Reply, CallError> {
///         let began = std::time::Instant::now();
///         let outcome = next.run(context, args).await;
///         println!("{id} took {:?}", began.elapsed());
///         outcome
///     }
/// }
///
/// let builder = crisol::Runtime::builder().interceptor(Timed);
/// ```
///
/// # Contract
/// - The deadline of the context covers interceptors too; the function's own time limit starts with the function.
/// - Dropping the future cancels the call.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Handles a call, usually by [`Next::run`].
    ///
    /// # Errors
    /// Those of the call, or its own.
    async fn around(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError>;
}

/// Rest of a call after an interceptor: further interceptors, then the function.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    id: &'a EntryId,
    rest: &'a [Arc<dyn Interceptor>],
    inner: &'a dyn InnerCall,
}

/// The call inside all interceptors, which reaches the function.
#[async_trait]
pub(crate) trait InnerCall: Send + Sync {
    async fn run(&self, context: CallContext, args: Vec<Value>) -> Result<Reply, CallError>;
}

impl<'a> Next<'a> {
    pub(crate) fn new(
        id: &'a EntryId,
        rest: &'a [Arc<dyn Interceptor>],
        inner: &'a dyn InnerCall,
    ) -> Self {
        Self { id, rest, inner }
    }

    /// Continues the call. Each further use calls the function again.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn run(&self, context: CallContext, args: Vec<Value>) -> Result<Reply, CallError> {
        match self.rest.split_first() {
            Some((first, rest)) => {
                first.around(self.id, context, args, Next { rest, ..*self }).await
            }
            None => self.inner.run(context, args).await,
        }
    }
}

/// Interceptors by function.
#[derive(Default)]
pub(crate) struct Interceptors {
    /// Interceptors of the embedding program.
    all: Arc<[Arc<dyn Interceptor>]>,
    /// Complete chains of functions whose entries add interceptors.
    own: HashMap<EntryId, Arc<[Arc<dyn Interceptor>]>>,
}

impl Interceptors {
    /// Starts with the interceptors of the embedding program.
    pub(crate) fn new(all: &[Arc<dyn Interceptor>]) -> Self {
        Self { all: all.into(), own: HashMap::new() }
    }

    /// Adds an interceptor for one function, innermost: the others see one call, even if it repeats.
    pub(crate) fn add(&mut self, id: &EntryId, nearest: Arc<dyn Interceptor>) {
        let chain = self.of(id).iter().cloned().chain([nearest]).collect();
        self.own.insert(id.clone(), chain);
    }

    /// Returns the interceptors around a function, outermost first; possibly empty.
    pub(crate) fn of(&self, id: &EntryId) -> &Arc<[Arc<dyn Interceptor>]> {
        if self.own.is_empty() {
            return &self.all;
        }
        self.own.get(id).unwrap_or(&self.all)
    }
}
