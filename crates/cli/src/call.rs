//! `crisol call`: one call, its result as a line of JSON.

use anyhow::Context as _;
use crisol::error::ErrorDetails;
use crisol::{Args, CallContext, CallError, Caller, EntryId, Invoke, Reply, Runtime};

use crate::arguments::{AppArguments, CallArguments};
use crate::values::{Given, json_array};
use crate::{DONE, FUNCTION_ERROR, app, print_error, print_line};

pub(crate) fn run(app: &AppArguments, call: &CallArguments) -> anyhow::Result<u8> {
    let runtime = app::load(app)?;
    let generation = runtime.generation();
    let id = generation.function(&call.id).map_err(|error| not_called(&runtime, error))?;
    let args = Given::read(&call.args)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let line = if call.wave {
        let args: Vec<_> = args.iter().map(Given::text).collect::<anyhow::Result<_>>()?;
        let args = format!("({})", args.join(", "));
        tokio.block_on(runtime.call_wave(id.as_str(), &args))
    } else {
        let json = json_array(&args, runtime.signature(id.as_str()).as_deref());
        let json = json.with_context(|| format!("`{id}` cannot take these arguments"))?;
        let args = Args::json(json.into_bytes());
        let context = CallContext::new(Caller::Command);
        tokio.block_on(runtime.invoke(id, context, args)).and_then(|reply| json_line(id, &reply))
    };
    // An interrupted guest may have left a host thread in an endless read, which must not delay the exit.
    tokio.shutdown_background();
    match line {
        Ok(line) => {
            print_line(&line)?;
            Ok(DONE)
        }
        Err(error) => own_error(error),
    }
}

/// Prints the function's own error as JSON; any other is the error of the command.
pub(crate) fn own_error(error: CallError) -> anyhow::Result<u8> {
    print_error(&serde_json::to_string(&error.into_function_error()?)?);
    Ok(FUNCTION_ERROR)
}

/// Error for an id that is not a function, with the command for its kind.
fn not_called(runtime: &Runtime, error: CallError) -> anyhow::Error {
    let ErrorDetails::NotFound { what, .. } = error.details() else { return error.into() };
    let id = error.entry();
    if let Ok(command) = runtime.command(id) {
        let name = command.name().unwrap_or(id);
        return anyhow::anyhow!(
            "`{id}` is a command, not a function: run it with `crisol run {name}`"
        );
    }
    if what.is_none() {
        return error.into();
    }
    let is_handler = runtime.generation().handlers().iter().any(|handler| handler.as_str() == id);
    let instead = match is_handler {
        true => "serve it with `crisol serve`",
        false => "`crisol list` shows the functions",
    };
    anyhow::anyhow!("{error}: {instead}")
}

pub(crate) fn json_line(id: &EntryId, reply: &Reply) -> Result<String, CallError> {
    let mut text = Vec::new();
    let written = reply.write_json(&mut text);
    written.map_err(|error| CallError::unexpected_result(id, error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
