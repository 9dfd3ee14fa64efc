//! What a runtime was set up with, and how generations are made by it.

use std::path::PathBuf;
use std::sync::Arc;

use crisol_engine::Engine;
use crisol_lua::Turns;
use crisol_schema::{App, Changes, Loader};
use crisol_wasi::Missing;

use crate::assemble::Assembly;
use crate::builder::{Checked, Defaults, LoadError};
use crate::generation::Generation;
use crate::own::Own;

/// What stays the same from generation to generation.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) app: Option<PathBuf>,
    pub(crate) loader: Loader,
    pub(crate) defaults: Defaults,
    pub(crate) strict_imports: bool,
    pub(crate) own: Own,
    /// Bound on the scripts that compute at one moment, of all generations.
    pub(crate) turns: Turns,
    pub(crate) missing: Missing,
}

impl Settings {
    /// Reads the app as a start would.
    pub(crate) fn read(&self) -> Result<App, LoadError> {
        let loaded = match &self.app {
            Some(dir) => self.loader.load(dir),
            None => self.loader.load_files(),
        };
        loaded.map_err(LoadError::App)
    }

    /// The app that a generation becomes by changes.
    pub(crate) fn change(&self, old: &Generation, changes: &Changes) -> Result<App, LoadError> {
        let changed = self.loader.change(old.registry(), changes, self.app.as_deref());
        changed.map_err(LoadError::App)
    }

    /// Verifies, compiles and links an app. What has not changed since `before` is taken over from it.
    pub(crate) fn generation(
        &self,
        engine: &Engine,
        number: u64,
        app: App,
        before: Option<&Generation>,
    ) -> Result<Arc<Generation>, LoadError> {
        let assembly = Assembly {
            engine,
            registry: &app.registry,
            defaults: self.defaults,
            strict_imports: self.strict_imports,
            own: &self.own,
            turns: &self.turns,
            missing: self.missing,
            before,
            checked: None,
        };
        let (assembled, found) = assembly.run(self.app.as_deref());
        let mut problems = app.warnings;
        problems.append(found);
        problems.sort();
        if problems.errors() > 0 {
            return Err(LoadError::App(problems));
        }
        Ok(Generation::new(number, app.registry, problems, assembled))
    }

    /// Reads, verifies, compiles and links as much of an app as can be, and tells all that is wrong with it.
    pub(crate) fn check(&self, engine: &Engine) -> Checked {
        let read = match &self.app {
            Some(dir) => self.loader.check(dir),
            None => self.loader.check_files(),
        };
        let assembly = Assembly {
            engine,
            registry: &read.registry,
            defaults: self.defaults,
            strict_imports: self.strict_imports,
            own: &self.own,
            turns: &self.turns,
            missing: Missing::Leave,
            before: None,
            checked: (read.problems.errors() > 0).then_some(&read),
        };
        let (assembled, found) = assembly.run(self.app.as_deref());
        let mut problems = read.problems.clone();
        problems.append(found);
        problems.sort();
        Checked {
            problems,
            functions: assembled.functions.len(),
            #[cfg(feature = "http")]
            handlers: assembled.proxies.len(),
            #[cfg(not(feature = "http"))]
            handlers: 0,
            commands: assembled.commands.len(),
            fixes: assembled.fixes,
        }
    }
}
