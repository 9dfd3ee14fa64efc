//! The import `funcs`: calls that a guest makes of other functions. `wit/` has both interfaces.
//!
//! What a guest calls runs where the guest itself is polled, on a stack of its own: no task is started, and
//! a chain of calls is no deeper on any stack than one of them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Instant;

use std::sync::Arc;

use crisol_core::{
    Args, CallContext, CallError, EntryId, ErrorKind, Invoke, Reply, Signature, Type, Value,
};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::failure::DeadlinePassed;
use crate::host::Host;

mod ours;
mod wippy;

/// What the calls that a guest makes while it serves one go through.
#[derive(Clone)]
pub struct Funcs {
    /// What calls them.
    pub invoke: Arc<dyn Invoke>,
    /// The context that each of them has: that of a call nested in the one that is being served.
    pub context: CallContext,
}

/// A call that ended without a result.
enum Unanswered {
    /// By an error of the function that was called, or because there is none.
    Call(CallError),
    /// By something that this side found.
    Here(ErrorKind, String),
}

/// What came of a call. The outer error ends the guest.
type Answered<T> = wasmtime::Result<Result<T, Unanswered>>;

/// Both interfaces, without their version.
pub(crate) const INTERFACES: &[&str] = &["crisol:runtime/funcs", "wippy:runtime/funcs"];

/// Whether `interface`, a name without version, is one of them.
pub(crate) fn is_funcs(interface: &str) -> bool {
    INTERFACES.contains(&interface)
}

/// Defines both interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    ours::add_to_linker(linker)?;
    wippy::add_to_linker(linker)
}

/// One call, ready to be made.
struct Outward {
    id: EntryId,
    funcs: Funcs,
    signature: Option<Arc<Signature>>,
}

impl Outward {
    /// Finds out what is to be called. `size` is that of the arguments, in bytes.
    fn find(
        store: &StoreContextMut<'_, Host>,
        target: &str,
        size: usize,
    ) -> Result<Self, Unanswered> {
        let host = store.data();
        // Arguments leave the guest as its result does.
        let allowed = host.meter.limits().max_output_bytes;
        if size as u64 > allowed {
            let message = format!(
                "the arguments have {size} bytes: the caller's `limits.max_output_bytes` is {allowed}"
            );
            return Err(Unanswered::Here(ErrorKind::Limit, message));
        }
        let Some(funcs) = host.funcs.clone() else {
            let message =
                "functions can be called while a call is served, not while an instance is made";
            return Err(Unanswered::Here(ErrorKind::Unavailable, message.to_owned()));
        };
        let id: EntryId = target.parse().map_err(|error| {
            Unanswered::Here(ErrorKind::InvalidInput, format!("the target: {error}"))
        })?;
        let signature = funcs.invoke.signature(&id);
        Ok(Self { id, funcs, signature })
    }

    /// Makes the call. A caller whose own time is over by its end is ended, so that what becomes of such
    /// a call does not depend on who of both notices first.
    async fn call(&self, store: &mut StoreContextMut<'_, Host>, args: Args<'_>) -> Answered<Reply> {
        let call = self.funcs.invoke.invoke(&self.id, self.funcs.context.clone(), args);
        let outcome = away(store, call).await;
        if store.data().deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(wasmtime::Error::new(DeadlinePassed));
        }
        Ok(outcome.map_err(Unanswered::Call))
    }

    /// The type of its only parameter.
    fn only_parameter(&self) -> Option<&Type> {
        match self.signature.as_deref()?.params.as_slice() {
            [only] => Some(&only.ty),
            _ => None,
        }
    }

    /// The type of the value that it gives; none for one that gives nothing.
    fn result(&self) -> Option<&Type> {
        match self.signature.as_deref()?.result.as_ref()? {
            Type::Result { ok, .. } => ok.as_deref(),
            other => Some(other),
        }
    }
}

/// Waits for another function. The time that its guest takes is none of the caller's.
async fn away<F: Future>(store: &mut StoreContextMut<'_, Host>, other: F) -> F::Output {
    let mut other = pin!(other);
    poll_fn(|cx| {
        let began = Instant::now();
        let poll = other.as_mut().poll(cx);
        store.data_mut().away += began.elapsed();
        poll
    })
    .await
}

impl Unanswered {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Call(error) => error.kind(),
            Self::Here(kind, _) => *kind,
        }
    }

    /// For people: guests belong to the app, so they may know all of it.
    fn message(&self) -> String {
        match self {
            Self::Call(error) => crisol_core::chain(error),
            Self::Here(_, message) => message.clone(),
        }
    }

    /// The function's own error.
    fn into_own(self) -> Result<Value, Self> {
        match self {
            Self::Call(CallError::Function { error, .. }) => Ok(*error),
            other => Err(other),
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Unanswered> {
    serde_json::to_vec(value).map_err(unwritable)
}

fn unwritable(error: impl std::fmt::Display) -> Unanswered {
    Unanswered::Here(ErrorKind::UnexpectedResult, format!("the result has no JSON form: {error}"))
}
