//! `crisol schema`: the JSON Schema of index files.

use crate::DONE;

pub(crate) fn run() -> anyhow::Result<u8> {
    println!("{}", serde_json::to_string_pretty(&crisol::json_schema())?);
    Ok(DONE)
}
