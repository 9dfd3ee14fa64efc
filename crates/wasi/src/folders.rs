//! Folders of an app: every `fs.directory` entry, opened once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crisol_core::EntryId;
use crisol_schema::{Directory as Entry, FileMode, Kind, Registry};

use crate::directory::Directory;
use crate::error::FsError;

/// Folders of `fs.directory` entries.
pub trait FsSource: Send + Sync + 'static {
    /// Returns the folder of an entry.
    ///
    /// # Errors
    /// Fails when there is no such entry, or its folder could not be opened.
    fn directory(&self, id: &EntryId) -> Result<Directory, FsError>;
}

/// Treatment of missing folders and files with `auto_init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingFiles {
    /// Creates them, for an app that runs.
    #[default]
    Create,
    /// Leaves them out, for an app that is only inspected: nothing is written.
    Skip,
}

/// Opened folders of a registry, without those that failed to open.
#[derive(Debug, Default)]
pub struct Folders {
    opened: HashMap<EntryId, Directory>,
    /// Folders that a start creates.
    uncreated: HashMap<EntryId, PathBuf>,
}

impl Folders {
    /// Opens the folder of every `fs.directory` entry. `app` is the base of relative paths, and none may lead out of
    /// it.
    ///
    /// Returns the errors by entry, to be reported with the entry's location.
    #[must_use]
    pub fn open(registry: &Registry, app: Option<&Path>) -> (Self, Vec<(EntryId, FsError)>) {
        Self::open_with(registry, app, MissingFiles::Create)
    }

    /// Like [`Folders::open`], with `missing` deciding about missing folders. Those left out fail later with
    /// [`FsError::NotCreated`] and are not reported as errors here.
    #[must_use]
    pub fn open_with(
        registry: &Registry,
        app: Option<&Path>,
        missing: MissingFiles,
    ) -> (Self, Vec<(EntryId, FsError)>) {
        let mut folders = Self::default();
        let mut problems = Vec::new();
        let mut root: Option<Directory> = None;
        for entry in registry {
            let Kind::Directory(directory) = &entry.kind else { continue };
            match open(directory, app, &mut root, missing) {
                Err(FsError::NoFolder { path })
                    if directory.auto_init && missing == MissingFiles::Skip =>
                {
                    folders.uncreated.insert(entry.id.clone(), path);
                }
                Ok(opened) => drop(folders.opened.insert(entry.id.clone(), opened)),
                Err(problem) => problems.push((entry.id.clone(), problem)),
            }
        }
        (folders, problems)
    }
}

fn open(
    entry: &Entry,
    app: Option<&Path>,
    root: &mut Option<Directory>,
    missing: MissingFiles,
) -> Result<Directory, FsError> {
    let path = entry.directory.as_path();
    let mode = entry.mode.map(FileMode::bits);
    let auto_init = entry.auto_init && missing == MissingFiles::Create;
    if !entry.directory.is_inside_app() {
        return Directory::open(path, auto_init, mode);
    }
    let app = app.ok_or_else(|| FsError::NoApp { path: path.to_owned() })?;
    let root = match root {
        Some(root) => root,
        none => none.insert(Directory::open(app, false, None)?),
    };
    root.open_inside(path, auto_init, mode)
}

impl FsSource for Folders {
    fn directory(&self, id: &EntryId) -> Result<Directory, FsError> {
        match (self.opened.get(id), self.uncreated.get(id)) {
            (Some(opened), _) => Ok(opened.clone()),
            (None, Some(path)) => Err(FsError::NotCreated { path: path.clone() }),
            (None, None) => Err(FsError::Unknown { id: id.clone() }),
        }
    }
}
