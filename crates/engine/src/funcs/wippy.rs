//! `wippy:runtime/funcs`: one text or a run of bytes in, one out.

use crisol_core::{Args, ErrorKind, Reply, Type, Value};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::{Answered, Outward, Unanswered, json};
use crate::host::Host;

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut interface = linker.instance("wippy:runtime/funcs@0.1.0")?;
    interface.func_wrap_async("call-string", |store, (target, input): (String, String)| {
        Box::new(async move {
            let answer = call(store, &target, Input::Text(input)).await?;
            let answer = answer.and_then(|bytes| {
                // What is not text by itself is JSON by now, which is.
                String::from_utf8(bytes).map_err(super::unwritable)
            });
            Ok((answer.map_err(told),))
        })
    })?;
    interface.func_wrap_async("call-bytes", |store, (target, input): (String, Vec<u8>)| {
        Box::new(async move {
            let answer = call(store, &target, Input::Bytes(input)).await?;
            Ok((answer.map_err(told),))
        })
    })
}

/// What a guest hands over, and has the answer as.
enum Input {
    Text(String),
    Bytes(Vec<u8>),
}

async fn call(
    mut store: StoreContextMut<'_, Host>,
    target: &str,
    input: Input,
) -> Answered<Vec<u8>> {
    let in_bytes = matches!(input, Input::Bytes(_));
    let outward = match Outward::find(&store, target, input.as_bytes().len()) {
        Ok(outward) => outward,
        Err(unanswered) => return Ok(Err(unanswered)),
    };
    let args = match input.into_args(&outward) {
        Ok(args) => args,
        Err(unanswered) => return Ok(Err(unanswered)),
    };
    let reply = outward.call(&mut store, args).await?;
    Ok(reply.and_then(|reply| answer(&outward, &reply, in_bytes)))
}

impl Input {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The arguments of what is to be called.
    fn into_args(self, outward: &Outward) -> Result<Args<'static>, Unanswered> {
        let plain = outward.signature.is_none();
        let value = match (self, outward.only_parameter()) {
            (Self::Text(text), Some(Type::String)) => Value::Text(text),
            (Self::Text(text), _) if plain => Value::Text(text),
            (Self::Bytes(bytes), Some(Type::String)) => {
                Value::Text(String::from_utf8(bytes).map_err(|error| {
                    invalid(format!("`{}` takes text, and this is none: {error}", outward.id))
                })?)
            }
            (Self::Bytes(bytes), Some(Type::List(of))) if **of == Type::U8 => Value::Bytes(bytes),
            (Self::Bytes(bytes), _) if plain => Value::Bytes(bytes),
            (Self::Text(text), _) => return from_json(text.into_bytes()),
            (Self::Bytes(bytes), _) => return from_json(bytes),
        };
        Ok(Args::Values(vec![value]))
    }
}

/// Arguments that are written as JSON: an array of them, none, or the only one.
fn from_json(text: Vec<u8>) -> Result<Args<'static>, Unanswered> {
    match text.trim_ascii_start().first() {
        None => Ok(Args::none()),
        Some(b'[') => Ok(Args::json(text)),
        Some(_) => match serde_json::from_slice(&text) {
            Ok(value) => Ok(Args::Values(vec![value])),
            Err(error) => Err(invalid(format!(
                "the input is neither text that the function takes as it is, nor JSON: {error}"
            ))),
        },
    }
}

fn invalid(message: String) -> Unanswered {
    Unanswered::Here(ErrorKind::InvalidInput, message)
}

/// A result as the guest has it.
fn answer(outward: &Outward, reply: &Reply, in_bytes: bool) -> Result<Vec<u8>, Unanswered> {
    let as_it_is = match (outward.signature.is_some(), outward.result()) {
        (false, _) => true,
        (true, None) => return Ok(Vec::new()),
        (true, Some(Type::String)) => true,
        (true, Some(Type::List(of))) => in_bytes && **of == Type::U8,
        _ => false,
    };
    if as_it_is {
        return match reply.to_value().map_err(super::unwritable)? {
            Value::Null => Ok(Vec::new()),
            Value::Text(text) => Ok(text.into_bytes()),
            Value::Bytes(bytes) if in_bytes => Ok(bytes),
            other => json(&other),
        };
    }
    let mut text = Vec::new();
    reply.write_json(&mut text).map_err(super::unwritable)?;
    Ok(text)
}

/// An error as the guest has it.
fn told(unanswered: Unanswered) -> String {
    match unanswered.into_own() {
        Ok(Value::Text(text)) => text,
        Ok(own) => match json(&own).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            _ => own.to_string(),
        },
        Err(other) => other.message(),
    }
}
