//! Checks beyond the compiler and clippy: files have a header and stay small, no error text repeats its source, no work
//! is marked as unfinished, and the lint on `unsafe` has exceptions in three files only.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

use crate::Findings;

/// Longest file in lines; longer ones are split by subject.
const MOST_LINES: usize = 600;

/// Files that may be unsafe: one loads compiled code that this very program wrote, the others pass values to guests.
const UNSAFE_FILES: [&str; 3] = [
    "crates/engine/src/aot.rs",
    "crates/engine/src/core_module/raw.rs",
    "crates/wit/src/component.rs",
];

// In two halves, so that this file does not match.
const UNSAFE_LINT: &str = concat!("unsafe", "_code");

// In two halves, so that this file does not match.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub(crate) fn check(root: &Path) -> Result<Findings> {
    let mut files = Vec::new();
    for top in ["crates", "xtask", "benches"] {
        sources(&root.join(top), &mut files).with_context(|| format!("looking through {top}"))?;
    }
    files.sort();
    let mut problems = Vec::new();
    for file in &files {
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(file).to_string_lossy().replace('\\', "/");
        problems.extend(Source { path, text }.problems());
    }
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
}

impl Source {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.text.starts_with("//!") {
            problems
                .push(format!("{}:1: opens with no `//!` line that says what it knows", self.path));
        }
        let lines = self.text.lines().count();
        if lines > MOST_LINES {
            problems.push(format!(
                "{}: {lines} lines, more than {MOST_LINES}: split it by what it knows",
                self.path
            ));
        }
        problems.extend(self.unsafe_exceptions());
        problems.extend(self.errors_said_twice());
        problems.extend(self.unfinished());
        problems
    }

    /// Exceptions from the lint on `unsafe` outside of [`UNSAFE_FILES`].
    fn unsafe_exceptions(&self) -> impl Iterator<Item = String> {
        let lines = (1..).zip(self.text.lines()).filter(|(_, line)| {
            line.contains(UNSAFE_LINT) && !line.contains(&format!("forbid({UNSAFE_LINT})"))
        });
        let lines = lines.filter(|_| !UNSAFE_FILES.contains(&self.path.as_str()));
        lines.map(|(number, _)| {
            let allowed = UNSAFE_FILES.join(", ");
            format!(
                "{}:{number}: an exception for `unsafe`: only {allowed} may have one",
                self.path
            )
        })
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

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, Source, UNSAFE_LINT};

    fn problems(path: &str, text: &str) -> Vec<String> {
        Source { path: path.to_owned(), text: text.to_owned() }.problems()
    }

    #[test]
    fn tidy_file_has_no_problems() {
        let text = "//! Says unsafe.\nfn f() { g(\"unsafe\") }\n\
            #[error(\"a {0}\")]\nA(b::C),\n#[error(\"{text}\")]\nB { text: T, source: E },\n\
            #[error(transparent)]\nC(#[from] E),\n";
        assert_eq!(problems("crates/core/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_tells_file_and_line() {
        for (path, text, told) in [
            ("crates/core/src/a.rs", "// no\n", "crates/core/src/a.rs:1: opens"),
            (
                "crates/core/tests/a.rs",
                &format!("//! A\n#![allow({UNSAFE_LINT})]"),
                "a.rs:2: an exc",
            ),
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
            ("benches/src/a.rs", &format!("//! A{}", "\n".repeat(MOST_LINES + 1)), "601 lines"),
        ] {
            let found = problems(path, text);
            assert!(matches!(found.as_slice(), [one] if one.contains(told)), "{path}: {found:?}");
        }
    }

    #[test]
    fn unsafe_files_have_exceptions_and_roots_forbid() {
        for (path, text) in [
            ("crates/engine/src/aot.rs", format!("//! A\n#![allow({UNSAFE_LINT})]")),
            ("crates/core/src/lib.rs", format!("//! A\n#![forbid({UNSAFE_LINT})]")),
        ] {
            assert_eq!(problems(path, &text), Vec::<String>::new(), "{path}");
        }
    }
}
