//! Support for tests: apps in memory with the built guests, and Lua scripts.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol::engine::{Allocation, EngineConfig};
use crisol::lua::{self, Script};
use crisol::{Builder, LoadError, Runtime, Value};

pub type Problem = Box<dyn std::error::Error + Send + Sync>;
pub type Tested<T = ()> = Result<T, Problem>;

/// Duration that no test reaches in real time.
pub const HOUR: Duration = Duration::from_secs(3600);

/// App of one index file in memory.
pub struct AppBuilder {
    index: String,
    engine: EngineConfig,
}

impl AppBuilder {
    /// Starts an app with a namespace, whose instances are created on demand.
    pub fn new(namespace: &str) -> Self {
        let engine = EngineConfig { allocation: Allocation::OnDemand, ..EngineConfig::default() };
        Self { index: format!("namespace: {namespace}\nentries:\n"), engine }
    }

    /// Adds a folder entry with all built guests.
    pub fn guests(self, name: &str) -> Self {
        let dir = crisol_fixtures::dir().display().to_string();
        self.entries(&format!("  - {{name: {name}, kind: fs.directory, directory: {dir:?}}}\n"))
    }

    /// Adds entries, as lines of YAML.
    pub fn entries(mut self, lines: &str) -> Self {
        self.index += lines;
        self
    }

    /// Allocates instances in another way.
    pub fn allocation(mut self, allocation: Allocation) -> Self {
        self.engine.allocation = allocation;
        self
    }

    /// Returns the text of the index file.
    pub fn index(&self) -> &str {
        &self.index
    }

    /// Returns a builder of an app on disk, with the same engine.
    pub fn on_disk(dir: impl AsRef<Path>) -> Builder {
        Runtime::builder().app(dir.as_ref()).engine(Self::new("unused").engine)
    }

    /// Returns a builder with the app, for further parts.
    pub fn builder(self) -> Builder {
        Runtime::builder().file("_index.yaml", self.index).engine(self.engine)
    }

    /// Loads the app.
    pub fn load(self) -> Result<Runtime, LoadError> {
        self.builder().load()
    }
}

/// Loads an app with entries in the namespace `myns`, and the folder entry `myns:assets` with all built guests.
pub fn load(entries: &str) -> Result<Runtime, LoadError> {
    AppBuilder::new("myns").guests("assets").entries(entries).load()
}

/// Builds an entry `name` of a kind for a guest's method, with further fields in YAML's flow style.
pub fn entry(kind: &str, name: &str, guest: &str, method: &str, more: &str) -> String {
    let hash = crisol_fixtures::sha256(guest);
    format!(
        "  - {{name: {name}, kind: {kind}, fs: assets, path: /{guest}.wasm, hash: \"sha256:{hash}\", method: \"{method}\"{more}}}\n"
    )
}

/// Builds a function entry `name` for a guest's method.
pub fn wasm(name: &str, guest: &str, method: &str, more: &str) -> String {
    entry("function.wasm", name, guest, method, more)
}

/// Builds an entry of a Lua function `name` with the body of `function(...)`, which has `funcs`, and further fields.
pub fn lua(name: &str, body: &str, more: &str) -> String {
    let source = format!("local funcs = require('funcs') return {{f = function(...) {body} end}}");
    format!(
        "  - {{name: {name}, kind: function.lua, method: f, modules: [funcs, time]{more}, source: {source:?}}}\n"
    )
}

/// Advances the clock of the test's runtime at once, for all its deadlines and timers.
pub async fn skip(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Returns the deadline that is this far from now.
pub fn within(time: Duration) -> Instant {
    (tokio::time::Instant::now() + time).into_std()
}

/// Drives a call until `begun` holds, advances the clock by an hour, and returns the call's outcome.
pub async fn an_hour_late<T>(call: impl Future<Output = T>, begun: impl Fn() -> bool) -> T {
    let skipping = async {
        while !begun() {
            tokio::task::yield_now().await;
        }
        skip(HOUR).await;
    };
    tokio::join!(call, skipping).0
}

/// Runs a script, discards its output, and returns its result.
pub async fn script(runtime: &Runtime, source: &str) -> Tested<Value> {
    let sink: lua::Sink = Arc::new(|_| {});
    let (name, source) = ("test.lua".to_owned(), source.to_owned());
    let script = Script { name, source, args: Vec::new(), sink, deadline: None };
    Ok(runtime.run_script(script).await?)
}
