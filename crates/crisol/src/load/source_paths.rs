//! Paths an app was loaded from, for file watchers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crisol_schema::{Kind, Registry};

use super::kinds::{Read, slice_of};

/// Paths an app was loaded from, for programs that watch them for changes.
///
/// Paths start with the app's folder as given to the builder, or are absolute; symbolic links in them are not
/// resolved. Files of `env.storage.file` are not included: a call reads those again after they change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourcePaths {
    /// The app's folder, searched for index files; none for an app in memory.
    pub app: Option<PathBuf>,
    /// Files that were read: index files and their `file://` sources (text, scripts, WIT), TLS files, binaries.
    pub files: BTreeSet<PathBuf>,
    /// Folders that were opened.
    pub folders: BTreeSet<PathBuf>,
    /// The subset of `folders` that guests may write to.
    pub written: BTreeSet<PathBuf>,
}

impl SourcePaths {
    /// Returns the paths of an app before it is loaded: only its folder.
    #[must_use]
    pub fn of_app(app: impl Into<PathBuf>) -> Self {
        Self { app: Some(app.into()), ..Self::default() }
    }

    /// Collects the paths of a registry.
    pub(crate) fn of(registry: &Registry, app: Option<&Path>) -> Self {
        let mut reads = Self { app: app.map(Path::to_owned), ..Self::default() };
        if let Some(app) = app {
            reads.files.extend(registry.files().map(|path| app.join(path)));
        }
        let folder = |id: &str| folder(registry, app, id);
        for entry in registry {
            for read in slice_of(&entry.kind).reads(&entry.id) {
                match read {
                    Read::File(path) => {
                        reads.files.insert(path.to_owned());
                    }
                    Read::FileIn { fs, path } => {
                        reads.files.extend(folder(fs.as_str()).map(|folder| folder.join(path)));
                    }
                    Read::Folder(id) => reads.folders.extend(folder(id.as_str())),
                    Read::Written(id) => reads.written.extend(folder(id.as_str())),
                }
            }
        }
        reads
    }
}

/// Resolves the path of a folder entry; none if it is relative and the app has no folder.
fn folder(registry: &Registry, app: Option<&Path>, id: &str) -> Option<PathBuf> {
    let Kind::Directory(folder) = &registry.get(id)?.kind else { return None };
    match app {
        Some(app) => Some(folder.directory.under(app)),
        None => {
            Some(folder.directory.as_path()).filter(|path| path.is_absolute()).map(Path::to_owned)
        }
    }
}
