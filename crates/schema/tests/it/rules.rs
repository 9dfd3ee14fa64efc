//! Checks `tests/rules.md`: every rule has a good case and a bad case, and the bad case has the listed
//! message.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Tested = Result<(), Box<dyn Error>>;

/// A row: the rule, its good cases, its bad case and the message of that.
struct Row {
    rule: String,
    good: Vec<String>,
    bad: Option<(String, String)>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn rows() -> Result<Vec<Row>, Box<dyn Error>> {
    let text = fs::read_to_string(folder().join("rules.md"))?;
    let cells = |line: &str| -> Vec<String> {
        let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap_or(line);
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let table = text.lines().filter(|line| line.starts_with('|')).skip(2);
    table
        .map(|line| {
            let cells = cells(line);
            let [_, rule, good, bad, says] = cells.as_slice() else {
                return Err(format!("not five cells: {line}").into());
            };
            let good = good.split(", ").filter(|case| !case.is_empty()).map(str::to_owned);
            let bad = (!bad.is_empty()).then(|| (bad.clone(), says.clone()));
            Ok(Row { rule: rule.clone(), good: good.collect(), bad })
        })
        .collect()
}

fn read(case: &str, extension: &str) -> Option<String> {
    fs::read_to_string(folder().join("ui").join(case).with_extension(extension)).ok()
}

#[test]
fn every_rule_has_a_good_and_a_bad_case() -> Tested {
    let rows = rows()?;
    assert!(rows.len() > 60, "{} rules", rows.len());
    let mut wrong = Vec::new();
    for Row { rule, good, bad } in rows {
        if good.is_empty() && bad.is_none() {
            wrong.push(format!("{rule}: no case"));
        }
        for case in good.iter().filter(|case| read(case, "json").is_none()) {
            wrong.push(format!("{rule}: {case} does not load"));
        }
        let Some((case, says)) = bad else { continue };
        let said = read(&case, "err").or_else(|| read(&case, "warn")).unwrap_or_default();
        if says.is_empty() || !said.contains(&says) {
            wrong.push(format!("{rule}: {case} does not say {says:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_case_is_of_a_rule() -> Tested {
    let mut named = BTreeSet::new();
    for row in rows()? {
        named.extend(row.good);
        named.extend(row.bad.map(|(case, _)| case));
    }
    for entry in fs::read_dir(folder().join("ui"))? {
        let path = entry?.path();
        let case = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        assert!(named.contains(&case), "tests/rules.md does not name {case}");
    }
    Ok(())
}
