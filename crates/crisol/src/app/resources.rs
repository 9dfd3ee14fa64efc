//! Host resources of a generation: folders and variables of the registry, layered below those of the embedding program.

use std::path::Path;
use std::sync::Arc;

use crisol_core::EntryId;
use crisol_schema::{Kind, Registry};
use crisol_wasi::{
    Directory, EnvError, EnvSource, Folders, FsError, FsSource, MissingFiles, Variables,
};

use super::extensions::Extensions;

/// Folders and variables that guests can be given.
pub(crate) struct HostResources {
    /// The app's folder, the base of relative paths.
    root: Option<Directory>,
    folders: LayeredFolders,
    declared: Arc<Variables>,
    env: Arc<dyn EnvSource>,
}

impl Default for HostResources {
    fn default() -> Self {
        let declared = Arc::new(Variables::default());
        let env = Arc::clone(&declared) as _;
        Self { root: None, folders: LayeredFolders::default(), declared, env }
    }
}

impl HostResources {
    /// Opens the folders and variables of a registry. Returns the folders that cannot be opened, with their errors.
    /// Variables in memory keep their values from `before`.
    pub(crate) fn open(
        registry: &Registry,
        app: Option<&Path>,
        extensions: &Extensions,
        before: Option<&Self>,
        missing: MissingFiles,
    ) -> (Self, Vec<(EntryId, FsError)>) {
        let (opened, mut failed) = Folders::open_with(registry, app, missing);
        let folders = LayeredFolders { own: extensions.fs.clone(), declared: opened };
        let is_in_memory = |id: &EntryId| {
            let entry = registry.get(id.as_str());
            matches!(entry.map(|entry| &entry.kind), Some(Kind::Directory(folder))
                if extensions.binaries.has_folder(&folder.directory))
        };
        failed.retain(|(id, _)| folders.directory(id).is_err() && !is_in_memory(id));
        let none = Variables::default();
        let before = before.map_or(&none, |before| &before.declared);
        let declared = Arc::new(Variables::replacing_with(before, registry, app, missing));
        let env: Arc<dyn EnvSource> = match extensions.env.clone() {
            Some(own) => Arc::new(LayeredEnv { own, declared: Arc::clone(&declared) }),
            None => Arc::clone(&declared) as _,
        };
        let root = app.and_then(|app| Directory::open(app, false, None).ok());
        (Self { root, folders, declared, env }, failed)
    }

    pub(crate) fn folders(&self) -> &dyn FsSource {
        &self.folders
    }

    pub(crate) fn env(&self) -> Arc<dyn EnvSource> {
        Arc::clone(&self.env)
    }

    /// Sets or removes a variable's value in its declared storage.
    pub(crate) fn set(&self, variable: &EntryId, value: Option<&str>) -> Result<(), EnvError> {
        self.declared.set(variable, value)
    }

    /// Tells whether both have the same app folder. Its path may be a symbolic link that now leads elsewhere.
    pub(crate) fn has_root_of(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(one), Some(two)) => one.is_same(two),
            (None, None) => true,
            _ => false,
        }
    }

    /// Tells whether a folder entry leads to the same folder in both.
    pub(crate) fn has_folder_of(&self, other: &Self, id: &EntryId) -> bool {
        match (self.folders.directory(id), other.folders.directory(id)) {
            (Ok(one), Ok(two)) => one.is_same(&two),
            _ => false,
        }
    }
}

#[derive(Default)]
struct LayeredFolders {
    own: Option<Arc<dyn FsSource>>,
    declared: Folders,
}

impl FsSource for LayeredFolders {
    fn directory(&self, id: &EntryId) -> Result<Directory, FsError> {
        match self.own.as_ref().map(|own| own.directory(id)) {
            None | Some(Err(FsError::Unknown { .. })) => self.declared.directory(id),
            Some(answer) => answer,
        }
    }
}

struct LayeredEnv {
    own: Arc<dyn EnvSource>,
    declared: Arc<Variables>,
}

impl EnvSource for LayeredEnv {
    fn value(&self, variable: &EntryId) -> Result<Option<String>, EnvError> {
        match self.own.value(variable) {
            Err(EnvError::Unknown { .. }) => self.declared.value(variable),
            answer => answer,
        }
    }

    fn place(&self, variable: &EntryId) -> String {
        match self.own.value(variable) {
            Err(EnvError::Unknown { .. }) => self.declared.place(variable),
            _ => self.own.place(variable),
        }
    }
}
