//! The import `funcs`: calls from a guest to other functions. `wit/` has both interfaces.
//!
//! The called function runs inside the caller's poll, but on a stack of its own: no task is spawned, and a chain
//! of calls uses no more of any stack than a single call.

mod crisol;
mod wippy;

use std::borrow::Cow;
use std::sync::Arc;

use crisol_core::{Args, CallContext, CallError, EntryId, ErrorKind, Invoke, Reply, Value};
use semver::Version;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::Capability;
use crate::config::VariantKey;
use crate::failure::DeadlinePassed;
use crate::host::Host;
use crate::poll_timer::{has_passed, timed};
use crate::releases::{Interface, Release, denied};
use crate::state::{EntrySettings, InstanceState};

/// Both interfaces.
const INTERFACES: &[Interface] = &[denied("crisol:runtime/funcs"), denied("wippy:runtime/funcs")];

static RELEASES: [Release; 1] = [Release {
    family: "crisol:runtime",
    version: Some(Version::new(0, 1, 0)),
    interfaces: Cow::Borrowed(INTERFACES),
}];

/// Returns true if `interface`, a name without version, is one of the `funcs` interfaces.
pub(crate) fn is_funcs(interface: &str) -> bool {
    INTERFACES.iter().any(|own| own.name == interface)
}

/// The capability to call other functions. Its state in an instance is [`LentFuncs`].
pub(super) struct FuncsCapability;

impl Capability for FuncsCapability {
    fn releases(&self) -> &[Release] {
        &RELEASES
    }

    fn add_to_linker(&self, linker: &mut Linker<Host>, _: VariantKey) -> wasmtime::Result<()> {
        crisol::add_to_linker(linker)?;
        wippy::add_to_linker(linker)
    }
}

/// Access to other functions for a guest while it serves a call.
#[derive(Clone)]
pub struct Funcs {
    /// The invoker of the calls.
    pub invoke: Arc<dyn Invoke>,
    /// The context of each call, nested in the call that is being served.
    pub context: CallContext,
}

/// Access to other functions during a call of an instance; `None` between calls.
pub(crate) struct LentFuncs(pub(crate) Option<Funcs>);

impl InstanceState for LentFuncs {
    fn new(_: &EntrySettings) -> Self {
        Self(None)
    }
}

/// A call that ended without a result.
enum FuncsError {
    /// The called function failed, or does not exist.
    Call(CallError),
    /// The caller's side found a problem.
    Caller(ErrorKind, String),
}

/// Result of a call. The outer error ends the guest.
type FuncsResult<T> = wasmtime::Result<Result<T, FuncsError>>;

/// A prepared call.
struct GuestCall {
    id: EntryId,
    funcs: Funcs,
}

impl GuestCall {
    /// Resolves the target of a call. `size` is the arguments' size in bytes.
    fn find(
        store: &mut StoreContextMut<'_, Host>,
        target: &str,
        size: usize,
    ) -> Result<Self, FuncsError> {
        let host = store.data_mut();
        // Arguments leave the guest like its result, so the same limit applies.
        let allowed = host.meter.limits().max_output_bytes;
        if size as u64 > allowed {
            let message = format!(
                "the arguments have {size} bytes: the caller's `limits.max_output_bytes` is {allowed}"
            );
            return Err(FuncsError::Caller(ErrorKind::Limit, message));
        }
        let lent = host.states.get_mut::<LentFuncs>();
        let Some(funcs) = lent.and_then(|lent| lent.0.clone()) else {
            let message = "functions can be called only while a call is served: not from a start function, and not once the app was replaced";
            return Err(FuncsError::Caller(ErrorKind::Unavailable, message.to_owned()));
        };
        let id: EntryId = target.parse().map_err(|error| {
            FuncsError::Caller(ErrorKind::InvalidInput, format!("the target: {error}"))
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
        let outcome = timed(call, |took| store.data_mut().work.external += took).await;
        if store.data().work.deadline.is_some_and(has_passed) {
            return Err(wasmtime::Error::new(DeadlinePassed));
        }
        Ok(outcome.map_err(FuncsError::Call))
    }
}

impl FuncsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Call(error) => error.kind(),
            Self::Caller(kind, _) => *kind,
        }
    }

    /// The full error message: guests belong to the app, so nothing is withheld.
    fn message(&self) -> String {
        match self {
            Self::Call(error) => crisol_core::chain(error),
            Self::Caller(_, message) => message.clone(),
        }
    }

    /// Extracts the function's own error value.
    fn into_own(self) -> Result<Value, Self> {
        match self {
            Self::Call(error) => error.into_function_error().map_err(Self::Call),
            caller @ Self::Caller(..) => Err(caller),
        }
    }
}

/// Encodes a result as JSON.
fn encode_reply(reply: &Reply) -> Result<Vec<u8>, FuncsError> {
    let mut text = Vec::new();
    reply.write_json(&mut text).map_err(unwritable)?;
    Ok(text)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, FuncsError> {
    serde_json::to_vec(value).map_err(unwritable)
}

fn unwritable(error: impl std::fmt::Display) -> FuncsError {
    FuncsError::Caller(ErrorKind::UnexpectedResult, format!("the result has no JSON form: {error}"))
}
