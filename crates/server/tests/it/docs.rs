//! Checks that the limits in `docs/http.md` equal the defaults. `BLESS=1` updates them.

use std::path::Path;

use crisol_server::limits;

#[test]
fn the_documented_limits_are_the_defaults() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    let before = std::fs::read_to_string(&path)?;
    let (open, close) = ("<!-- table: limits -->\n", "<!-- end -->");
    let start = before.find(open).ok_or("no table of limits")? + open.len();
    let end = start + before.get(start..).and_then(|rest| rest.find(close)).ok_or("no end")?;
    let rows =
        limits().into_iter().map(|(name, value, what)| format!("| {name} | {value} | {what} |\n"));
    let table =
        format!("\n| setting | default | bounds |\n|---|---|---|\n{}\n", rows.collect::<String>());
    let mut document = before.clone();
    document.replace_range(start..end, &table);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &document)?;
    } else {
        assert!(before == document, "docs/http.md is behind the code: run this test with BLESS=1");
    }
    Ok(())
}
