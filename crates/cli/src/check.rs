//! `crisol check`: everything that is wrong with an app, without a call.

use crisol::LoadError;

use crate::arguments::{AppArguments, CheckArguments, Format};
use crate::{DONE, FAILED, app, print_error, print_line};

pub(crate) fn run(arguments: &AppArguments, check: &CheckArguments) -> anyhow::Result<u8> {
    let (code, functions, problems) = match app::builder(arguments).load() {
        Ok(runtime) => (DONE, runtime.functions().len(), runtime.generation().warnings().clone()),
        Err(LoadError::App(problems)) => (FAILED, 0, problems),
        Err(other) => return Err(other.into()),
    };
    match check.format {
        Format::Json => print_line(&serde_json::to_string_pretty(&problems)?)?,
        Format::Text => {
            if !problems.is_empty() {
                print_error(app::show(&problems).trim_end());
            }
            if code == DONE {
                let plural = if functions == 1 { "" } else { "s" };
                print_line(&format!("ok: {functions} function{plural}"))?;
            }
        }
    }
    Ok(code)
}
