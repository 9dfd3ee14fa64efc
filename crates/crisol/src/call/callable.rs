//! Dispatch of a call to a WebAssembly or Lua function, with arguments and result in the caller's form.

use std::sync::Arc;

use async_trait::async_trait;
use crisol_core::{Args, BoxError, CallContext, CallError, EntryId, Reply, Signature, Value};
use crisol_wit::{Lifted, Mapping};

use super::blocking::run_blocking;
use super::deadline::{CallDeadline, now};
use super::function::Function;
use super::interceptor::{InnerCall, Interceptor, Next};
#[cfg(feature = "lua")]
use super::lua::LuaFunction;
use super::marshal::{InvokeArgs, Marshal};
use super::nested::NestedInvoke;
use super::pools::AnyPool;

/// Callable function of an entry, one variant per kind of worker. Generations share it while its entry does not
/// change.
#[derive(Clone)]
pub(crate) enum Callable {
    /// A WebAssembly function behind its pool.
    Wasm(Arc<Function>),
    /// A Lua function behind its pool.
    #[cfg(feature = "lua")]
    Lua(Arc<LuaFunction>),
}

impl Callable {
    /// Calls the function, with arguments and result in the caller's form.
    pub(crate) async fn call<A: Marshal>(
        &self,
        nested: impl NestedInvoke,
        context: &CallContext,
        args: A,
    ) -> Result<A::Output, CallError> {
        let output = match self {
            Self::Wasm(function) => {
                let lifted = match args.long_text() {
                    // Boxed, since it would otherwise enlarge the future of every call.
                    Ok(text) => Box::pin(self.call_long(function, nested, context, text)).await?,
                    Err(args) => {
                        let lowered = args.lower(&function.mapping);
                        let args = lowered.map_err(|error| self.invalid(error.into()))?;
                        let deadline = function.guest.deadline(context);
                        function.call(nested, context, deadline, args).await?
                    }
                };
                A::of_lifted(lifted)
            }
            // Boxed, since it would otherwise enlarge the future of every call.
            #[cfg(feature = "lua")]
            Self::Lua(function) => A::of_value(
                Box::pin(async {
                    let deadline = function.scripts.deadline(context);
                    let args = match args.long_text() {
                        Ok(text) => self.long_values(context, text).await?,
                        Err(args) => args.into_values().map_err(|error| self.invalid(error))?,
                    };
                    function.call(nested, context, deadline, args).await
                })
                .await?,
            ),
        };
        output.map_err(|error| self.unexpected(error))
    }

    /// Calls the function through interceptors, with arguments and result in the caller's form.
    pub(crate) async fn intercepted<A: Marshal>(
        &self,
        interceptors: &[Arc<dyn Interceptor>],
        nested: impl NestedInvoke + Clone + Sync,
        context: CallContext,
        args: A,
    ) -> Result<A::Output, CallError> {
        let args = match args.long_text() {
            Ok(text) => self.long_values(&context, text).await?,
            Err(args) => self.values(args)?,
        };
        let target = Target { callable: self, nested };
        let reply = Next::new(self.id(), interceptors, &target).run(context, args).await?;
        A::of_reply(reply, self.mapping()).map_err(|error| self.unexpected(error))
    }

    /// Calls a function with long text, lowered on a blocking thread. The deadline includes the time of lowering.
    async fn call_long(
        &self,
        function: &Function,
        nested: impl NestedInvoke,
        context: &CallContext,
        text: Vec<u8>,
    ) -> Result<Lifted, CallError> {
        let (deadline, mapping) = (function.guest.deadline(context), function.mapping.clone());
        let lowered = run_blocking(self.id(), deadline, move || mapping.lower_json(&text)).await?;
        let args = lowered.map_err(|error| self.invalid(error.into()))?;
        let deadline = CallDeadline { began: now(), ..deadline };
        function.call(nested, context, deadline, args).await
    }

    /// Converts arguments to the values that interceptors see. Arguments of a WebAssembly function are lowered first,
    /// so that the function receives the same values as without interceptors.
    fn values<A: Marshal>(&self, args: A) -> Result<Vec<Value>, CallError> {
        let values = match self.mapping() {
            Some(mapping) => {
                let lowered = args.lower(mapping);
                lowered.and_then(|args| mapping.to_values(&args)).map_err(BoxError::from)
            }
            None => args.into_values(),
        };
        values.map_err(|error| self.invalid(error))
    }

    /// Like `values`, for long text, parsed on a blocking thread.
    async fn long_values(
        &self,
        context: &CallContext,
        text: Vec<u8>,
    ) -> Result<Vec<Value>, CallError> {
        let (this, deadline) = (self.clone(), self.deadline(context));
        run_blocking(self.id(), deadline, move || this.values(InvokeArgs(Args::json(text)))).await?
    }

    fn deadline(&self, context: &CallContext) -> CallDeadline {
        match self {
            Self::Wasm(function) => function.guest.deadline(context),
            #[cfg(feature = "lua")]
            Self::Lua(function) => function.scripts.deadline(context),
        }
    }

    fn id(&self) -> &EntryId {
        match self {
            Self::Wasm(function) => &function.guest.id,
            #[cfg(feature = "lua")]
            Self::Lua(function) => &function.scripts.id,
        }
    }

    /// Returns the type mapping of a function with a signature.
    fn mapping(&self) -> Option<&Mapping> {
        match self {
            Self::Wasm(function) => Some(&function.mapping),
            // Lua functions accept any values.
            #[cfg(feature = "lua")]
            Self::Lua(_) => None,
        }
    }

    fn invalid(&self, source: BoxError) -> CallError {
        CallError::invalid_input(self.id(), source)
    }

    fn unexpected(&self, source: BoxError) -> CallError {
        CallError::unexpected_result(self.id(), source)
    }

    /// Returns the signature; none for a Lua function.
    pub(crate) fn signature(&self) -> Option<Arc<Signature>> {
        self.mapping().map(|mapping| Arc::clone(mapping.signature()))
    }

    /// Tells whether both share one function and pool.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wasm(one), Self::Wasm(two)) => Arc::ptr_eq(one, two),
            #[cfg(feature = "lua")]
            (Self::Lua(one), Self::Lua(two)) => Arc::ptr_eq(one, two),
            #[cfg(feature = "lua")]
            (Self::Wasm(_), Self::Lua(_)) | (Self::Lua(_), Self::Wasm(_)) => false,
        }
    }

    /// Creates the first workers of a pool with a warm start.
    pub(crate) async fn warm(&self) -> Result<(), CallError> {
        match self {
            Self::Wasm(function) => function.guest.warm().await,
            #[cfg(feature = "lua")]
            Self::Lua(function) => function.scripts.warm().await,
        }
    }

    /// Returns the pool of its workers.
    pub(crate) fn pool(&self) -> &dyn AnyPool {
        match self {
            Self::Wasm(function) => &*function.guest.pool,
            #[cfg(feature = "lua")]
            Self::Lua(function) => &*function.scripts.pool,
        }
    }
}

/// The function inside its interceptors.
struct Target<'a, W> {
    callable: &'a Callable,
    nested: W,
}

#[async_trait]
impl<W: NestedInvoke + Clone + Sync> InnerCall for Target<'_, W> {
    async fn run(&self, context: CallContext, args: Vec<Value>) -> Result<Reply, CallError> {
        let args = InvokeArgs(Args::Values(args));
        self.callable.call(self.nested.clone(), &context, args).await
    }
}
