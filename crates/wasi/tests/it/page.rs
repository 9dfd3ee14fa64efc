//! `docs/security.md` names a test for each attack; each test exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// Every test of the crates on the page, as file name and function name.
fn tests() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in ["core", "wit", "wasi", "engine", "server", "transport", "lua", "crisol", "cli"] {
        for kind in ["src", "tests"] {
            rust_files(&crates.join(name).join(kind), &mut files);
        }
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let module = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            match name.and_then(|name| name.split_once('(')) {
                Some((name, _)) if is_test => {
                    tests.insert(format!("{module}::{name}"));
                    is_test = false;
                }
                _ if line.starts_with("#[test]") || line.starts_with("#[tokio::test") => {
                    is_test = true;
                }
                _ => {}
            }
        }
    }
    tests
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let page = std::fs::read_to_string(page).unwrap();
    let tests = tests();
    let mut rows = 0;
    let attacks = page.split("## The public test suite").next().unwrap();
    for line in
        attacks.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack"))
    {
        let last = line.trim_end_matches('|').rsplit(" | ").next().unwrap();
        // The crate may precede its test.
        let quoted = last.split('`').skip(1).step_by(2);
        let named: Vec<&str> = quoted.filter(|name| name.contains("::")).collect();
        assert!(!named.is_empty(), "no test in the row: {line}");
        for name in named {
            let name = name.replace("::tests::", "::");
            assert!(tests.contains(&name), "`{name}` is not a test, in: {line}");
        }
        rows += 1;
    }
    assert!(rows >= 40, "{rows} rows were read");
}
