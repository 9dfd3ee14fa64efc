//! What of the disk an app is made of, for whoever watches it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crisol_schema::{Code, Kind, Mount, Pem, Registry};

use crate::runtime::Runtime;

/// What of the disk an app was read from: where to look to know that it has changed.
///
/// Paths begin with the app's folder as it was given to the builder, or are absolute; symbolic links in them are
/// not followed. Files of `env.storage.file` are not among them: those are read again when a call finds them changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reads {
    /// The app's folder, which is searched for index files; none for an app in memory.
    pub app: Option<PathBuf>,
    /// Files that were read: index files, what they name as `file://` (text, scripts, WIT), certificates and keys, binaries.
    pub files: BTreeSet<PathBuf>,
    /// Folders that were opened.
    pub folders: BTreeSet<PathBuf>,
    /// Of the folders, those that guests may write in.
    pub written: BTreeSet<PathBuf>,
}

impl Runtime {
    /// What of the disk the current generation was read from; [`Runtime::reload`] reads it again.
    #[must_use]
    pub fn reads(&self) -> Reads {
        Reads::of(self.generation().registry(), self.0.settings.app.as_deref())
    }
}

impl Reads {
    /// What an app has before it is read: its folder.
    #[must_use]
    pub fn of_app(app: impl Into<PathBuf>) -> Self {
        Self { app: Some(app.into()), ..Self::default() }
    }

    fn of(registry: &Registry, app: Option<&Path>) -> Self {
        let mut reads = Self { app: app.map(Path::to_owned), ..Self::default() };
        if let Some(app) = app {
            reads.files.extend(registry.files().map(|path| app.join(path)));
        }
        for entry in registry {
            let (code, wasi) = match &entry.kind {
                Kind::Directory(_) => {
                    reads.folders.extend(folder(registry, app, entry.id.as_str()));
                    continue;
                }
                Kind::HttpService(service) => {
                    let tls = service.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
                    reads.files.extend(tls.filter_map(|pem| match pem {
                        Pem::File(path) => Some(path.clone()),
                        _ => None,
                    }));
                    continue;
                }
                Kind::Function(function) => (&function.code, &function.wasi),
                Kind::Process(process) => (&process.code, &process.wasi),
                _ => continue,
            };
            if let Code::Wasm { fs, path, .. } = code {
                let folder = folder(registry, app, fs.as_str());
                reads.files.extend(folder.map(|folder| folder.join(path.as_path())));
            }
            let written = wasi.mounts.iter().filter(|mount: &&Mount| !mount.read_only);
            reads
                .written
                .extend(written.filter_map(|mount| folder(registry, app, mount.fs.as_str())));
        }
        reads
    }
}

/// Where a folder entry leads; nowhere when it is relative and the app has no folder.
fn folder(registry: &Registry, app: Option<&Path>, id: &str) -> Option<PathBuf> {
    let Kind::Directory(folder) = &registry.get(id)?.kind else { return None };
    match app {
        Some(app) => Some(folder.directory.under(app)),
        None => {
            Some(folder.directory.as_path()).filter(|path| path.is_absolute()).map(Path::to_owned)
        }
    }
}
