//! `crisol check`: all problems of an app, found without a call.

use crisol::index::{FixReport, ImportsFix};
use crisol::registry::Checked;

use crate::arguments::{AppArguments, CheckArguments, Format};
use crate::output::print_report;
use crate::{DONE, FAILED, app, list, print_error, print_line};

pub(crate) fn run(arguments: &AppArguments, check: &CheckArguments) -> anyhow::Result<u8> {
    let mut checked = app::builder(arguments).check()?;
    let mut is_fixed = true;
    if check.fix && !checked.fixes.is_empty() {
        is_fixed = write(arguments, check, checked.fixes)?;
        checked = app::builder(arguments).check()?;
    }
    let Checked { problems, functions, handlers, commands, .. } = checked;
    let code = if problems.errors() > 0 || !is_fixed { FAILED } else { DONE };
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

/// Writes imports into the index files and reports them. Returns true if all could be written.
fn write(
    arguments: &AppArguments,
    check: &CheckArguments,
    fixes: Vec<ImportsFix>,
) -> anyhow::Result<bool> {
    // An override is not in the files, so an import list made with it may be wrong there.
    anyhow::ensure!(
        arguments.set.is_empty(),
        "`check --fix` edits the index files, which `--set` does not change: remove `--set`"
    );
    let FixReport { fixed, failed, .. } =
        crisol::index::fix(&arguments.app, arguments.namespace.as_ref(), fixes);
    for fix in fixed {
        let added = fix.added.iter().map(|token| format!(" +{token}"));
        let removed = fix.removed.iter().map(|token| format!(" -{token}"));
        let repeated = fix.repeated.iter().map(|token| format!(" -{token} (the second)"));
        let changes: String = added.chain(removed).chain(repeated).collect();
        let line = format!("fixed {}:{changes} ({})", fix.id, fix.index.display());
        match check.format {
            Format::Text => print_line(&line)?,
            Format::Json => print_report(&line),
        }
    }
    let is_fixed = failed.is_empty();
    for error in failed {
        print_error(&format!("error: not fixed: {:#}", anyhow::Error::from(error)));
    }
    Ok(is_fixed)
}
