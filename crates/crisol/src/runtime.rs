//! The runtime: functions by id, and the ways to call them from Rust.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{Args, CallContext, CallError, Caller, EntryId, Invoke, Reply, Signature, Value};
use crisol_pool::Stats;
use crisol_schema::{Problems, Registry};
use crisol_wit::Lifted;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::Builder;
use crate::function::Function;

/// An app, loaded and ready to be called. Cloning is a reference count.
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) registry: Registry,
    pub(crate) warnings: Problems,
    pub(crate) functions: HashMap<EntryId, Function>,
}

impl Runtime {
    /// Begins to set a runtime up.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Calls `id` with Rust values: a tuple or sequence holds the arguments in order, a struct holds
    /// them by name, `()` is none. The result becomes an `R` without a tree of [`Value`]s in between.
    ///
    /// # Errors
    /// See [`CallError`]; the error side of the function's own `result` is [`CallError::Function`].
    pub async fn call<R: DeserializeOwned>(
        &self,
        id: &str,
        args: impl Serialize,
    ) -> Result<R, CallError> {
        let function = self.function(id)?;
        let lowered = function.mapping.lower_serialize(&args);
        drop(args);
        let lifted = function.call(CallContext::new(Caller::Rust), lowered).await?;
        lifted.deserialize().map_err(|error| CallError::UnexpectedResult {
            id: function.id.clone(),
            source: error.into(),
        })
    }

    /// Calls `id` with values whose types are known only now.
    ///
    /// # Errors
    /// As [`Runtime::call`].
    pub async fn call_values(&self, id: &str, args: Vec<Value>) -> Result<Value, CallError> {
        let context = CallContext::new(Caller::Rust);
        let lifted = self.call_args(id, context, Args::Values(args)).await?;
        Ok(lifted.to_value())
    }

    /// Calls `id` with arguments written as WAVE, the text format of component values, in parentheses
    /// as in a call: `(6, {name: "Ann"})`. The result is WAVE too; nothing for a function without one.
    ///
    /// # Errors
    /// As [`Runtime::call`].
    pub async fn call_wave(&self, id: &str, args: &str) -> Result<String, CallError> {
        let function = self.function(id)?;
        let lowered = function.mapping.lower_wave(args);
        let lifted = function.call(CallContext::new(Caller::Rust), lowered).await?;
        Ok(lifted.to_wave())
    }

    /// What `id` takes and gives.
    #[must_use]
    pub fn signature(&self, id: &str) -> Option<&Arc<Signature>> {
        self.0.functions.get(id).map(|function| function.mapping.signature())
    }

    /// Makes the first instances of every pool with `warm_start`, and waits until they are ready: to be
    /// done before an app is served.
    ///
    /// # Errors
    /// When an instance cannot be made: a start function fails, a required variable is missing.
    pub async fn warm(&self) -> Result<(), CallError> {
        for function in self.0.functions.values() {
            function.warm().await?;
        }
        Ok(())
    }

    /// What the pool of `id` has done so far.
    #[must_use]
    pub fn stats(&self, id: &str) -> Option<Stats> {
        self.0.functions.get(id).map(|function| function.pool.stats())
    }

    /// The ids of all functions, in order.
    #[must_use]
    pub fn functions(&self) -> Vec<&EntryId> {
        let mut ids: Vec<_> = self.0.functions.keys().collect();
        ids.sort_unstable();
        ids
    }

    /// Every entry of the app.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What is likely not what was meant, though it loads.
    #[must_use]
    pub fn warnings(&self) -> &Problems {
        &self.0.warnings
    }

    async fn call_args(
        &self,
        id: &str,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Lifted, CallError> {
        let function = self.function(id)?;
        let lowered = function.mapping.lower_args(args);
        function.call(context, lowered).await
    }

    fn function(&self, id: &str) -> Result<&Function, CallError> {
        self.0.functions.get(id).ok_or_else(|| {
            let names = self.0.functions.keys();
            let alike = names.map(|near| (strsim::jaro_winkler(id, near.as_str()), near));
            let nearest = alike.filter(|(alike, _)| *alike > 0.8);
            let nearest = nearest.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, id)| id.clone());
            CallError::NotFound { id: id.to_owned(), nearest }
        })
    }
}

#[async_trait]
impl Invoke for Runtime {
    async fn invoke(
        &self,
        id: &EntryId,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        Ok(self.call_args(id.as_str(), context, args).await?.into())
    }

    fn signature(&self, id: &EntryId) -> Option<Arc<Signature>> {
        Runtime::signature(self, id.as_str()).cloned()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("functions", &self.functions()).finish_non_exhaustive()
    }
}
