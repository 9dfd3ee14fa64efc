//! The import `funcs`: calls from a guest to other functions. `wit/` has both interfaces.
//!
//! The called function runs inside the caller's poll, but on a stack of its own: no task is spawned, and a chain
//! of calls is no deeper on any stack than a single call.

use crisol_core::{Args, CallError, EntryId, ErrorKind, Reply, Value};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::failure::DeadlinePassed;
use crate::host::{Funcs, Host};
use crate::poll_timer::{has_passed, timed};

mod ours;
mod wippy;

/// A call that ended without a result.
enum FuncsError {
    /// The called function failed, or does not exist.
    Call(CallError),
    /// The caller's side found a problem.
    Here(ErrorKind, String),
}

/// Result of a call. The outer error ends the guest.
type FuncsResult<T> = wasmtime::Result<Result<T, FuncsError>>;

/// Defines both interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    ours::add_to_linker(linker)?;
    wippy::add_to_linker(linker)
}

/// A prepared call.
struct GuestCall {
    id: EntryId,
    funcs: Funcs,
}

impl GuestCall {
    /// Resolves the target of a call. `size` is the arguments' size in bytes.
    fn find(
        store: &StoreContextMut<'_, Host>,
        target: &str,
        size: usize,
    ) -> Result<Self, FuncsError> {
        let host = store.data();
        // Arguments leave the guest like its result, so the same limit applies.
        let allowed = host.meter.limits().max_output_bytes;
        if size as u64 > allowed {
            let message = format!(
                "the arguments have {size} bytes: the caller's `limits.max_output_bytes` is {allowed}"
            );
            return Err(FuncsError::Here(ErrorKind::Limit, message));
        }
        let Some(funcs) = host.funcs.clone() else {
            let message =
                "functions can be called while a call is served, not while an instance is made";
            return Err(FuncsError::Here(ErrorKind::Unavailable, message.to_owned()));
        };
        let id: EntryId = target.parse().map_err(|error| {
            FuncsError::Here(ErrorKind::InvalidInput, format!("the target: {error}"))
        })?;
        Ok(Self { id, funcs })
    }

    /// Makes the call. A caller whose own deadline has passed by then is ended, so that the outcome does not depend
    /// on which of the two deadlines is noticed first.
    async fn call(
        self,
        store: &mut StoreContextMut<'_, Host>,
        args: Args<'_>,
    ) -> FuncsResult<Reply> {
        let Self { id, funcs } = self;
        let call = funcs.invoke.invoke(&id, funcs.context, args);
        let outcome = timed(call, |took| store.data_mut().away += took).await;
        if store.data().deadline.is_some_and(has_passed) {
            return Err(wasmtime::Error::new(DeadlinePassed));
        }
        Ok(outcome.map_err(FuncsError::Call))
    }
}

impl FuncsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Call(error) => error.kind(),
            Self::Here(kind, _) => *kind,
        }
    }

    /// The full error message: guests belong to the app, so nothing is withheld.
    fn message(&self) -> String {
        match self {
            Self::Call(error) => crisol_core::chain(error),
            Self::Here(_, message) => message.clone(),
        }
    }

    /// Extracts the function's own error value.
    fn into_own(self) -> Result<Value, Self> {
        match self {
            Self::Call(CallError::Function { error, .. }) => Ok(*error),
            other => Err(other),
        }
    }
}

/// Encodes a result as JSON.
fn written(reply: &Reply) -> Result<Vec<u8>, FuncsError> {
    let mut text = Vec::new();
    reply.write_json(&mut text).map_err(unwritable)?;
    Ok(text)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, FuncsError> {
    serde_json::to_vec(value).map_err(unwritable)
}

fn unwritable(error: impl std::fmt::Display) -> FuncsError {
    FuncsError::Here(ErrorKind::UnexpectedResult, format!("the result has no JSON form: {error}"))
}
