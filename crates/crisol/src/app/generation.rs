//! One generation of an app: everything that a call looks at, and nothing of it ever changes.
//!
//! A change makes a new generation; see [`Runtime`](crate::Runtime). A call takes the current one once, at
//! its start, and stays in it: whatever it calls in turn, through a guest's `funcs` or from Lua, is looked
//! up in the same generation. What none of its calls holds any longer is dropped, and what a later one has
//! not taken over with it: pools, instances, compiled code.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use crisol_core::{Args, CallContext, CallError, Caller, EntryId, Invoke, Reply, Signature, Value};
use crisol_pool::Stats;
use crisol_pool::strategy::adaptive::Decision;
use crisol_schema::{Entry, Problems, Registry};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::assembled::Assembled;
use super::names;
use super::not_found::CommandNotFound;
use super::resources::HostResources;
use crate::call::{AnyPool, Arguments, Callable, Command, Form, Rust, Tree, Wave, Within};

/// An app as it was loaded or changed at one moment, ready to be called.
///
/// As an [`Invoke`] it is what edges hold that must not see two generations in one piece of work: the
/// routes of one configuration, a script, a guest's nested calls.
pub struct Generation {
    number: u64,
    registry: Registry,
    warnings: Problems,
    assembled: Assembled,
    commands: Vec<Arc<Command>>,
    /// Itself, for those calls that hand it on.
    me: Weak<Generation>,
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
            let within = |command| {
                let within = Weak::<Self>::clone(me);
                Arc::new(Command { within, ..command })
            };
            let commands = commands.into_iter().map(within).collect();
            Self { number, registry, warnings, assembled, commands, me: me.clone() }
        })
    }

    /// Which generation of its runtime this is; the first is 1.
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
        self.enter(id, CallContext::new(Caller::Rust), Rust::new(args)).await
    }

    /// Calls `id`; see [`Runtime::call_values`](crate::Runtime::call_values).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_values(&self, id: &str, args: Vec<Value>) -> Result<Value, CallError> {
        self.enter(id, CallContext::new(Caller::Rust), Tree(args)).await
    }

    /// Calls `id`; see [`Runtime::call_wave`](crate::Runtime::call_wave).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_wave(&self, id: &str, args: &str) -> Result<String, CallError> {
        self.enter(id, CallContext::new(Caller::Rust), Wave(args)).await
    }

    /// [`Invoke::invoke`] without its box.
    pub(crate) async fn dispatch(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        self.enter(id.as_str(), context, Arguments(args)).await
    }

    /// The one door to everything that can be called. Calls that the callee makes in turn stay in this generation.
    async fn enter<F: Form>(
        &self,
        id: &str,
        context: CallContext,
        form: F,
    ) -> Result<F::Output, CallError> {
        let (id, callable) = self.find(id)?;
        let interceptors = self.assembled.interceptors.of(id);
        if interceptors.is_empty() {
            return callable.call(self, &context, form).await;
        }
        // Boxed, as it would make the future of every call larger.
        Box::pin(callable.intercepted(interceptors, self, context, form)).await
    }

    /// What `id` takes and gives.
    #[must_use]
    pub fn signature(&self, id: &str) -> Option<Arc<Signature>> {
        self.assembled.functions.get(id)?.signature()
    }

    /// What the pool of `id` has done so far.
    #[must_use]
    pub fn stats(&self, id: &str) -> Option<Stats> {
        Some(self.pool(id)?.stats())
    }

    /// See [`Runtime::decisions`](crate::Runtime::decisions).
    #[must_use]
    pub fn decisions(&self, id: &str) -> Option<Vec<Decision>> {
        Some(self.pool(id)?.decisions())
    }

    /// All pools whose calls a drain waits for: those of functions and handlers, and runs of commands.
    pub(crate) fn drained(&self) -> impl Iterator<Item = &dyn AnyPool> {
        let commands = self.commands.iter().map(|command| command.pool());
        self.pools().map(|(_, pool)| pool).chain(commands)
    }

    /// Every pool, of functions and of what answers HTTP by itself, by the id of its entry.
    fn pools(&self) -> impl Iterator<Item = (&EntryId, &dyn AnyPool)> {
        let functions = self.assembled.functions.iter();
        let pools = functions.map(|(id, callable)| (id, callable.pool()));
        #[cfg(feature = "http")]
        let pools =
            pools.chain(self.assembled.handlers.iter().map(|(id, handler)| (id, handler.pool())));
        pools
    }

    /// Drops the ready instances of pools that are to keep none. Returns their number.
    pub(crate) fn shed(&self) -> usize {
        self.pools().map(|(_, pool)| pool.shed()).sum()
    }

    fn pool(&self, id: &str) -> Option<&dyn AnyPool> {
        let pool = self.assembled.functions.get(id).map(Callable::pool);
        #[cfg(feature = "http")]
        let pool = pool.or_else(|| self.assembled.handlers.get(id).map(|handler| handler.pool()));
        pool
    }

    /// The ids of all functions, in order.
    #[must_use]
    pub fn functions(&self) -> Vec<EntryId> {
        let mut ids: Vec<_> = self.assembled.functions.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// Looks up a function by its id.
    ///
    /// # Errors
    /// [`CallError::NotFound`] with the entry's kind when it is no function, or else the function that is most like it.
    pub fn function(&self, id: &str) -> Result<&EntryId, CallError> {
        self.find(id).map(|(id, _)| id)
    }

    /// The ids of functions that answer HTTP by themselves and cannot be called, in order.
    #[must_use]
    pub fn handlers(&self) -> Vec<EntryId> {
        #[cfg(feature = "http")]
        let mut ids: Vec<_> = self.assembled.handlers.keys().cloned().collect();
        #[cfg(not(feature = "http"))]
        let mut ids = Vec::new();
        ids.sort_unstable();
        ids
    }

    /// The commands, in the order of their ids.
    #[must_use]
    pub fn commands(&self) -> &[Arc<Command>] {
        &self.commands
    }

    /// The command that is called `name`; its id will do too.
    ///
    /// # Errors
    /// When there is none: the error has the name that is most like it.
    pub fn command(&self, name: &str) -> Result<&Arc<Command>, CommandNotFound> {
        let commands = self.commands();
        let named = commands.iter().find(|command| command.name() == Some(name));
        let found = named.or_else(|| commands.iter().find(|command| command.id().as_str() == name));
        found.ok_or_else(|| CommandNotFound::new(name, commands))
    }

    /// Every entry of the app.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is likely not what was meant, though it loads.
    #[must_use]
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// What is served over HTTP.
    #[cfg(feature = "http")]
    pub(crate) fn site(&self) -> &crate::http::Site {
        &self.assembled.site
    }

    /// OpenAPI documents of the services that have endpoints, each with its service's name (`listen` for
    /// endpoints of no `http.service`).
    #[cfg(feature = "http")]
    #[must_use]
    pub fn openapi(&self) -> Vec<(String, serde_json::Value)> {
        self.assembled.site.documents()
    }

    /// Makes the first instances of every pool that starts warm, but for those that `before` has too.
    pub(crate) async fn warm(&self, before: Option<&Self>) -> Result<(), CallError> {
        for (id, function) in &self.assembled.functions {
            let old = before.and_then(|before| before.callable(id));
            if !old.is_some_and(|old| old.is_same(function)) {
                function.warm().await?;
            }
        }
        #[cfg(feature = "http")]
        for (id, handler) in &self.assembled.handlers {
            let old = before.and_then(|before| before.handler(id));
            if !old.is_some_and(|old| Arc::ptr_eq(&old, handler)) {
                handler.guest.warm().await?;
            }
        }
        Ok(())
    }

    /// Whether an id has a pool.
    pub(crate) fn has_callee(&self, id: &EntryId) -> bool {
        self.pool(id.as_str()).is_some()
    }

    pub(crate) fn callable(&self, id: &EntryId) -> Option<&Callable> {
        self.assembled.functions.get(id)
    }

    #[cfg(feature = "http")]
    pub(crate) fn handler(&self, id: &EntryId) -> Option<Arc<crate::http::HttpHandler>> {
        self.assembled.handlers.get(id).cloned()
    }

    pub(crate) fn resources(&self) -> &HostResources {
        &self.assembled.resources
    }

    /// Every function with what its pool has done, in the order of ids.
    pub(crate) fn all_stats(&self) -> Vec<(EntryId, Stats)> {
        let mut all: Vec<_> = self.pools().map(|(id, pool)| (id.clone(), pool.stats())).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    fn is_intercepted(&self, id: &EntryId) -> bool {
        !self.assembled.interceptors.of(id).is_empty()
    }

    fn find(&self, id: &str) -> Result<(&EntryId, &Callable), CallError> {
        self.assembled.functions.get_key_value(id).ok_or_else(|| self.not_found(id))
    }

    #[cold]
    fn not_found(&self, id: &str) -> CallError {
        // An entry that is asked for by its name alone is told of by its id.
        let meant = self.meant(id).filter(|entry| !self.is_function(&entry.id));
        if let Some(entry) = meant {
            let what = self.what(entry).into_boxed_str();
            return CallError::NotFound {
                id: entry.id.to_string(),
                what: Some(what),
                nearest: None,
            };
        }
        let nearest = names::nearest(id, self.assembled.functions.keys()).cloned();
        CallError::NotFound { id: id.to_owned(), nearest, what: None }
    }

    fn is_function(&self, id: &EntryId) -> bool {
        self.assembled.functions.contains_key(id)
    }

    /// The entry that a text means: by its id, be it with other marks between its parts (`shop.total`), or by its name
    /// alone. A function comes before other entries of that name.
    #[must_use]
    pub fn meant(&self, text: &str) -> Option<&Entry> {
        if let Some(entry) = self.registry.get(text) {
            return Some(entry);
        }
        let is_meant = |entry: &&Entry| names::is_meant(text, &entry.id);
        let all = || self.registry.into_iter().filter(is_meant);
        all().find(|entry| self.is_function(&entry.id)).or_else(|| all().next())
    }

    /// What an entry is that is no function.
    fn what(&self, entry: &Entry) -> String {
        #[cfg(feature = "http")]
        if self.assembled.handlers.contains_key(&entry.id) {
            return "answers HTTP by itself".to_owned();
        }
        format!("is of kind `{}`", entry.kind.name())
    }
}

impl Within for &Generation {
    fn invoke(self) -> Option<Arc<dyn Invoke>> {
        // None is only while it is being made.
        Some(self.me.upgrade()?)
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

    /// An interceptor may answer without the pool, so what it stands before is never refused here.
    fn admits(&self, id: &EntryId) -> Result<(), CallError> {
        if self.is_intercepted(id) {
            return Ok(());
        }
        let Some(callable) = self.callable(id) else { return Ok(()) };
        let saturated = |waiting| CallError::Saturated { id: id.clone(), waiting };
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
