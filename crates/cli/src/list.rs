//! `crisol list`: the functions of an app.

use crisol::EntryId;

use crate::arguments::AppArguments;
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments) -> anyhow::Result<u8> {
    let runtime = app::look(arguments)?;
    let functions = runtime.functions();
    let width = functions.iter().map(|id| id.as_str().len()).max().unwrap_or(0);
    for id in &functions {
        print_line(&line(id, width, runtime.signature(id.as_str()).as_deref()))?;
    }
    Ok(DONE)
}

fn line(id: &EntryId, width: usize, signature: Option<&crisol::Signature>) -> String {
    match signature {
        Some(signature) => format!("{id:width$}  {signature}"),
        None => id.to_string(),
    }
}
