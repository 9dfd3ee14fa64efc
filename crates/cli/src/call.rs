//! `crisol call`: one call, its result as a line of JSON.

use crisol::{Args, CallContext, CallError, Caller, EntryId, Invoke, Reply};

use crate::arguments::{AppArguments, CallArguments};
use crate::{DONE, FUNCTION_ERROR, app, print_error, print_line};

pub(crate) fn run(app: &AppArguments, call: &CallArguments) -> anyhow::Result<u8> {
    let id: EntryId = call.id.parse()?;
    let runtime = app::load(app)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let line = if call.wave {
        let args = format!("({})", call.args.join(", "));
        tokio.block_on(runtime.call_wave(id.as_str(), &args))
    } else {
        let args = Args::json(json_array(&call.args)?.into_bytes());
        let context = CallContext::new(Caller::Command);
        tokio.block_on(runtime.invoke(&id, context, args)).and_then(|reply| json_line(&id, &reply))
    };
    // A guest that was stopped may have left a host thread in a read that never ends; nobody waits for it.
    tokio.shutdown_background();
    match line {
        Ok(line) => {
            print_line(&line)?;
            Ok(DONE)
        }
        Err(CallError::Function { error, .. }) => {
            print_error(&serde_json::to_string(&error)?);
            Ok(FUNCTION_ERROR)
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn json_line(id: &EntryId, reply: &Reply) -> Result<String, CallError> {
    let mut text = Vec::new();
    let written = reply.write_json(&mut text);
    written
        .map_err(|error| CallError::UnexpectedResult { id: id.clone(), source: error.into() })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The text of a JSON array of the arguments, each as it was written when it is JSON already.
pub(crate) fn json_array(args: &[String]) -> serde_json::Result<String> {
    let is_json = |arg: &str| serde_json::from_str::<serde::de::IgnoredAny>(arg).is_ok();
    let items: Result<Vec<String>, _> = args
        .iter()
        .map(|arg| if is_json(arg) { Ok(arg.clone()) } else { serde_json::to_string(arg) })
        .collect();
    Ok(format!("[{}]", items?.join(",")))
}

#[cfg(test)]
mod tests {
    use super::json_array;

    #[test]
    fn an_argument_is_json_or_else_text() -> serde_json::Result<()> {
        let args = ["6", "-0.5", "{\"a\": [1]}", "\"6\"", "Ana \"la\"", "", "[1", "null"]
            .map(str::to_owned);
        let expected = r#"[6,-0.5,{"a": [1]},"6","Ana \"la\"","","[1",null]"#;
        assert_eq!(json_array(&args)?, expected);
        assert_eq!(json_array(&[])?, "[]");
        Ok(())
    }
}
