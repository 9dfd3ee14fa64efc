//! Interceptors: policies between a caller and a function.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{CallContext, CallError, EntryId, Reply, Value};

/// Stands around calls: sees each before and after, and may change, answer, refuse or repeat it.
///
/// Every call of a function passes all interceptors in the order in which the builder was given them, whichever edge
/// it came in by: Rust, HTTP, Lua, a guest's `funcs`, a command line; and calls that functions make are calls. Calls
/// that find no function, or arguments that do not fit their Rust types, do not get so far. A runtime without
/// interceptors pays nothing for them; with one, arguments and results are trees of [`Value`]s on the way.
///
/// A component that answers HTTP by itself (`wasi:http`) is one call with no arguments, whose reply is null: its
/// request and response are streams, and a request cannot be sent twice. When an interceptor replies in its place, the
/// reply becomes the response as a function's with `transport: wasi-http` does.
///
/// ```
/// use crisol::{CallContext, CallError, EntryId, Interceptor, Next, Reply, Value};
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
/// - What it does counts to the call's time only as far as the context's deadline goes: it covers interceptors, the
///   function's own limit begins with the function.
/// - Dropping the future cancels the call.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Answers a call, as a rule by [`Next::run`].
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

/// What is left of a call after an interceptor: further interceptors, and then the function.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    id: &'a EntryId,
    rest: &'a [Arc<dyn Interceptor>],
    last: &'a dyn Last,
}

/// What answers a call when all interceptors have had it.
#[async_trait]
pub(crate) trait Last: Send + Sync {
    async fn run(&self, context: CallContext, args: Vec<Value>) -> Result<Reply, CallError>;
}

impl<'a> Next<'a> {
    pub(crate) fn new(
        id: &'a EntryId,
        rest: &'a [Arc<dyn Interceptor>],
        last: &'a dyn Last,
    ) -> Self {
        Self { id, rest, last }
    }

    /// Goes on with the call. More than once calls the function more than once.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn run(&self, context: CallContext, args: Vec<Value>) -> Result<Reply, CallError> {
        match self.rest.split_first() {
            Some((first, rest)) => {
                first.around(self.id, context, args, Next { rest, ..*self }).await
            }
            None => self.last.run(context, args).await,
        }
    }
}

/// The interceptors of each function.
#[derive(Default)]
pub(crate) struct Interceptors {
    /// Those of the program.
    all: Arc<[Arc<dyn Interceptor>]>,
    /// The same and what the entry asks for, of functions that ask for something.
    own: HashMap<EntryId, Arc<[Arc<dyn Interceptor>]>>,
}

impl Interceptors {
    /// Those of the program.
    pub(crate) fn new(all: &[Arc<dyn Interceptor>]) -> Self {
        Self { all: all.into(), own: HashMap::new() }
    }

    /// Adds one that the entry of a function asks for. Nearest to it: other interceptors see one call.
    pub(crate) fn add(&mut self, id: &EntryId, nearest: Arc<dyn Interceptor>) {
        let chain = self.of(id).iter().cloned().chain([nearest]).collect();
        self.own.insert(id.clone(), chain);
    }

    /// Those around a function: empty when there are none.
    pub(crate) fn of(&self, id: &EntryId) -> &Arc<[Arc<dyn Interceptor>]> {
        if self.own.is_empty() {
            return &self.all;
        }
        self.own.get(id).unwrap_or(&self.all)
    }
}
