//! Golden cases: `tests/ui/<case>.yaml` loads to `<case>.json`, with warnings in `<case>.warn`, or fails with
//! the text in `<case>.err`. `BLESS=1` writes the results.
//!
//! A case is one index file, or several files, each after a line `#=== path`. Lines `#--set …` are overrides;
//! `#--no-namespace` removes the default namespace `myns`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crisol_schema::{Loader, Rule};

type Outcome = [(&'static str, Option<String>); 3];

fn loader(text: &str) -> Result<Loader, Box<dyn Error>> {
    let mut loader = Loader::new();
    if !text.contains("#--no-namespace") {
        loader = loader.default_namespace("myns".parse()?);
    }
    for line in text.lines() {
        if let Some(set) = line.strip_prefix("#--set ") {
            loader = loader.set(set);
        }
    }
    let mut path = "_index.yaml".to_owned();
    let mut file = String::new();
    let mut files = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(next) = line.strip_prefix("#=== ") {
            files.push((
                std::mem::replace(&mut path, next.trim().to_owned()),
                std::mem::take(&mut file),
            ));
        } else if !line.starts_with("#--") {
            file.push_str(line);
        }
    }
    files.push((path, file));
    let several = files.len() > 1;
    for (path, text) in files {
        if !(several && text.is_empty() && path == "_index.yaml") {
            loader = loader.file(path, text);
        }
    }
    Ok(loader)
}

fn outcome(text: &str) -> Result<Outcome, Box<dyn Error>> {
    Ok(match loader(text)?.load_files() {
        Ok(app) => {
            let json = serde_json::to_string_pretty(&app.registry)? + "\n";
            let warnings = (!app.warnings.is_empty()).then(|| app.warnings.to_string());
            [("json", Some(json)), ("warn", warnings), ("err", None)]
        }
        Err(problems) => [("json", None), ("warn", None), ("err", Some(problems.to_string()))],
    })
}

fn cases() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    cases.retain(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    cases.sort();
    Ok(cases)
}

#[test]
fn every_case_has_its_golden_result() -> Result<(), Box<dyn Error>> {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases()? {
        for (extension, found) in outcome(&fs::read_to_string(&case)?)? {
            let file = case.with_extension(extension);
            let wanted = fs::read_to_string(&file).ok();
            if found == wanted {
                continue;
            }
            match (bless, &found) {
                (true, Some(text)) => fs::write(&file, text)?,
                (true, None) => fs::remove_file(&file)?,
                (false, _) => wrong.push(format!(
                    "--- {}\n{}\n+++ found\n{}",
                    file.display(),
                    wanted.unwrap_or_default(),
                    found.unwrap_or_default()
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes what was found", wrong.join("\n"));
    Ok(())
}

#[test]
fn twenty_mistakes_are_twenty_problems() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let text = fs::read_to_string(folder.join("twenty-mistakes.yaml"))?;
    let Err(problems) = loader(&text)?.load_files() else { return Err("it loads".into()) };
    assert_eq!((problems.errors(), problems.warnings()), (20, 0), "{problems}");
    let places: BTreeSet<String> =
        problems.iter().filter_map(|one| one.location()).map(|place| place.to_string()).collect();
    assert_eq!(places.len(), 20, "each stands in a place of its own");
    assert!(problems.iter().all(|one| one.help().is_some()), "{problems}");
    Ok(())
}

/// Rules that need bytes or folders; `disk.rs` covers them.
const ON_DISK: [Rule; 3] = [Rule::IO, Rule::TOO_LARGE, Rule::NOT_UTF8];

#[test]
fn every_rule_has_a_case() -> Result<(), Box<dyn Error>> {
    let mut shown = BTreeSet::new();
    for case in cases()? {
        for extension in ["err", "warn"] {
            let text = fs::read_to_string(case.with_extension(extension)).unwrap_or_default();
            shown.extend(text.lines().filter_map(|line| {
                let rest = line.strip_prefix("error[").or_else(|| line.strip_prefix("warning["))?;
                Some(rest.split_once(']')?.0.to_owned())
            }));
        }
    }
    let missing: Vec<Rule> = Rule::ALL
        .iter()
        .filter(|rule| !ON_DISK.contains(rule) && !shown.contains(rule.as_str()))
        .copied()
        .collect();
    assert!(missing.is_empty(), "no case in tests/ui shows {missing:?}");
    Ok(())
}
