//! `crisol pin`: the right hashes, written into the index files.

use crisol::PinError;

use crate::arguments::{AppArguments, PinArguments};
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments, pin: &PinArguments) -> anyhow::Result<u8> {
    // An override is not in the files, so a hash found with it would be wrong there.
    anyhow::ensure!(
        arguments.set.is_empty(),
        "`pin` works on what the index files say, which `--set` does not change: leave it out"
    );
    let pinned = crisol::pin(&arguments.app, arguments.namespace.as_ref(), &pin.ids);
    let pinned = pinned.map_err(|error| match error {
        PinError::App(problems) => app::does_not_load(arguments, &problems),
        other => other.into(),
    })?;
    for one in &pinned {
        let what = if one.changed { "pinned" } else { "unchanged" };
        print_line(&format!("{what} {} {} ({})", one.id, one.hash, one.index.display()))?;
    }
    Ok(DONE)
}
