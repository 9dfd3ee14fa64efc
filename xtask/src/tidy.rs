//! Checks beyond the compiler and clippy: files have a header and stay small, libraries do not print, `unsafe` and
//! stores stay in their files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

use crate::Findings;
use crate::tokens::{Token, lines_with, tokens};

/// Longest file in lines; split longer ones by subject.
const MOST_LINES: usize = 450;

/// Files that may be longer, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Files that may be unsafe: one loads compiled code that this very program wrote, the others pass values to guests.
const UNSAFE_FILES: [&str; 3] = [
    "crates/engine/src/aot.rs",
    "crates/engine/src/core_module/raw.rs",
    "crates/wit/src/component.rs",
];

const PRINTING: [&str; 5] = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];

/// Programs, which may print.
const MAY_PRINT: [&str; 3] = ["crates/cli/", "crates/fixtures/guests/", "xtask/"];

// In two halves, so that this file does not match.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub(crate) fn check(root: &Path) -> Result<Findings> {
    let mut files = Vec::new();
    for top in ["crates", "xtask", "benches"] {
        sources(&root.join(top), &mut files).with_context(|| format!("looking through {top}"))?;
    }
    files.sort();
    let mut problems = Vec::new();
    let mut stores = Vec::new();
    for file in &files {
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let source = Source::new(path, text)?;
        problems.extend(source.problems()?);
        if source.creates_a_store()? {
            stores.push(source.path);
        }
    }
    problems.extend(store_problem(&stores));
    problems.extend(stale_exceptions(root));
    Ok(Findings { looked_at: format!("{} files", files.len()), problems })
}

/// Every `.rs` file below `dir`, without cargo's build output.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name() != Some(OsStr::new("target")) {
                sources(&path, found)?;
            }
        } else if path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
    Ok(())
}

struct Source {
    /// Path from the top of the workspace, with slashes.
    path: String,
    text: String,
    code: Vec<Token>,
}

impl Source {
    fn new(path: String, text: String) -> Result<Self> {
        let code = tokens(&text).with_context(|| format!("in {path}"))?;
        Ok(Self { path, text, code })
    }

    fn problems(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        if !self.text.starts_with("//!") {
            problems
                .push(format!("{}:1: opens with no `//!` line that says what it knows", self.path));
        }
        let lines = self.text.lines().count();
        if lines > MOST_LINES && !LONG_FILES.iter().any(|(path, _)| *path == self.path) {
            problems.push(format!(
                "{}: {lines} lines, more than {MOST_LINES}: split it by what it knows",
                self.path
            ));
        }
        if self.is_shipped() && !MAY_PRINT.iter().any(|start| self.path.starts_with(start)) {
            problems.extend(self.uses(&PRINTING, "a library does not print")?);
        }
        if !UNSAFE_FILES.contains(&self.path.as_str()) {
            let rule = format!("only {} may be unsafe", UNSAFE_FILES.join(", "));
            problems.extend(self.uses(&["unsafe"], &rule)?);
        }
        problems.extend(self.errors_said_twice());
        problems.extend(self.unfinished());
        Ok(problems)
    }

    /// Error texts that contain their own source: printing an error with its sources prints them twice.
    fn errors_said_twice(&self) -> Vec<String> {
        // In two halves, so that this file does not match.
        let starts = self.text.match_indices(concat!("#[er", "ror("));
        let said_twice = starts.filter(|(start, _)| {
            let rest = &self.text[*start..];
            let (message, after) = rest.split_once(")]\n").unwrap_or((rest, ""));
            let next = after.find("#[error(").unwrap_or(after.len());
            let body = after[..next].split_once("\n}").map_or(&after[..next], |(body, _)| body);
            let shows = |cause: &&str| {
                [format!("{{{cause}}}"), format!("{{{cause}:")]
                    .iter()
                    .any(|it| message.contains(it))
            };
            causes(body).iter().any(shows)
        });
        let line = |start: usize| self.text[..start].matches('\n').count() + 1;
        let rule = "the text holds its own `source`, which is then printed twice: rename the field";
        said_twice.map(|(start, _)| format!("{}:{}: {rule}", self.path, line(start))).collect()
    }

    /// Returns true for a part of a library or program that is neither a test nor a bench.
    fn is_shipped(&self) -> bool {
        self.path.starts_with("crates/") && self.path.contains("/src/")
    }

    fn creates_a_store(&self) -> Result<bool> {
        let created = |words| lines_with(&self.code, words).map(|lines| !lines.is_empty());
        Ok(self.is_shipped() && (created("Store::new")? || created("Store::try_new")?))
    }

    /// Problems for each line of the code that has one of the words.
    fn uses(&self, words: &[&str], rule: &str) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for word in words {
            for line in lines_with(&self.code, word)? {
                problems.push(format!("{}:{line}: `{word}`: {rule}", self.path));
            }
        }
        Ok(problems)
    }

    /// Marks of unfinished work, in comments too.
    fn unfinished(&self) -> impl Iterator<Item = String> {
        let lines = (1..).zip(self.text.lines());
        lines.flat_map(|(number, line)| {
            let mut words = line.split(|it: char| it != '_' && !it.is_alphanumeric());
            let word = words.find(|word| UNFINISHED.contains(word));
            word.map(|it| format!("{}:{number}: `{it}`: finish it, or file an issue", self.path))
        })
    }
}

