//! Reload of an app while it is served, with a report of the changes.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crisol::change::{Applied, ChangeError};
use crisol::http::Serving;
use crisol::registry::SourcePaths;
use crisol::{EntryId, Runtime};
use tokio::sync::Notify;

use crate::watch::{Scope, Watch};
use crate::{app, listening, print_error, print_line};

/// Most entries that a change lists.
const NAMED: usize = 8;

/// Reason of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGHUP.
    BySignal,
    /// Changed files.
    ByFiles,
}

/// Watcher of an app's files, with the paths that it watches.
pub(crate) struct Watching {
    watch: Watch,
    reads: SourcePaths,
    changed: Arc<Notify>,
}

impl Watching {
    /// Watches an app that is not loaded yet.
    pub(crate) fn begin(app: &Path, changed: &Arc<Notify>) -> anyhow::Result<Self> {
        let reads = SourcePaths::of_app(app);
        let watch = Watch::begin(&reads, Scope::Anything, changed)?;
        Ok(Self { watch, reads, changed: Arc::clone(changed) })
    }

    /// Watches everything, also in new folders: the app is about to be read.
    fn widen(&mut self) -> notify::Result<()> {
        self.watch = Watch::begin(&self.reads, Scope::Anything, &self.changed)?;
        Ok(())
    }

    /// Watches the paths that the app was read from.
    fn narrow(&mut self, reads: SourcePaths) -> notify::Result<()> {
        let watch = Watch::begin(&reads, Scope::Named, &self.changed)?;
        if !watch.is_within(&self.watch) {
            // The app was read before this folder was watched, so it may have changed.
            self.changed.notify_one();
        }
        (self.watch, self.reads) = (watch, reads);
        Ok(())
    }
}

/// App that is served, with the state of its reloads.
pub(crate) struct Reloading<'a> {
    runtime: &'a Runtime,
    serving: Serving,
    grace: Duration,
    watching: Option<Watching>,
    /// Problems that were reported last, until they are fixed.
    wrong: Option<String>,
    /// Warnings about the app that were reported.
    warnings: Vec<String>,
}

impl<'a> Reloading<'a> {
    pub(crate) fn new(
        runtime: &'a Runtime,
        serving: Serving,
        grace: Duration,
        watching: Option<Watching>,
    ) -> Self {
        let (wrong, warnings) = (None, Vec::new());
        let mut this = Self { runtime, serving, grace, watching, wrong, warnings };
        this.warn();
        this.watch(|watching| watching.narrow(runtime.source_paths()));
        this
    }

    pub(crate) fn into_serving(self) -> Serving {
        self.serving
    }

    /// Reads the app, and serves it if it has no errors. Cancelled when dropped.
    pub(crate) async fn reload(&mut self, asked: Asked) {
        if let Some(watching) = &self.watching
            && asked == Asked::ByFiles
        {
            watching.watch.settle().await;
        }
        self.watch(Watching::widen);
        let before = self.serving.listening();
        match self.change().await {
            Ok(applied) => {
                let reads = self.runtime.source_paths();
                self.watch(|watching| watching.narrow(reads));
                let after = self.serving.listening();
                for gone in before.iter().filter(|one| !after.contains(one)) {
                    let _ = print_line(&format!("no longer {}", listening::show(gone)));
                }
                for new in after.iter().filter(|one| !before.contains(one)) {
                    let _ = print_line(&listening::show(new));
                }
                self.warn();
                let is_mended = self.wrong.take().is_some();
                if let Some(line) = summary(&applied, is_mended || asked == Asked::BySignal) {
                    print_error(&line);
                }
            }
            Err(wrong) => {
                // While files are saved, the same mistake is reported once.
                if asked == Asked::BySignal || self.wrong.as_ref() != Some(&wrong) {
                    print_error(&wrong);
                }
                self.wrong = Some(wrong);
            }
        }
    }

    /// Reports new warnings.
    fn warn(&mut self) {
        let warnings = app::warnings(self.runtime);
        let told = std::mem::replace(&mut self.warnings, warnings);
        self.warnings.iter().filter(|one| !told.contains(one)).for_each(|one| print_error(one));
    }

    /// Replaces the served generation by the app on disk, or returns all its problems.
    async fn change(&mut self) -> Result<Applied, String> {
        let made = match self.runtime.prepare_reload().await {
            Ok(change) => {
                let committed = self.serving.commit(change, self.grace).await;
                committed.map_err(|error| format!("error: {:#}", anyhow::Error::from(error)))
            }
            Err(ChangeError::App(problems)) => {
                Err(app::show_errors(&problems).trim_end().to_owned())
            }
            Err(other) => Err(format!("error: {:#}", anyhow::Error::from(other))),
        };
        made.map_err(|report| {
            let generation = self.runtime.generation().number();
            format!("{report}\nnot reloaded: still serving generation {generation}")
        })
    }

    /// Runs a step of watching, if files are watched. After a failure the app is served without watching.
    fn watch(&mut self, with: impl FnOnce(&mut Watching) -> notify::Result<()>) {
        let Some(watching) = &mut self.watching else { return };
        if let Err(error) = with(watching) {
            self.watching = None;
            print_error(&format!(
                "error: cannot watch files any more: {:#}\nsend SIGHUP to reload the app",
                anyhow::Error::from(error)
            ));
        }
    }
}

/// Summary of a reload in one line; `None` when it changed nothing, unless `wanted`.
fn summary(applied: &Applied, wanted: bool) -> Option<String> {
    // Replaced entries are always rebuilt, so they are listed once.
    let is_replaced = |id: &&EntryId| applied.replaced.contains(id);
    let rebuilt = applied.rebuilt.iter().filter(|id| !is_replaced(id));
    let parts = [
        ("added", names(applied.added.iter())),
        ("replaced", names(applied.replaced.iter())),
        ("removed", names(applied.removed.iter())),
        ("rebuilt", names(rebuilt)),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {names}"))
        .collect();
    let what = match (parts.is_empty(), wanted) {
        (true, false) => return None,
        (true, true) => "nothing has changed".to_owned(),
        (false, _) => parts.join("; "),
    };
    Some(format!("reloaded: generation {}: {what}", applied.generation))
}

fn names<'a>(ids: impl Iterator<Item = &'a EntryId>) -> String {
    let mut text = String::new();
    let mut more = 0;
    for (at, id) in ids.enumerate() {
        match at {
            0 => text.push_str(id.as_str()),
            _ if at < NAMED => drop(write!(text, ", {id}")),
            _ => more += 1,
        }
    }
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}
