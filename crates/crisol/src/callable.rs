//! What an id can be called as: one case for each way in which an entry answers.

use std::sync::Arc;

use crisol_core::{Args, CallContext, CallError, Reply, Signature, Value};

use crate::function::{Function, LONG_TEXT};
use crate::generation::Generation;
use crate::lua::LuaFunction;
use crate::pooled::AnyPool;

/// What answers calls of an id. Shared between generations while its entry does not change.
#[derive(Clone)]
pub(crate) enum Callable {
    /// A WebAssembly function behind its pool.
    Wasm(Arc<Function>),
    /// A Lua function behind its pool.
    Lua(Arc<LuaFunction>),
}

/// Whether arguments are text that takes longer to read than a guest's turn.
fn is_long(args: &Args<'_>) -> bool {
    matches!(args, Args::Json(text) if text.len() >= LONG_TEXT)
}

impl Callable {
    /// Calls it on behalf of a generation, which is where what it calls in turn is looked up.
    pub(crate) async fn invoke(
        &self,
        within: &Generation,
        context: CallContext,
        args: Args<'_>,
    ) -> Result<Reply, CallError> {
        match self {
            Self::Wasm(function) => {
                let args = match args {
                    Args::Json(text) if text.len() >= LONG_TEXT => {
                        let text = text.into_owned();
                        // Boxed, as it would make the future of every call larger.
                        let call = Box::pin(function.call_with_long_text(within, context, text));
                        return Ok(call.await?.into());
                    }
                    args => args,
                };
                let lowered = function.mapping.lower_args(args);
                Ok(function.call(within, context, lowered).await?.into())
            }
            Self::Lua(function) => {
                let args = match args {
                    args if is_long(&args) => Box::pin(self.values_aside(args)).await?,
                    args => function.read(args)?,
                };
                // Boxed, as it would make the future of every call larger.
                let call = Box::pin(function.call(within.invoker(), context, args));
                Ok(Reply::new(call.await?))
            }
        }
    }

    /// Arguments of any edge as values. Long text is read on a thread that may block.
    pub(crate) async fn values_aside(&self, args: Args<'_>) -> Result<Vec<Value>, CallError> {
        let text = match args {
            Args::Json(text) if text.len() >= LONG_TEXT => text.into_owned(),
            args => return self.values(args),
        };
        let this = self.clone();
        let reading = tokio::task::spawn_blocking(move || this.values(Args::json(text)));
        // Reading does not panic, and nobody aborts it but a runtime that shuts down.
        reading.await.unwrap_or_else(|error| {
            let id = match self {
                Self::Wasm(function) => function.guest.id.clone(),
                Self::Lua(function) => function.id.clone(),
            };
            Err(CallError::Internal { id, source: error.into() })
        })
    }

    /// What it takes and gives, where that is known before a call.
    pub(crate) fn signature(&self) -> Option<Arc<Signature>> {
        match self {
            Self::Wasm(function) => Some(Arc::clone(function.mapping.signature())),
            // Lua functions take what they are given.
            Self::Lua(_) => None,
        }
    }

    /// Whether both are the same, pool and all.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wasm(one), Self::Wasm(two)) => Arc::ptr_eq(one, two),
            (Self::Lua(one), Self::Lua(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// Makes what its pool begins with.
    pub(crate) async fn warm(&self) -> Result<(), CallError> {
        match self {
            Self::Wasm(function) => function.guest.warm().await,
            Self::Lua(function) => function.warm().await,
        }
    }

    /// Its pool.
    pub(crate) fn pool(&self) -> &dyn AnyPool {
        match self {
            Self::Wasm(function) => &*function.guest.pool,
            Self::Lua(function) => &*function.pool,
        }
    }
}
