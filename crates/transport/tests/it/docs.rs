//! Checks that the tables in `docs/http.md` equal those in the code. `BLESS=1` updates them.

use std::fmt::Write as _;
use std::path::Path;

use crisol_transport::{Table, tables};

fn markdown(table: &Table) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "| {} |", table.columns.join(" | "))?;
    writeln!(text, "|{}", "---|".repeat(table.columns.len()))?;
    for row in &table.rows {
        writeln!(text, "| {} |", row.join(" | "))?;
    }
    Ok(text)
}

#[test]
fn the_documented_tables_are_the_ones_in_use() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/http.md");
    let mut document = std::fs::read_to_string(&path)?;
    let before = document.clone();
    for table in tables() {
        let (open, close) = (format!("<!-- table: {} -->\n", table.name), "<!-- end -->");
        let start = document.find(&open).ok_or_else(|| format!("no `{open}`"))? + open.len();
        let rest = document.get(start..).unwrap_or_default();
        let end = start + rest.find(close).ok_or_else(|| format!("no end after `{open}`"))?;
        document.replace_range(start..end, &format!("\n{}\n", markdown(&table)?));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &document)?;
    } else {
        assert!(before == document, "docs/http.md is behind the code: run this test with BLESS=1");
    }
    Ok(())
}
