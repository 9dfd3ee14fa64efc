//! Golden files: types, JSON arguments, and the exact value or error of each.
//!
//! A line without indentation is a type; an indented one is an argument and, after `=>`, the lifted value, or after `=>
//! !` the error. `BLESS=1` writes the files.

use std::path::{Path, PathBuf};

use super::support::mapping;
use super::types::parse;

fn answer(ty: &str, argument: &str) -> String {
    let mapping = mapping(&parse(ty));
    match mapping.lower_json(format!("[{argument}]").as_bytes()) {
        Err(error) => format!("! {error}"),
        Ok(args) => {
            let result = mapping.pack_result(mapping.unpack_args(&args).pop());
            match mapping.lift(result).into_result() {
                Ok(value) | Err(value) => serde_json::to_string(&value).unwrap(),
            }
        }
    }
}

/// Path of a golden file.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name)
}

/// Types and arguments in a golden file.
pub(crate) fn cases(name: &str) -> impl Iterator<Item = (String, String)> {
    let mut ty = String::new();
    let mut cases = Vec::new();
    for line in std::fs::read_to_string(path(name)).unwrap().lines() {
        if line.starts_with(' ') {
            let argument = line.split("=>").next().unwrap_or_default().trim();
            cases.push((ty.clone(), argument.to_owned()));
        } else if !line.is_empty() && !line.starts_with('#') {
            line.clone_into(&mut ty);
        }
    }
    cases.into_iter()
}

fn check(name: &str) {
    let path = path(name);
    let golden = std::fs::read_to_string(&path).unwrap();
    let mut ty = "";
    let mut found = String::new();
    for line in golden.lines() {
        if line.starts_with(' ') {
            let argument = line.split("=>").next().unwrap_or_default().trim();
            let answer = answer(ty, argument);
            found.push_str(&format!("  {argument} => {answer}\n"));
        } else {
            if !line.is_empty() && !line.starts_with('#') {
                ty = line;
            }
            found.push_str(&format!("{line}\n"));
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    } else {
        assert_eq!(found, golden, "BLESS=1 rewrites {}", path.display());
    }
}

#[test]
fn accepted() {
    check("accept.txt");
}

#[test]
fn rejected() {
    check("reject.txt");
}
