//! Generation of an app: the immutable data that calls use.
//!
//! A change creates a new generation; see [`Runtime`](crate::Runtime). A call takes the current generation once, at
//! its start, and stays in it: nested calls, through a guest's `funcs` or from Lua, resolve in the same generation.
//! The last owner of an old generation drops it, together with the pools, instances and compiled code that no later
//! generation took over.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use crisol_core::{
    Args, CallContext, CallError, Caller, EntryId, Invoke, Overload, Reply, Signature, Value,
    suggest,
};
use crisol_pool::Stats;
use crisol_pool::strategy::adaptive::Decision;
use crisol_schema::{Entry, Problems, Registry};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::assembled::Assembled;
use super::not_found::CommandNotFound;
use super::resources::HostResources;
use crate::call::{
    AnyPool, Callable, Command, InvokeArgs, Marshal, NestedInvoke, RustArgs, ValueArgs, WaveArgs,
};

/// Immutable state of an app after a load or a change, ready for calls.
///
/// It implements [`Invoke`] for callers that must not mix two generations in one piece of work: the routes of one
/// configuration, a script, a guest's nested calls.
///
/// ```no_run
/// # async fn example(runtime: crisol::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// let generation = runtime.generation();
/// runtime.reload().await?;
/// // The reload has no effect on these calls.
/// let sum: i32 = generation.call("app:sum", ([1, 2, 3],)).await?;
/// let mean: f64 = generation.call("app:mean", ([1, 2, 3],)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Generation {
    number: u64,
    registry: Registry,
    warnings: Problems,
    assembled: Assembled,
    commands: Vec<Arc<Command>>,
    /// Reference to itself, for callees that make nested calls.
    weak_self: Weak<Self>,
}

