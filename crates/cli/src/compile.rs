//! `crisol compile`: compiles the code of an app into the cache for later runs.

use anyhow::Context as _;

use crate::arguments::AppArguments;
use crate::{DONE, app, list, print_line};

pub(crate) fn run(arguments: &AppArguments) -> anyhow::Result<u8> {
    let cache = app::cache(arguments)
        .context("no cache folder for compiled code: remove `--no-cache`, or set `--cache-dir`")?;
    let dir = cache.dir.display();
    cache.check().with_context(|| format!("cannot store compiled code in `{dir}`"))?;
    let app = app::look(arguments)?.generation();
    let counted = (app.functions().len(), app.handlers().len(), app.commands().len());
    let counted = list::count(counted.0, counted.1, counted.2);
    print_line(&format!("ok: the code of {counted} is in {dir}"))?;
    Ok(DONE)
}
