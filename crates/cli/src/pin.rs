//! `crisol pin`: writes the current hashes into the index files.

use crisol::index::PinError;

use crate::arguments::{AppArguments, PinArguments};
use crate::output::print_report;
use crate::{DONE, FAILED, app, print_error, print_line};

pub(crate) fn run(arguments: &AppArguments, pin: &PinArguments) -> anyhow::Result<u8> {
    // An override is not in the files, so a hash found with it would be wrong there.
    anyhow::ensure!(
        arguments.set.is_empty(),
        "`pin` edits the index files, which `--set` does not change: remove `--set`"
    );
    let report = crisol::index::pin(&arguments.app, arguments.namespace.as_ref(), &pin.ids);
    let report = report.map_err(|error| match error {
        PinError::App(problems) => app::does_not_load(arguments, &problems),
        other => other.into(),
    })?;
    for one in &report.pinned {
        let what = if one.changed { "pinned" } else { "unchanged" };
        print_line(&format!("{what} {} {} ({})", one.id, one.hash, one.index.display()))?;
    }
    // Errors elsewhere in the app matter only when all entries are pinned.
    let has_problems = !report.problems.is_empty() && pin.ids.is_empty();
    if report.failed.is_empty() && !has_problems {
        return Ok(DONE);
    }
    if !report.problems.is_empty() {
        print_report(app::show(&report.problems).trim_end());
    }
    for error in report.failed {
        print_error(&format!("error: not pinned: {:#}", anyhow::Error::from(error)));
    }
    Ok(FAILED)
}
