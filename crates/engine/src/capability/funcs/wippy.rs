//! `wippy:runtime/funcs`: a string or bytes in, a string or bytes out.

use crisol_core::{Args, EntryId, ErrorKind, Reply, Signature, Type, Value};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::{FuncsError, FuncsResult, GuestCall, encode_reply, json};
use crate::host::Host;

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut interface = linker.instance("wippy:runtime/funcs@0.1.0")?;
    interface.func_wrap_async("call-string", |store, (target, input): (String, String)| {
        Box::new(async move {
            let answer = call(store, &target, Input::Text(input)).await?;
            let answer = answer.and_then(|bytes| {
                // A result that is not a string was encoded as JSON, which is UTF-8.
                String::from_utf8(bytes).map_err(super::unwritable)
            });
            Ok((answer.map_err(error_text),))
        })
    })?;
    interface.func_wrap_async("call-bytes", |store, (target, input): (String, Vec<u8>)| {
        Box::new(async move {
            let answer = call(store, &target, Input::Bytes(input)).await?;
            Ok((answer.map_err(error_text),))
        })
    })
}

/// Argument of a call from the guest, whose type the answer also has.
enum Input {
    Text(String),
    Bytes(Vec<u8>),
}

async fn call(
    mut store: StoreContextMut<'_, Host>,
    target: &str,
    input: Input,
) -> FuncsResult<Vec<u8>> {
    let in_bytes = matches!(input, Input::Bytes(_));
    let guest_call = match GuestCall::find(&mut store, target, input.as_bytes().len()) {
        Ok(guest_call) => guest_call,
        Err(unanswered) => return Ok(Err(unanswered)),
    };
    let signature = guest_call.funcs.invoke.signature(&guest_call.id);
    let signature = signature.as_deref();
    let args = match input.into_args(&guest_call.id, signature) {
        Ok(args) => args,
        Err(unanswered) => return Ok(Err(unanswered)),
    };
    let reply = guest_call.call(&mut store, args).await?;
    Ok(reply.and_then(|reply| answer(signature, &reply, in_bytes)))
}

impl Input {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Converts the input to the arguments of the function `id`.
    fn into_args(
        self,
        id: &EntryId,
        signature: Option<&Signature>,
    ) -> Result<Args<'static>, FuncsError> {
        let takes = ParamShape::of(signature);
        let value = match self {
            Self::Text(text) if matches!(takes, ParamShape::Text | ParamShape::Anything) => {
                Value::Text(text)
            }
            Self::Bytes(bytes) if matches!(takes, ParamShape::Bytes | ParamShape::Anything) => {
                Value::Bytes(bytes)
            }
            Self::Bytes(bytes) if matches!(takes, ParamShape::Text) => {
                Value::Text(String::from_utf8(bytes).map_err(|error| {
                    invalid(format!("`{id}` takes text, and the input is not UTF-8: {error}"))
                })?)
            }
            Self::Text(text) => return from_json(text.into_bytes()),
            Self::Bytes(bytes) => return from_json(bytes),
        };
        Ok(Args::Values(vec![value]))
    }
}

/// Parameter shape of a function, as far as this interface distinguishes it.
enum ParamShape {
    /// A single string.
    Text,
    /// A single list of bytes.
    Bytes,
    /// Any arguments: the function has no signature.
    Anything,
    /// Any other shape, passed as JSON.
    Json,
}

impl ParamShape {
    fn of(signature: Option<&Signature>) -> Self {
        let Some(signature) = signature else { return Self::Anything };
        match signature.params.as_slice() {
            [only] if only.ty == Type::String => Self::Text,
            [only] if is_bytes(&only.ty) => Self::Bytes,
            _ => Self::Json,
        }
    }
}

fn is_bytes(ty: &Type) -> bool {
    matches!(ty, Type::List(of) if **of == Type::U8)
}

/// Parses arguments from JSON: an array of them, nothing, or a single argument.
fn from_json(text: Vec<u8>) -> Result<Args<'static>, FuncsError> {
    match text.trim_ascii_start().first() {
        None => Ok(Args::none()),
        Some(b'[') => Ok(Args::json(text)),
        Some(_) => match serde_json::from_slice(&text) {
            Ok(value) => Ok(Args::Values(vec![value])),
            Err(error) => {
                Err(invalid(format!("the input is not JSON, which this function takes: {error}")))
            }
        },
    }
}

fn invalid(message: String) -> FuncsError {
    FuncsError::Caller(ErrorKind::InvalidInput, message)
}

/// Encodes a result for the guest.
fn answer(
    signature: Option<&Signature>,
    reply: &Reply,
    in_bytes: bool,
) -> Result<Vec<u8>, FuncsError> {
    let as_it_is = match signature.map(value_of) {
        None => true,
        Some(None) => return Ok(Vec::new()),
        Some(Some(ty)) => *ty == Type::String || in_bytes && is_bytes(ty),
    };
    if !as_it_is {
        return encode_reply(reply);
    }
    match reply.to_value().map_err(super::unwritable)? {
        Value::Null => Ok(Vec::new()),
        Value::Text(text) => Ok(text.into_bytes()),
        Value::Bytes(bytes) if in_bytes => Ok(bytes),
        other => json(&other),
    }
}

/// The type of the value of a successful call; `None` for a function without a result.
fn value_of(signature: &Signature) -> Option<&Type> {
    match signature.result.as_ref()? {
        Type::Result { ok, .. } => ok.as_deref(),
        other => Some(other),
    }
}

/// Formats an error for the guest.
fn error_text(unanswered: FuncsError) -> String {
    match unanswered.into_own() {
        Ok(Value::Text(text)) => text,
        Ok(own) => match json(&own).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            _ => own.to_string(),
        },
        Err(other) => other.message(),
    }
}
