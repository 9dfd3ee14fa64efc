//! `crisol check`: everything that is wrong with an app, without a call.

use crisol::Checked;

use crate::arguments::{AppArguments, CheckArguments, Format};
use crate::output::print_report;
use crate::{DONE, FAILED, app, list, print_line};

pub(crate) fn run(arguments: &AppArguments, check: &CheckArguments) -> anyhow::Result<u8> {
    let Checked { problems, functions, handlers, commands, .. } =
        app::builder(arguments).check()?;
    let code = if problems.errors() > 0 { FAILED } else { DONE };
    match check.format {
        Format::Json => print_line(&serde_json::to_string_pretty(&problems)?)?,
        Format::Text => {
            if !problems.is_empty() {
                print_report(app::show(&problems).trim_end());
            }
            if code == DONE {
                print_line(&format!("ok: {}", list::count(functions, handlers, commands)))?;
            }
        }
    }
    Ok(code)
}
