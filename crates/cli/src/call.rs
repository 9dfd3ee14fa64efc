//! `crisol call`: one call, its result as a line of JSON.

use crisol::{Args, CallContext, CallError, Caller, EntryId, Invoke};

use crate::arguments::{AppArguments, CallArguments};
use crate::{DONE, FUNCTION_ERROR, app};

pub(crate) fn run(app: &AppArguments, call: &CallArguments) -> anyhow::Result<u8> {
    let id: EntryId = call.id.parse()?;
    let runtime = app::load(app)?;
    let text = json_array(&call.args)?;
    let context = CallContext::new(Caller::Command);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match tokio.block_on(runtime.invoke(&id, context, Args::json(text.into_bytes()))) {
        Ok(reply) => {
            let mut line = Vec::new();
            reply.write_json(&mut line)?;
            println!("{}", String::from_utf8_lossy(&line));
            Ok(DONE)
        }
        Err(CallError::Function { error, .. }) => {
            eprintln!("{}", serde_json::to_string(&error)?);
            Ok(FUNCTION_ERROR)
        }
        Err(error) => Err(error.into()),
    }
}

/// The text of a JSON array of the arguments, each as it was written when it is JSON already.
fn json_array(args: &[String]) -> serde_json::Result<String> {
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
