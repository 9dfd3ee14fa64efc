//! Settings of a runtime, from which every generation is loaded.

use std::path::PathBuf;
use std::sync::Arc;

use crisol_engine::{Engine, EngineError};
#[cfg(feature = "lua")]
use crisol_lua::TurnLimit;
use crisol_schema::{App, Changes, Loader, Problems};
use crisol_wasi::MissingFiles;

use crate::app::{Extensions, Generation};
use crate::load::{Defaults, ImportsFix, Inputs, Loaded, assemble, loader};

/// Error of an app that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The app has errors: every problem, with its location.
    #[error("{0}")]
    App(Problems),
    /// The WebAssembly engine could not be created.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Outcome of [`Builder::check`](crate::Builder::check).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// All errors and warnings, in the order of their locations.
    pub problems: Problems,
    /// Number of functions that can be called.
    pub functions: usize,
    /// Number of HTTP handlers: functions that answer HTTP requests themselves.
    pub handlers: usize,
    /// Number of commands.
    pub commands: usize,
    /// Changes that make each entry's `imports` match the imports that its method may call, for [`fix`](crate::index::fix).
    pub fixes: Vec<ImportsFix>,
}

/// Settings that all generations share.
pub(crate) struct Settings {
    pub(crate) app: Option<PathBuf>,
    pub(crate) loader: Loader,
    pub(crate) defaults: Defaults,
    pub(crate) strict_imports: bool,
    pub(crate) extensions: Extensions,
    /// Bound on concurrently computing scripts, across all generations.
    #[cfg(feature = "lua")]
    pub(crate) turns: TurnLimit,
    pub(crate) missing: MissingFiles,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            app: None,
            loader: loader(),
            defaults: Defaults::default(),
            strict_imports: false,
            extensions: Extensions::default(),
            #[cfg(feature = "lua")]
            turns: TurnLimit::default(),
            missing: MissingFiles::default(),
        }
    }
}

impl Settings {
    /// Reads the app from its files.
    pub(crate) fn read(&self) -> Result<App, LoadError> {
        let loaded = match &self.app {
            Some(dir) => self.loader.load(dir),
            None => self.loader.load_files(),
        };
        loaded.map_err(LoadError::App)
    }

    /// Applies changes to the registry of a generation; returns the changed app.
    pub(crate) fn change(&self, old: &Generation, changes: &Changes) -> Result<App, LoadError> {
        let changed = self.loader.change(old.registry(), changes, self.app.as_deref());
        changed.map_err(LoadError::App)
    }

    /// Verifies, compiles and links an app. Takes over unchanged functions from `before`.
    pub(crate) fn generation(
        &self,
        engine: &Engine,
        number: u64,
        app: App,
        before: Option<&Generation>,
    ) -> Result<Arc<Generation>, LoadError> {
        let inputs = Inputs {
            engine,
            registry: &app.registry,
            defaults: self.defaults,
            strict_imports: self.strict_imports,
            extensions: &self.extensions,
            #[cfg(feature = "lua")]
            turns: &self.turns,
            missing: self.missing,
            before,
            checked: None,
        };
        let (loaded, _) = assemble(inputs, self.app.as_deref());
        let mut problems = app.warnings;
        problems.append(loaded.problems);
        problems.sort();
        if problems.errors() > 0 {
            return Err(LoadError::App(problems));
        }
        Ok(Generation::new(number, app.registry, problems, loaded.assembled))
    }

    /// Reads, verifies, compiles and links as much of an app as possible, and reports every problem.
    pub(crate) fn check(&self, engine: &Engine) -> Checked {
        let read = match &self.app {
            Some(dir) => self.loader.check(dir),
            None => self.loader.check_files(),
        };
        let inputs = Inputs {
            engine,
            registry: &read.registry,
            defaults: self.defaults,
            strict_imports: self.strict_imports,
            extensions: &self.extensions,
            #[cfg(feature = "lua")]
            turns: &self.turns,
            missing: MissingFiles::Skip,
            before: None,
            checked: (read.problems.errors() > 0).then_some(&read),
        };
        let (Loaded { assembled, problems: found }, fixes) = assemble(inputs, self.app.as_deref());
        let mut problems = read.problems.clone();
        problems.append(found);
        problems.sort();
        Checked {
            problems,
            functions: assembled.functions.len(),
            #[cfg(feature = "http")]
            handlers: assembled.handlers.len(),
            #[cfg(not(feature = "http"))]
            handlers: 0,
            commands: assembled.commands.len(),
            fixes,
        }
    }
}
