//! Extensions of the embedding program: sources, binaries, interceptors, transports.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crisol_schema::{Code, DirectoryPath, Kind, Registry};
use crisol_wasi::{EnvSource, FsSource};

use crate::call::Interceptor;

/// Extensions of the embedding program.
#[derive(Clone, Default)]
pub(crate) struct Extensions {
    /// Source of variables with precedence over those of the registry.
    pub(crate) env: Option<Arc<dyn EnvSource>>,
    /// Source of folders with precedence over those of the registry.
    pub(crate) fs: Option<Arc<dyn FsSource>>,
    pub(crate) binaries: Binaries,
    /// Interceptors, outermost first.
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    #[cfg(feature = "http")]
    pub(crate) transports: crate::web::Transports,
}

/// Binaries in memory, by path relative to the app's folder.
#[derive(Clone, Default)]
pub(crate) struct Binaries(BTreeMap<PathBuf, Arc<[u8]>>);

impl Binaries {
    pub(crate) fn insert(&mut self, path: &Path, bytes: Arc<[u8]>) {
        self.0.insert(plain(path), bytes);
    }

    /// Looks up the binary that an entry's code names.
    pub(crate) fn find(&self, registry: &Registry, code: &Code) -> Option<&Arc<[u8]>> {
        let Code::Wasm { fs, path, .. } = code else { return None };
        if self.0.is_empty() {
            return None;
        }
        let Kind::Directory(folder) = &registry.get(fs.as_str())?.kind else { return None };
        self.0.get(&plain(&folder.directory.as_path().join(path.as_path())))
    }

    /// Tells whether any binary is in a folder. Such a folder need not exist on disk.
    pub(crate) fn has_folder(&self, folder: &DirectoryPath) -> bool {
        let folder = plain(folder.as_path());
        self.0.keys().any(|path| path.starts_with(&folder))
    }
}

/// Removes `.` components from a path.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}
