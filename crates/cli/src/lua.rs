//! `crisol lua`: a script that calls functions of an app.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use crisol::{LineLevel, LineSink, Script, ScriptError, Value};

use crate::arguments::{AppArguments, LuaArguments};
use crate::{DONE, FUNCTION_ERROR, app, print_error, print_line};

pub(crate) fn run(app: &AppArguments, lua: &LuaArguments) -> anyhow::Result<u8> {
    let source = read(&lua.script)?;
    let runtime = app::load(app)?;
    let script = Script {
        name: lua.script.display().to_string(),
        source,
        args: lua.args.iter().map(|arg| Value::from(arg.as_str())).collect(),
        sink: to_terminal(),
        deadline: None,
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = tokio.block_on(runtime.run_script(script));
    tokio.shutdown_background();
    match ended {
        Ok(_) => Ok(DONE),
        Err(ScriptError::Answered(error)) => {
            print_error(&serde_json::to_string(&error)?);
            Ok(FUNCTION_ERROR)
        }
        Err(error) => Err(error.into()),
    }
}

/// The script's text; `-` is standard input. A first line that is for the shell is left out.
fn read(path: &Path) -> anyhow::Result<String> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the script")?;
        text
    } else {
        let failed = || format!("cannot read the script `{}`", path.display());
        std::fs::read_to_string(path).with_context(failed)?
    };
    Ok(if text.starts_with("#!") { format!("--{text}") } else { text })
}

/// What a script prints is the command's output; what it logs is not.
fn to_terminal() -> LineSink {
    Arc::new(|level, line| match level {
        // Whoever read it may be gone, and the script need not know.
        LineLevel::Print => drop(print_line(line)),
        LineLevel::Debug => {}
        other => print_error(&format!("{}: {line}", format!("{other:?}").to_lowercase())),
    })
}
