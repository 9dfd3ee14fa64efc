//! `crisol:runtime/funcs`: arguments and results are JSON, errors are a variant.

use crisol_core::{Args, ErrorKind};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

use super::{FuncsError, FuncsResult, GuestCall, encode_reply, json};
use crate::host::Host;

/// The interface's `error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "function")]
    Function(Vec<u8>),
    #[component(name = "not-found")]
    NotFound(String),
    #[component(name = "invalid-input")]
    InvalidInput(String),
    #[component(name = "trap")]
    Trap(String),
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "exited")]
    Exited(String),
    #[component(name = "deadline")]
    Deadline(String),
    #[component(name = "limit")]
    Limit(String),
    #[component(name = "saturated")]
    Saturated(String),
    #[component(name = "would-deadlock")]
    WouldDeadlock(String),
    #[component(name = "environment")]
    Environment(String),
    #[component(name = "unavailable")]
    Unavailable(String),
    #[component(name = "unexpected-result")]
    UnexpectedResult(String),
    #[component(name = "internal")]
    Internal(String),
}

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.instance("crisol:runtime/funcs@0.1.0")?.func_wrap_async(
        "call",
        |store, (target, args): (String, Vec<u8>)| {
            Box::new(async move {
                let answer = call(store, &target, &args).await?;
                Ok((answer.map_err(Error::from),))
            })
        },
    )
}

async fn call(
    mut store: StoreContextMut<'_, Host>,
    target: &str,
    args: &[u8],
) -> FuncsResult<Vec<u8>> {
    let guest_call = match GuestCall::find(&mut store, target, args.len()) {
        Ok(guest_call) => guest_call,
        Err(unanswered) => return Ok(Err(unanswered)),
    };
    let reply = guest_call.call(&mut store, Args::json(args)).await?;
    Ok(reply.and_then(|reply| encode_reply(&reply)))
}

impl From<FuncsError> for Error {
    fn from(unanswered: FuncsError) -> Self {
        let other = match unanswered.into_own() {
            Ok(own) => match json(&own) {
                Ok(own) => return Self::Function(own),
                Err(other) => other,
            },
            Err(other) => other,
        };
        let case = match other.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::InvalidInput => Self::InvalidInput,
            // Interface 0.1.0 has no case for it. Like a trap, it may have had effects.
            ErrorKind::Trap | ErrorKind::Interrupted => Self::Trap,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Exited => Self::Exited,
            ErrorKind::Deadline => Self::Deadline,
            ErrorKind::Limit => Self::Limit,
            ErrorKind::Saturated => Self::Saturated,
            ErrorKind::WouldDeadlock => Self::WouldDeadlock,
            ErrorKind::Environment => Self::Environment,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::UnexpectedResult => Self::UnexpectedResult,
            _ => Self::Internal,
        };
        case(other.message())
    }
}
