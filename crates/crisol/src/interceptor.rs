//! What stands between a caller and a function: interceptors of the program, and retrying.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crisol_core::{Args, BoxError, CallContext, CallError, EntryId, ErrorKind, Reply, Value};
use crisol_schema::{Kind, Registry, Retry, RetryOn};
use crisol_wit::{Lifted, LowerError, Packed};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::assemble::Assembled;
use crate::builder::Defaults;
use crate::callable::Callable;
use crate::function::Function;
use crate::generation::Generation;
use crate::pooled::now;

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

/// A function of a generation, at the end of all interceptors.
pub(crate) struct Target<'a> {
    pub(crate) callable: &'a Callable,
    pub(crate) within: &'a Generation,
}

#[async_trait]
impl Last for Target<'_> {
    async fn run(&self, context: CallContext, args: Vec<Value>) -> Result<Reply, CallError> {
        self.callable.invoke(self.within, context, Args::Values(args)).await
    }
}

/// What interceptors see of a call. A WebAssembly function's arguments are lowered first, by the form that the caller
/// has them in, so that the function gets what it would have got.
impl Callable {
    /// Arguments of any edge as values.
    pub(crate) fn values(&self, args: Args<'_>) -> Result<Vec<Value>, CallError> {
        match self {
            Self::Wasm(function) => raised(function, function.mapping.lower_args(args)),
            Self::Lua(function) => function.read(args),
        }
    }

    /// Rust arguments as values.
    pub(crate) fn rust_values(&self, args: &impl Serialize) -> Result<Vec<Value>, CallError> {
        match self {
            Self::Wasm(function) => raised(function, function.mapping.lower_serialize(args)),
            Self::Lua(function) => function.write(args),
        }
    }

    /// Arguments written as WAVE as values.
    pub(crate) fn wave_values(&self, args: &str) -> Result<Vec<Value>, CallError> {
        match self {
            Self::Wasm(function) => raised(function, function.mapping.lower_wave(args)),
            Self::Lua(function) => Err(function.has_no_wave()),
        }
    }

    /// A reply as the Rust type that the caller wants.
    pub(crate) fn rust_result<R: DeserializeOwned>(&self, reply: &Reply) -> Result<R, CallError> {
        match self {
            Self::Wasm(function) => {
                let lifted = lifted(function, reply)?;
                lifted.deserialize().map_err(|error| unexpected(&function.guest.id, error))
            }
            Self::Lua(function) => {
                let value = reply.to_value().map_err(|error| unexpected(&function.id, error))?;
                R::deserialize(value).map_err(|error| unexpected(&function.id, error))
            }
        }
    }

    /// A reply as WAVE.
    pub(crate) fn wave_result(&self, reply: &Reply) -> Result<String, CallError> {
        match self {
            Self::Wasm(function) => Ok(lifted(function, reply)?.to_wave()),
            Self::Lua(function) => Err(function.has_no_wave()),
        }
    }
}

fn raised(
    function: &Function,
    lowered: Result<Packed, LowerError>,
) -> Result<Vec<Value>, CallError> {
    let invalid = |error: LowerError| CallError::InvalidInput {
        id: function.guest.id.clone(),
        source: error.into(),
    };
    lowered.and_then(|args| function.mapping.to_values(&args)).map_err(invalid)
}

/// A reply as what the function could have given: an interceptor may have made another of it.
fn lifted(function: &Function, reply: &Reply) -> Result<Lifted, CallError> {
    let value = reply.to_value().map_err(|error| unexpected(&function.guest.id, error))?;
    function.mapping.lift_value(value).map_err(|error| unexpected(&function.guest.id, error))
}

fn unexpected(id: &EntryId, source: impl Into<BoxError>) -> CallError {
    CallError::UnexpectedResult { id: id.clone(), source: source.into() }
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
    /// Those of the program, and what the entries of a registry ask for.
    pub(crate) fn new(
        all: &[Arc<dyn Interceptor>],
        registry: &Registry,
        assembled: &Assembled,
        defaults: Defaults,
    ) -> Self {
        let mut this = Self { all: all.into(), own: HashMap::new() };
        for entry in registry {
            let (retry, limits) = match &entry.kind {
                Kind::Function(function) => (&function.retry, &function.limits),
                Kind::LuaFunction(function) => (&function.retry, &function.limits),
                _ => continue,
            };
            let Some(retry) = retry else { continue };
            if assembled.functions.contains_key(&entry.id) {
                let limit = limits.max_execution.unwrap_or(defaults.max_execution);
                this.retry(&entry.id, retry, limit);
            }
        }
        this
    }

    /// Repeats calls of a function. Nearest to it: other interceptors see one call, however often it is tried.
    fn retry(&mut self, id: &EntryId, retry: &Retry, max_execution: Duration) {
        let retrying: Arc<dyn Interceptor> =
            Arc::new(Retrying { retry: retry.clone(), max_execution });
        let chain = self.all.iter().cloned().chain([retrying]).collect();
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

/// `meta.options.retry`.
struct Retrying {
    retry: Retry,
    /// The function's own limit, which is for all attempts together.
    max_execution: Duration,
}

#[async_trait]
impl Interceptor for Retrying {
    async fn around(
        &self,
        _: &EntryId,
        context: CallContext,
        args: Vec<Value>,
        next: Next<'_>,
    ) -> Result<Reply, CallError> {
        let own = now().checked_add(self.max_execution);
        let is_own =
            own.is_some() && context.deadline().is_none_or(|deadline| Some(deadline) > own);
        let context = match own {
            Some(own) => context.with_deadline(own),
            None => context,
        };
        let mut longest = self.retry.initial_delay;
        let mut attempt = 1;
        loop {
            let outcome = next.run(context.clone(), args.clone()).await;
            let Err(error) = outcome else { return outcome };
            let delay = jittered(longest.min(self.retry.max_delay));
            let left = context.remaining(now());
            if attempt >= self.retry.max_attempts
                || !self.repeats(&error)
                || left.is_some_and(|left| left <= delay)
            {
                return Err(if is_own { self.limited(error) } else { error });
            }
            tokio::time::sleep(delay).await;
            longest = longest.saturating_mul(self.retry.backoff_factor);
            attempt += 1;
        }
    }
}

impl Retrying {
    fn repeats(&self, error: &CallError) -> bool {
        let on = match error {
            CallError::Unavailable { .. } => RetryOn::Unavailable,
            CallError::Trap { .. } => RetryOn::Trap,
            CallError::Function { .. } => RetryOn::Function,
            other if other.kind() == ErrorKind::Saturated => RetryOn::Saturated,
            _ => return false,
        };
        self.retry.on.contains(&on)
    }

    /// The deadline was the entry's own, not that of a caller.
    fn limited(&self, error: CallError) -> CallError {
        match error {
            CallError::Deadline { id, limit: None, spent } => {
                CallError::Deadline { id, limit: Some(self.max_execution), spent }
            }
            other => other,
        }
    }
}

/// Between half of a time and all of it, so that those who were refused together do not come back together.
fn jittered(longest: Duration) -> Duration {
    let half = longest / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_nanos(fastrand::u64(0..nanos))
}