impl Generation {
    pub(crate) fn new(
        number: u64,
        registry: Registry,
        warnings: Problems,
        mut assembled: Assembled,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let commands = std::mem::take(&mut assembled.commands);
            let with_generation = |command| {
                let generation = Weak::<Self>::clone(me);
                Arc::new(Command { generation, ..command })
            };
            let commands = commands.into_iter().map(with_generation).collect();
            Self { number, registry, warnings, assembled, commands, weak_self: me.clone() }
        })
    }

    /// Returns the number of this generation in its runtime; the first is 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Calls `id`; see [`Runtime::call`](crate::Runtime::call).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<R: DeserializeOwned>(
        &self,
        id: &str,
        args: impl Serialize,
    ) -> Result<R, CallError> {
        self.enter(id, CallContext::new(Caller::Rust), RustArgs::new(args)).await
    }

    /// Calls `id`; see [`Runtime::call_values`](crate::Runtime::call_values).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_values(&self, id: &str, args: Vec<Value>) -> Result<Value, CallError> {
        self.enter(id, CallContext::new(Caller::Rust), ValueArgs(args)).await
    }

    /// Calls `id`; see [`Runtime::call_wave`](crate::Runtime::call_wave).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_wave(&self, id: &str, args: &str) -> Result<String, CallError> {
        self.enter(id, CallContext::new(Caller::Rust), WaveArgs(args)).await
    }

    /// Calls `id` like [`Invoke::invoke`], without boxing the future.
    pub(crate) async fn dispatch(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        self.enter(id.as_str(), context, InvokeArgs(args)).await
    }

    /// Runs a call, whatever the form of its arguments. Nested calls of the callee stay in this generation.
    async fn enter<A: Marshal>(
        &self,
        id: &str,
        context: CallContext,
        args: A,
    ) -> Result<A::Output, CallError> {
        let (id, callable) = self.lookup(id)?;
        let interceptors = self.assembled.interceptors.of(id);
        if interceptors.is_empty() {
            return callable.call(self, &context, args).await;
        }
        // Boxed, since it would otherwise enlarge the future of every call.
        Box::pin(callable.intercepted(interceptors, self, context, args)).await
    }

    /// Returns the signature of `id`; none if `id` is not a function or has no signature (Lua).
    #[must_use]
    pub fn signature(&self, id: &str) -> Option<Arc<Signature>> {
        self.assembled.functions.get(id)?.signature()
    }

    /// Returns the statistics of the pool of `id`; none if it has no pool.
    #[must_use]
    pub fn stats(&self, id: &str) -> Option<Stats> {
        Some(self.pool(id)?.stats())
    }

    /// Returns the last scaling decisions of the pool of `id`; see [`Runtime::decisions`](crate::Runtime::decisions).
    #[must_use]
    pub fn decisions(&self, id: &str) -> Option<Vec<Decision>> {
        Some(self.pool(id)?.decisions())
    }

    /// Returns the pools that a drain waits for: those of functions, HTTP handlers and commands.
    pub(crate) fn pools_to_drain(&self) -> impl Iterator<Item = &dyn AnyPool> {
        let commands = self.commands.iter().map(|command| command.pool());
        self.pools().map(|(_, pool)| pool).chain(commands)
    }

    /// Returns the pools of functions and HTTP handlers, by entry id.
    fn pools(&self) -> impl Iterator<Item = (&EntryId, &dyn AnyPool)> {
        let functions = self.assembled.functions.iter();
        let pools = functions.map(|(id, callable)| (id, callable.pool()));
        #[cfg(feature = "http")]
        let pools =
            pools.chain(self.assembled.handlers.iter().map(|(id, handler)| (id, handler.pool())));
        pools
    }

    /// Drops the idle workers of pools whose type keeps none ready (`lazy`, `inline`). Returns their number.
    pub(crate) fn drop_idle(&self) -> usize {
        self.pools().map(|(_, pool)| pool.release_idle()).sum()
    }

    fn pool(&self, id: &str) -> Option<&dyn AnyPool> {
        let pool = self.assembled.functions.get(id).map(Callable::pool);
        #[cfg(feature = "http")]
        let pool = pool.or_else(|| self.assembled.handlers.get(id).map(|handler| handler.pool()));
        pool
    }

    /// Returns the ids of all functions, in order.
    #[must_use]
    pub fn functions(&self) -> Vec<EntryId> {
        let mut ids: Vec<_> = self.assembled.functions.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// Looks up a function by its id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), with the kind of an entry that is not a function, or else with a similar function.
    pub fn function(&self, id: &str) -> Result<&EntryId, CallError> {
        self.lookup(id).map(|(id, _)| id)
    }

    /// Returns the ids of HTTP handlers, in order: functions that answer HTTP requests themselves and cannot be called.
    #[must_use]
    pub fn handlers(&self) -> Vec<EntryId> {
        #[cfg(feature = "http")]
        let mut ids: Vec<_> = self.assembled.handlers.keys().cloned().collect();
        #[cfg(not(feature = "http"))]
        let mut ids = Vec::new();
        ids.sort_unstable();
        ids
    }

    /// Returns the commands, in the order of their ids.
    #[must_use]
    pub fn commands(&self) -> &[Arc<Command>] {
        &self.commands
    }

    /// Looks up a command by name or id.
    ///
    /// # Errors
    /// [`CommandNotFound`], with the most similar name if one is near.
    pub fn command(&self, name: &str) -> Result<&Arc<Command>, CommandNotFound> {
        let commands = self.commands();
        let named = commands.iter().find(|command| command.name() == Some(name));
        let found = named.or_else(|| commands.iter().find(|command| command.id().as_str() == name));
        found.ok_or_else(|| CommandNotFound::new(name, commands))
    }

    /// Returns the registry: every entry of the app.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the warnings of the load: valid but suspicious configuration.
    #[must_use]
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// Returns the services and routes to serve over HTTP.
    #[cfg(feature = "http")]
    pub(crate) fn site(&self) -> &crate::web::Site {
        &self.assembled.site
    }

    /// Returns the OpenAPI document of each service with endpoints, paired with the service's name (`listen` for
    /// endpoints without an `http.service`).
    #[cfg(feature = "http")]
    #[must_use]
    pub fn openapi(&self) -> Vec<(String, serde_json::Value)> {
        self.assembled.site.documents()
    }

    /// Creates the first workers of every pool with a warm start. Skips pools that `previous` has too.
    pub(crate) async fn warm(&self, previous: Option<&Self>) -> Result<(), CallError> {
        for (id, function) in &self.assembled.functions {
            let old = previous.and_then(|previous| previous.callable(id));
            if !old.is_some_and(|old| old.is_same(function)) {
                function.warm().await?;
            }
        }
        #[cfg(feature = "http")]
        for (id, handler) in &self.assembled.handlers {
            let old = previous.and_then(|previous| previous.handler(id));
            if !old.is_some_and(|old| Arc::ptr_eq(&old, handler)) {
                handler.guest.warm().await?;
            }
        }
        Ok(())
    }

    /// Tells whether an id has a pool.
    pub(crate) fn has_callee(&self, id: &EntryId) -> bool {
        self.pool(id.as_str()).is_some()
    }

    pub(crate) fn callable(&self, id: &EntryId) -> Option<&Callable> {
        self.assembled.functions.get(id)
    }

    #[cfg(feature = "http")]
    pub(crate) fn handler(&self, id: &EntryId) -> Option<Arc<crate::web::HttpHandler>> {
        self.assembled.handlers.get(id).cloned()
    }

    pub(crate) fn resources(&self) -> &HostResources {
        &self.assembled.resources
    }

    fn is_intercepted(&self, id: &EntryId) -> bool {
        !self.assembled.interceptors.of(id).is_empty()
    }

    /// Looks up a function with its entry id.
    fn lookup(&self, id: &str) -> Result<(&EntryId, &Callable), CallError> {
        self.assembled.functions.get_key_value(id).ok_or_else(|| self.not_found(id))
    }

    #[cold]
    fn not_found(&self, id: &str) -> CallError {
        let other = self.resolve(id).filter(|entry| !self.is_function(&entry.id));
        if let Some(entry) = other {
            // The error has the full id, even if the caller gave only a name.
            return CallError::not_a_function(&entry.id, self.describe(entry));
        }
        let nearest = suggest::nearest_id(id, self.assembled.functions.keys()).cloned();
        CallError::not_found(id, nearest)
    }

    fn is_function(&self, id: &EntryId) -> bool {
        self.assembled.functions.contains_key(id)
    }

    /// Looks up an entry by its id, by its id with other separators (`shop.total`), or by its name alone. A function
    /// takes precedence over other entries of that name.
    #[must_use]
    pub fn resolve(&self, text: &str) -> Option<&Entry> {
        if let Some(entry) = self.registry.get(text) {
            return Some(entry);
        }
        let refers = |entry: &&Entry| suggest::refers_to(text, &entry.id);
        let matches = || self.registry.into_iter().filter(refers);
        matches().find(|entry| self.is_function(&entry.id)).or_else(|| matches().next())
    }

    /// Describes an entry that is not a function, for an error message.
    fn describe(&self, entry: &Entry) -> String {
        #[cfg(feature = "http")]
        if self.assembled.handlers.contains_key(&entry.id) {
            return "answers HTTP requests itself".to_owned();
        }
        format!("is of kind `{}`", entry.kind.name())
    }
}

impl NestedInvoke for &Generation {
    fn invoker(self) -> Option<Arc<dyn Invoke>> {
        // None only while the generation is being constructed.
        Some(self.weak_self.upgrade()?)
    }
}

#[async_trait]
impl Invoke for Generation {
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        self.dispatch(id, context, args).await
    }

    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>> {
        Generation::signature(self, id.as_str())
    }

    /// Refuses calls that the pool would refuse. Never refuses a function with interceptors: one of them may answer
    /// without the pool.
    fn admits(&self, id: &EntryId) -> Result<(), CallError> {
        if self.is_intercepted(id) {
            return Ok(());
        }
        let Some(callable) = self.callable(id) else { return Ok(()) };
        let saturated = |waiting| CallError::saturated(id, Overload::Queue { waiting });
        callable.pool().admits().map_err(saturated)
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("functions", &self.functions())
            .finish_non_exhaustive()
    }
}
