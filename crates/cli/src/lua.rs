//! `crisol lua`: a script that calls functions of an app.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use crisol::Value;
use crisol::lua::{self, Script};

use crate::arguments::{AppArguments, LuaArguments};
use crate::{DONE, FUNCTION_ERROR, app, output::print_bytes, print_error};

pub(crate) fn run(app: &AppArguments, lua: &LuaArguments) -> anyhow::Result<u8> {
    let source = read(&lua.script)?;
    let runtime = app::load(app)?;
    let unprinted = Unprinted::default();
    let script = Script {
        name: lua.script.display().to_string(),
        source,
        args: lua.args.iter().map(|arg| Value::from(arg.as_str())).collect(),
        sink: to_terminal(&unprinted),
        deadline: None,
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = tokio.block_on(runtime.run_script(script));
    tokio.shutdown_background();
    if let Some(error) = unprinted.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    match ended {
        Ok(_) => Ok(DONE),
        Err(lua::Failure::Returned(error)) => {
            print_error(&serde_json::to_string(&error)?);
            Ok(FUNCTION_ERROR)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the script's text; `-` is standard input. A first line for the shell is removed.
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

/// First error of printing. The script is not told, but the command fails with it.
type Unprinted = Arc<Mutex<Option<anyhow::Error>>>;

/// Sink for printed lines: they are the command's output; log lines are not.
fn to_terminal(unprinted: &Unprinted) -> lua::Sink {
    let unprinted = Arc::clone(unprinted);
    Arc::new(move |output| match output.level {
        lua::Level::Print => {
            if let Err(error) = print_bytes(output.text) {
                unprinted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
        lua::Level::Debug => {}
        other => {
            let level = format!("{other:?}").to_lowercase();
            print_error(&format!("{level}: {}", String::from_utf8_lossy(output.text)));
        }
    })
}
