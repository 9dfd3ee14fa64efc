//! `crisol schema`: JSON Schema of index files.

use crate::{DONE, print_line};

pub(crate) fn run() -> anyhow::Result<u8> {
    print_line(&serde_json::to_string_pretty(&crisol::registry::json_schema())?)?;
    Ok(DONE)
}
