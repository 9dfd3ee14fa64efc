//! App on disk, its registry, and a guest's side of a context.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{Kind, Loader, Registry, Wasi};
use crisol_wasi::{EnvSource, Environment, Folders, Plan, PlanError, Stdio, Variables, resolve};
use tempfile::TempDir;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtxView, WasiView};

pub(crate) fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

/// Text of an error with its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}\n  {source}");
        next = source.source();
    }
    text
}

/// Folder with an app in it, removed on drop; files beside it must be out of reach.
pub(crate) struct App {
    dir: TempDir,
    pub(crate) registry: Registry,
}

impl App {
    /// Makes an app with these entries, written as YAML list items.
    pub(crate) fn new(entries: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("app")).unwrap();
        std::fs::write(dir.path().join("secret"), "the host's own").unwrap();
        let entries: String = entries.lines().map(|line| format!("  {line}\n")).collect();
        let text = format!("namespace: a\nentries:\n{entries}");
        let loaded = Loader::new().file("_index.yaml", text).load_files();
        let registry = loaded.unwrap_or_else(|problems| panic!("{problems}")).registry;
        Self { dir, registry }
    }

    /// Path inside the app's folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    /// Path beside the app's folder.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn variables(&self) -> Variables {
        Variables::new(&self.registry, Some(&self.root()))
    }

    /// The `wasi` field of the function `a:f`.
    pub(crate) fn wasi(&self) -> &Wasi {
        match &self.registry.get("a:f").unwrap().kind {
            Kind::Function(function) => &function.wasi,
            other => panic!("`a:f` is {other:?}"),
        }
    }

    pub(crate) fn plan_with(&self, env: Arc<dyn EnvSource>) -> Result<Plan, PlanError> {
        let (folders, problems) = Folders::open(&self.registry, Some(&self.root()));
        assert!(problems.is_empty(), "{problems:?}");
        resolve(self.wasi(), &id("a:f"), env, &folders)
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan_with(Arc::new(self.variables())).unwrap()
    }
}

/// App whose function `a:f` has this `wasi`, with further entries.
pub(crate) fn app_with(wasi: &str, entries: &str) -> App {
    let wasi: String = wasi.lines().map(|line| format!("    {line}\n")).collect();
    App::new(&format!(
        "- name: f\n  kind: function.wat\n  source: (module)\n  method: f\n  wasi:\n{wasi}{entries}"
    ))
}

/// Host state of a guest, for the host functions.
pub(crate) struct Guest(WasiP1Ctx);

impl Guest {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::with(plan, &Environment::default(), Stdio::Log)
    }

    pub(crate) fn with(plan: &Plan, environment: &Environment, stdio: Stdio) -> Self {
        Self(plan.build(environment, stdio).unwrap())
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.0.ctx()
    }
}

#[cfg(unix)]
pub(crate) fn pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}
