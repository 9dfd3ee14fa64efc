//! `crisol compile`: the code of an app, compiled and kept for the runs that follow.

use anyhow::Context as _;

use crate::arguments::AppArguments;
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments) -> anyhow::Result<u8> {
    let cache = app::cache(arguments).context(
        "there is no folder to keep compiled code in: leave `--no-cache` out, or name one with `--cache-dir`",
    )?;
    let dir = cache.dir.display();
    cache.check().with_context(|| format!("compiled code cannot be kept in `{dir}`"))?;
    let functions = app::look(arguments)?.functions().len();
    let plural = if functions == 1 { "" } else { "s" };
    print_line(&format!("ok: the code of {functions} function{plural} is in {dir}"))?;
    Ok(DONE)
}
