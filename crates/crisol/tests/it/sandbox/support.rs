//! Support for sandbox tests: an app on disk beside a secret that no guest may reach, and a capture of the log.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crisol::Runtime;
use crisol::engine::{Allocation, EngineConfig};
use serde::Serialize;
use tempfile::TempDir;

pub(crate) const ALL: &str = "[\"wasi:cli\", \"wasi:io\", \"wasi:clocks\", \"wasi:filesystem\", \"wasi:random\", \"wasi:sockets\", \"wasi:http\"]";

/// Builds the start of a module: its imports of preview 1, by name and parameter types.
pub(crate) fn module_of_preview_1(functions: &[(&str, &str)]) -> String {
    let import = |(name, params): &(&str, &str)| {
        format!(
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))\n"
        )
    };
    "(module\n".to_owned() + &functions.iter().map(import).collect::<String>()
}

pub(crate) struct App {
    dir: TempDir,
    entries: String,
}

impl App {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir_all(dir.path().join("app/data")).unwrap();
        std::fs::write(dir.path().join("secret"), "the host's own").unwrap();
        let guests = crisol_fixtures::dir();
        let entries = format!(
            "namespace: a\nentries:\n  - {{name: guests, kind: fs.directory, directory: {:?}}}\n  - {{name: data, kind: fs.directory, directory: ./data}}\n",
            guests.display().to_string()
        );
        Self { dir, entries }
    }

    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn data(&self, path: &str) -> PathBuf {
        self.dir.path().join("app/data").join(path)
    }

    /// Adds an entry, in flow style or as lines.
    pub(crate) fn entry(mut self, entry: &str) -> Self {
        let lines: Vec<_> = entry.lines().collect();
        self.entries += &format!("  - {}\n", lines.join("\n    "));
        self
    }

    /// Adds a method of a guest as an entry of the same name, with `_` for `-`.
    pub(crate) fn guest(self, guest: &str, method: &str, more: &str) -> Self {
        self.guest_as(&method.replace('-', "_"), guest, method, more)
    }

    pub(crate) fn guest_as(self, name: &str, guest: &str, method: &str, more: &str) -> Self {
        let hash = crisol_fixtures::sha256(guest);
        self.entry(&format!(
            "{{name: {name}, kind: function.wasm, fs: guests, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: {method}, {more}}}"
        ))
    }

    pub(crate) fn load(&self) -> Runtime {
        let app = self.dir.path().join("app");
        std::fs::write(app.join("_index.yaml"), &self.entries).unwrap();
        let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
        match Runtime::builder().app(app).engine(engine).load() {
            Ok(runtime) => runtime,
            Err(error) => panic!("{error}\n{}", self.entries),
        }
    }
}

/// Calls a function and returns the outcome as text: the result as JSON, the function's own error after `err: `, or
/// any other error after `failed: `.
pub(crate) async fn call(runtime: &Runtime, name: &str, args: impl Serialize) -> String {
    match runtime.call::<serde_json::Value>(&format!("a:{name}"), args).await {
        Ok(value) => value.to_string(),
        Err(error) => match error.function_error() {
            Some(own) => format!("err: {own:?}"),
            None => format!("failed: {error}"),
        },
    }
}

/// Log output of this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .without_time()
            .with_ansi(false)
            .with_env_filter("info")
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
