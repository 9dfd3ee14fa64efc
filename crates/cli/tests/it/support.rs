//! Runs of the program, on the tour or on apps written for one test.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod served;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub type Problem = Box<dyn std::error::Error + Send + Sync>;
pub type Tested<T = ()> = Result<T, Problem>;

/// Result of a run.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Folder of the tour.
pub fn tour() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/tour")
}

impl Run {
    pub fn of(output: Output) -> Tested<Self> {
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}

/// Command `crisol --app APP ARGS…` with a minimal environment.
pub fn crisol_command(app: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crisol"));
    // Code is cached, but not in the home of the user who runs the tests.
    command.env_clear().env("CRISOL_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/code"));
    command.arg("--app").arg(app).args(args);
    command
}

/// Runs the program.
pub fn crisol(app: &Path, args: &[&str]) -> Tested<Run> {
    Run::of(crisol_command(app, args).output()?)
}

/// App in a folder of its own: entries under the namespace `myns`, beside a folder entry `myns:assets` with the named
/// guests.
pub struct App(tempfile::TempDir);

impl App {
    pub fn new(entries: &str, guests: &[&str]) -> Tested<Self> {
        let dir = tempfile::tempdir()?;
        let wasm = dir.path().join("wasm");
        std::fs::create_dir(&wasm)?;
        for guest in guests {
            std::fs::write(wasm.join(format!("{guest}.wasm")), crisol_fixtures::bytes(guest))?;
        }
        let header = "namespace: myns\nentries:\n  - name: assets\n    kind: fs.directory\n    directory: ./wasm\n";
        std::fs::write(dir.path().join("_index.yaml"), format!("{header}{entries}"))?;
        Ok(Self(dir))
    }

    /// Makes an app of one `function.wasm`, `myns:f`, with a guest and further fields.
    pub fn of(guest: &str, fields: &str) -> Tested<Self> {
        let hash = crisol_fixtures::sha256(guest);
        let entry = format!(
            "  - name: f\n    kind: function.wasm\n    fs: assets\n    path: /{guest}.wasm\n    hash: sha256:{hash}\n"
        );
        let fields: String = fields.lines().map(|line| format!("    {line}\n")).collect();
        Self::new(&(entry + &fields), &[guest])
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn run(&self, args: &[&str]) -> Tested<Run> {
        let mut run = crisol(self.path(), args)?;
        run.stderr = run.stderr.replace(&self.path().display().to_string(), "APP");
        Ok(run)
    }

    /// Calls `myns:f`.
    pub fn call(&self, args: &[&str]) -> Tested<Run> {
        self.run(&[&["call", "myns:f"], args].concat())
    }
}