/// Fields that `thiserror` takes for the source in the body of a struct or a variant: one of that name, and marked
/// ones; a tuple's field is `0`.
fn causes(body: &str) -> Vec<&str> {
    let marked = ["#[source]", "#[from]"].iter().flat_map(|mark| body.split(mark).skip(1));
    let marked = marked.map(|rest| named(rest).unwrap_or("0"));
    marked.chain(body.contains(" source: ").then_some("source")).collect()
}

/// Name of the field at the start of `rest`, if it has one.
fn named(rest: &str) -> Option<&str> {
    let (name, ty) = rest.trim_start().trim_start_matches("pub ").split_once(':')?;
    let is_name = name.chars().all(|c| c == '_' || c.is_alphanumeric());
    (is_name && !ty.starts_with(':')).then_some(name)
}

fn store_problem(files: &[String]) -> Option<String> {
    match files {
        [_] => None,
        [] => Some(
            "no file of crates/*/src creates a `Store`: the rule looks for the wrong name"
                .to_owned(),
        ),
        several => Some(format!("a `Store` is created in several files: {}", several.join(", "))),
    }
}

/// Exceptions for files that are gone, or short again.
fn stale_exceptions(root: &Path) -> impl Iterator<Item = String> {
    LONG_FILES.iter().filter_map(move |(path, reason)| {
        let lines = fs::read_to_string(root.join(path)).map_or(0, |text| text.lines().count());
        (lines <= MOST_LINES).then(|| format!("{path}: needs no exception any more (`{reason}`)"))
    })
}

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, Source, store_problem};

    fn problems(path: &str, text: &str) -> Vec<String> {
        Source::new(path.to_owned(), text.to_owned()).unwrap().problems().unwrap()
    }

    fn creates_a_store(path: &str, text: &str) -> bool {
        Source::new(path.to_owned(), text.to_owned()).unwrap().creates_a_store().unwrap()
    }

    #[test]
    fn tidy_file_has_no_problems() {
        let text = "//! Says `println!` and unsafe.\nfn f() { g(\"unsafe println!\") }\n\
            #[error(\"a {0}\")]\nA(b::C),\n#[error(\"{text}\")]\nB { text: T, source: E },\n\
            #[error(transparent)]\nC(#[from] E),\n";
        assert_eq!(problems("crates/core/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_tells_file_and_line() {
        for (path, text, told) in [
            ("crates/core/src/a.rs", "// no\n", "crates/core/src/a.rs:1: opens"),
            (
                "crates/core/src/a.rs",
                "//! A\n\nfn f() { println!() }",
                "a.rs:3: `println!`: a library",
            ),
            ("crates/core/src/a.rs", "//! A\nfn f() { unsafe { } }", "a.rs:2: `unsafe`"),
            ("crates/core/tests/a.rs", "//! A\nunsafe impl S for T {}", "a.rs:2: `unsafe`"),
            ("crates/cli/src/a.rs", concat!("//! A\n// TO", "DO: b"), "a.rs:2: `TO"),
            (
                "crates/core/src/a.rs",
                "//! A\n#[error(\"a {source}\")]\nA {\n    source: E,\n}\n",
                "a.rs:2: the text holds",
            ),
            (
                "crates/core/src/a.rs",
                "//! A\n#[error(\n    \"a {cause:?}\"\n)]\nA {\n    #[source]\n    cause: E,\n}\n",
                "a.rs:2: the text holds",
            ),
            (
                "crates/core/src/a.rs",
                "//! A\n#[error(\"{0}\")]\nstruct A(#[from] a::E);\n",
                "a.rs:2: the text holds",
            ),
            ("benches/src/a.rs", &format!("//! A{}", "\n".repeat(MOST_LINES + 1)), "451 lines"),
        ] {
            let found = problems(path, text);
            assert!(matches!(found.as_slice(), [one] if one.contains(told)), "{path}: {found:?}");
        }
    }

    #[test]
    fn exceptions_apply_to_their_files() {
        for (path, text) in [
            ("crates/engine/src/aot.rs", "//! A\nunsafe fn f() {}"),
            ("crates/cli/src/a.rs", "//! A\nfn f() { println!() }"),
            ("xtask/src/a.rs", "//! A\nfn f() { println!() }"),
            ("crates/core/tests/a.rs", "//! A\nfn f() { println!() }"),
        ] {
            assert_eq!(problems(path, text), Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn a_store_has_one_place() {
        let file = "crates/engine/src/a.rs";
        assert!(creates_a_store(file, "Store::new(engine, host)"));
        assert!(creates_a_store(file, "Store::try_new(engine, host)"));
        assert!(!creates_a_store(file, "// Store::new\nMemoryStore::new()"));
        assert!(!creates_a_store("crates/engine/tests/a.rs", "Store::new()"));
        assert_eq!(store_problem(&["a".to_owned()]), None);
        assert!(store_problem(&[]).is_some());
        assert!(
            store_problem(&["a".to_owned(), "b".to_owned()])
                .is_some_and(|told| told.contains("a, b"))
        );
    }
}
