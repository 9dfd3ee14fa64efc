//! Tasks of the workspace, as `cargo xtask TASK`. This file has their names; each is a module.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program answers on its terminal")]

mod arrows;
mod bench_http;
mod cargo;
mod circles;
mod guests;
mod layers;
mod test;
mod tidy;
mod tokens;
mod toolchain;
mod wasi_testsuite;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask CHORE

  test                 run all tests: nextest where it is installed, else cargo test; then the doc tests
  test-wasm            build the guests from source, and run all tests on them
  test-wasm --bless    build the guests from source, and put them in the place of the committed ones
  bench-http           measure HTTP: this server, bare hyper, `wasmtime serve` with --wasmtime PATH, another build of
                       `crisol` with --beside PATH; then 10 000 connections at once, idle and asleep (--many N); needs wrk
  wasi-testsuite PATH  run the built tests of WebAssembly/wasi-testsuite (its branch prod/testsuite-base, checked out at
                       PATH) by the program, or by another that is named after PATH; tell which do not pass
  circles              refuse modules of a crate that need each other
  circles CRATE        show the circles of `crates/CRATE` with all their arrows
  layers               compare the dependencies with the table in docs/architecture.md
  tidy                 check what neither the compiler nor clippy does";

fn main() -> ExitCode {
    let args = env::args().skip(1).collect::<Vec<_>>();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["test"] => test::run(None),
        ["test-wasm"] => test::run(Some(&guests::build_all()?)),
        ["test-wasm", "--bless"] => guests::bless(),
        ["bench-http", options @ ..] => bench_http::run(options),
        ["wasi-testsuite", path] => wasi_testsuite::run(Path::new(path), None),
        ["wasi-testsuite", path, program] => {
            wasi_testsuite::run(Path::new(path), Some(Path::new(program)))
        }
        ["circles"] => report("circles", circles::check(&root())?),
        ["circles", folder] => circles::show(&root(), folder),
        ["layers"] => report("layers", layers::check()?),
        ["tidy"] => report("tidy", tidy::check(&root())?),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => bail!("which chore?\n\n{USAGE}"),
        other => bail!("unknown chore `{}`\n\n{USAGE}", other.join(" ")),
    }
}

/// Result of a check: the amount checked, and the problems.
struct Findings {
    looked_at: String,
    problems: Vec<String>,
}

fn report(check: &str, findings: Findings) -> Result<()> {
    for problem in &findings.problems {
        println!("{problem}");
    }
    match findings.problems.len() {
        0 => {
            println!("{check}: ok, {}", findings.looked_at);
            Ok(())
        }
        1 => bail!("{check}: 1 problem in {}", findings.looked_at),
        count => bail!("{check}: {count} problems in {}", findings.looked_at),
    }
}

/// Top of the workspace.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
