//! What an id can be called as: one case for each way in which an entry answers.

use std::sync::Arc;

use crisol_core::{Args, CallContext, CallError, Reply, Signature};

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
                let lowered = match args {
                    // Boxed, as it would make the future of every call larger.
                    Args::Json(text) if text.len() >= LONG_TEXT => {
                        Box::pin(function.lower_aside(text.into_owned())).await
                    }
                    args => function.mapping.lower_args(args),
                };
                Ok(function.call(within, context, lowered).await?.into())
            }
            Self::Lua(function) => {
                let args = function.read(args)?;
                // Boxed, as it would make the future of every call larger.
                let call = Box::pin(function.call(within.invoker(), context, args));
                Ok(Reply::new(call.await?))
            }
        }
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
