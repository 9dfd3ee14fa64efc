//! `crisol pin`: the right hashes, written into the index files.

use crisol::PinError;

use crate::arguments::{AppArguments, PinArguments};
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments, pin: &PinArguments) -> anyhow::Result<u8> {
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
