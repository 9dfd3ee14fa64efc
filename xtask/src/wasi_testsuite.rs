//! `wasi-testsuite PATH [PROGRAM]`: runs the built tests of WebAssembly/wasi-testsuite, a checkout of its branch
//! `prod/testsuite-base`, as commands of the program, and lists the failures.
//!
//! Each test is an app of its own with every import, and with its arguments, variables and folder. Only the exit code
//! is compared. Tests that are HTTP servers are counted and not run.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use crisol_fixtures::sums;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cargo::{program, succeed};
use crate::root;

/// Folders of built tests, below `tests/<language>`, with the function to call.
const SUITES: [(&str, &str); 2] = [
    ("testsuite/wasm32-wasip1", "wasi:cli/run#run"),
    // The standard library of these exports the one of 0.2 as well.
    ("testsuite/wasm32-wasip3", "wasi:cli/run@0.3.0#run"),
];

const EVERY_IMPORT: [&str; 8] = [
    "wasi:cli",
    "wasi:io",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:random",
    "wasi:sockets",
    "wasi:http",
    "wasi1",
];

/// Requirements of a test. Tests of 0.3 have them in the steps of a conversation: the first runs the test, the last
/// waits for its end.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wants {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    root: Option<PathBuf>,
    exit_code: i32,
    world: Option<String>,
    operations: Vec<Wants>,
}

impl Wants {
    fn read(wasm: &Path) -> Result<Self> {
        let file = wasm.with_extension("json");
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let mut wants: Self =
            serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?;
        for step in std::mem::take(&mut wants.operations) {
            wants.args.extend(step.args);
            wants.env.extend(step.env);
            wants.root = wants.root.or(step.root);
            wants.exit_code = wants.exit_code.max(step.exit_code);
        }
        Ok(wants)
    }

    fn is_server(&self) -> bool {
        self.world.as_deref().is_some_and(|world| world.starts_with("wasi:http/"))
    }
}

pub(crate) fn run(path: &Path, program: Option<&Path>) -> Result<()> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let crisol = match program {
        Some(program) => std::path::absolute(program)?,
        None => build(&target)?,
    };
    let mut found = false;
    let work = target.join("wasi-testsuite");
    for (suite, method) in SUITES {
        for folder in folders(path, suite)? {
            found = true;
            run_suite(&Runner { crisol: &crisol, method, folder: &folder, work: &work })?;
        }
    }
    if !found {
        bail!("no built tests below {}: check out `prod/testsuite-base`", path.display());
    }
    Ok(())
}

fn build(target: &Path) -> Result<PathBuf> {
    let mut build = Command::new(program());
    build.current_dir(root()).args(["build", "--release", "--package", "crisol-cli"]);
    succeed(&mut build, "building the program")?;
    Ok(target.join("release/crisol"))
}

/// Folders of a suite, one for each language.
fn folders(path: &Path, suite: &str) -> Result<Vec<PathBuf>> {
    let tests = path.join("tests");
    let languages = tests.read_dir().with_context(|| format!("reading {}", tests.display()))?;
    let mut folders = Vec::new();
    for language in languages {
        let folder = language?.path().join(suite);
        if folder.is_dir() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Settings for the tests of one folder.
struct Runner<'a> {
    crisol: &'a Path,
    method: &'a str,
    folder: &'a Path,
    /// Folder for the apps, reused for each.
    work: &'a Path,
}

fn run_suite(runner: &Runner<'_>) -> Result<()> {
    let folder = runner.folder;
    let (mut passed, mut failed, mut servers) = (0, Vec::new(), 0);
    let hashes = sums(folder)?;
    for line in hashes.lines() {
        let (hash, file) = line.split_once("  ").context("a line of sums")?;
        let wants = Wants::read(&folder.join(file))?;
        if wants.is_server() {
            servers += 1;
            continue;
        }
        match run_test(runner, file, hash, &wants)? {
            None => passed += 1,
            Some(why) => failed.push(format!("{}: {why}", file.trim_end_matches(".wasm"))),
        }
    }
    let ran = passed + failed.len();
    println!("{}: {passed} of {ran} pass, {servers} servers not run", folder.display());
    for failure in failed {
        println!("  {failure}");
    }
    Ok(())
}

/// Runs a test; returns the reason of a failure.
fn run_test(runner: &Runner<'_>, file: &str, hash: &str, wants: &Wants) -> Result<Option<String>> {
    let &Runner { crisol, method, folder, work } = runner;
    if work.exists() {
        fs::remove_dir_all(work).with_context(|| format!("emptying {}", work.display()))?;
    }
    fs::create_dir_all(work.join("wasm"))?;
    fs::copy(folder.join(file), work.join("wasm").join(file))?;
    if let Some(root) = &wants.root {
        copy_all(&folder.join(root), &work.join("root"))?;
    }
    let app = serde_json::to_string_pretty(&app(file, hash, method, wants))?;
    fs::write(work.join("_index.json"), app)?;
    let output = Command::new(crisol)
        .arg("--app")
        .arg(work)
        .args(["run", "test"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", crisol.display()))?;
    if output.status.code() == Some(wants.exit_code) {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let error = said.lines().find(|line| line.starts_with("error"));
    let last = || said.lines().rfind(|line| !line.trim().is_empty());
    let said = error.or_else(last).unwrap_or_default();
    let code = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    Ok(Some(format!("exit code {code} for {}: {said}", wants.exit_code)))
}

fn app(file: &str, hash: &str, method: &str, wants: &Wants) -> Value {
    let mut entries = vec![json!({"name": "wasm", "kind": "fs.directory", "directory": "./wasm"})];
    let mut wasi =
        json!({"args": wants.args, "network": ["127.0.0.0/8:*", "[::1]:*", "localhost:*"]});
    let mut env = Vec::new();
    for (at, (name, value)) in wants.env.iter().enumerate() {
        let id = format!("v{at}");
        entries.push(json!({"name": id, "kind": "env.variable", "default": value}));
        env.push(json!({"id": id, "name": name}));
    }
    wasi["env"] = Value::Array(env);
    if wants.root.is_some() {
        entries.push(json!({"name": "root", "kind": "fs.directory", "directory": "./root"}));
        wasi["mounts"] = json!([{"fs": "root", "guest": "/"}]);
    }
    entries.push(json!({
        "name": "test", "kind": "process.wasm", "meta": {"command": {"name": "test"}},
        "fs": "wasm", "path": format!("/{file}"), "hash": format!("sha256:{hash}"),
        "method": method, "imports": EVERY_IMPORT, "wasi": wasi,
        "limits": {"max_execution_ms": 60_000},
    }));
    json!({"namespace": "suite", "entries": entries})
}

/// Copies a folder that the test may change.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for entry in from.read_dir().with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
