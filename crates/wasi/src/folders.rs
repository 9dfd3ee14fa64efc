//! The folders of an app: every `fs.directory` entry, opened once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crisol_core::EntryId;
use crisol_schema::{Directory as Entry, FileMode, Kind, Registry};

use crate::directory::Directory;
use crate::error::FsError;

/// Folders of `fs.directory` entries.
pub trait FsSource: Send + Sync + 'static {
    /// The folder of an entry.
    ///
    /// # Errors
    /// When there is no such entry, or its folder could not be opened.
    fn directory(&self, id: &EntryId) -> Result<Directory, FsError>;
}

/// Treatment of folders and files with `auto_init` that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// They are made, as for an app that runs.
    #[default]
    Make,
    /// They are left out, for an app that is only looked at: nothing is written.
    Leave,
}

/// The folders that a registry declares. Those that could not be opened are not among them.
#[derive(Debug, Default)]
pub struct Folders {
    opened: HashMap<EntryId, Directory>,
    /// Folders that a start makes.
    unmade: HashMap<EntryId, PathBuf>,
}

impl Folders {
    /// Opens the folder of every `fs.directory` entry; `app` is what relative ones are in, and what
    /// nothing may lead them out of.
    ///
    /// What cannot be opened comes back by entry, so that it is reported where it stands.
    #[must_use]
    pub fn open(registry: &Registry, app: Option<&Path>) -> (Self, Vec<(EntryId, FsError)>) {
        Self::open_with(registry, app, Missing::Make)
    }

    /// Like [`Folders::open`], for missing folders as `missing` says. Those that are left out answer with
    /// [`FsError::NotMade`] and are no problem.
    #[must_use]
    pub fn open_with(
        registry: &Registry,
        app: Option<&Path>,
        missing: Missing,
    ) -> (Self, Vec<(EntryId, FsError)>) {
        let mut folders = Self::default();
        let mut problems = Vec::new();
        let mut root: Option<Directory> = None;
        for entry in registry {
            let Kind::Directory(directory) = &entry.kind else { continue };
            match open(directory, app, &mut root, missing) {
                Err(FsError::NoFolder { path })
                    if directory.auto_init && missing == Missing::Leave =>
                {
                    folders.unmade.insert(entry.id.clone(), path);
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
    missing: Missing,
) -> Result<Directory, FsError> {
    let path = entry.directory.as_path();
    let mode = entry.mode.map(FileMode::bits);
    let auto_init = entry.auto_init && missing == Missing::Make;
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
        match (self.opened.get(id), self.unmade.get(id)) {
            (Some(opened), _) => Ok(opened.clone()),
            (None, Some(path)) => Err(FsError::NotMade { path: path.clone() }),
            (None, None) => Err(FsError::Unknown { id: id.clone() }),
        }
    }
}
