//! Golden files: types, arguments as JSON, and what they come to, to the letter.
//!
//! A line at the margin is a type; an indented one is an argument and, after `=>`, the value as it
//! comes out again, or after `=> !` the error. `BLESS=1` writes down what is.

use std::path::Path;

use super::support::mapping;
use super::types::parse;

fn answer(ty: &str, argument: &str) -> String {
    let mapping = mapping(&parse(ty));
    match mapping.lower_json(format!("[{argument}]").as_bytes()) {
        Err(error) => format!("! {error}"),
        Ok(mut args) => match mapping.lift(args.pop()).into_result() {
            Ok(value) | Err(value) => serde_json::to_string(&value).unwrap(),
        },
    }
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/values/golden").join(name);
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
        assert_eq!(found, golden, "BLESS=1 writes {} anew", path.display());
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
