//! What the guests of one generation may see of the outside: its folders and variables, those that the
//! registry declares and those that the embedder serves itself.

use std::path::Path;
use std::sync::Arc;

use crisol_core::{EntryId, chain};
use crisol_schema::{Kind, Problems, Registry, Report, Rule};
use crisol_wasi::{Directory, EnvError, EnvSource, Folders, FsError, FsSource, Missing, Variables};

use crate::own::Own;

pub(crate) struct World {
    /// The app's own folder, which relative paths are in.
    root: Option<Directory>,
    folders: LayeredFolders,
    declared: Arc<Variables>,
    env: Arc<dyn EnvSource>,
}

impl Default for World {
    fn default() -> Self {
        let declared = Arc::new(Variables::default());
        let env = Arc::clone(&declared) as _;
        Self { root: None, folders: LayeredFolders::default(), declared, env }
    }
}

impl World {
    /// Opens what a registry declares; what cannot be opened comes back by entry. Values in memory are
    /// taken over from the world before.
    pub(crate) fn open(
        registry: &Registry,
        app: Option<&Path>,
        own: &Own,
        before: Option<&Self>,
        missing: Missing,
    ) -> (Self, Vec<(EntryId, FsError)>) {
        let (opened, mut failed) = Folders::open_with(registry, app, missing);
        let folders = LayeredFolders { own: own.fs.clone(), declared: opened };
        let is_in_memory = |id: &EntryId| match registry.get(id.as_str()).map(|entry| &entry.kind) {
            Some(Kind::Directory(folder)) => own.binaries.has_folder(&folder.directory),
            _ => false,
        };
        failed.retain(|(id, _)| folders.directory(id).is_err() && !is_in_memory(id));
        let none = Variables::default();
        let before = before.map_or(&none, |before| &before.declared);
        let declared = Arc::new(Variables::after_with(before, registry, app, missing));
        let env: Arc<dyn EnvSource> = match own.env.clone() {
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

    /// Writes a value where the registry declares it.
    pub(crate) fn set(&self, variable: &EntryId, value: Option<&str>) -> Result<(), EnvError> {
        self.declared.set(variable, value)
    }

    /// Whether the app's folder is the one that it was: it may be a link that was set to another.
    pub(crate) fn has_root_of(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(one), Some(two)) => one.is_same(two),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether a folder entry leads to the same folder in both.
    pub(crate) fn has_folder_of(&self, other: &Self, id: &EntryId) -> bool {
        match (self.folders.directory(id), other.folders.directory(id)) {
            (Ok(one), Ok(two)) => one.is_same(&two),
            _ => false,
        }
    }
}

/// A folder entry that cannot be opened.
pub(crate) const BAD_FOLDER: Rule = Rule::new("bad-folder");

/// Reports folder entries that cannot be opened, each once.
pub(crate) fn report(
    failed: &[(EntryId, FsError)],
    registry: &Registry,
    app: Option<&Path>,
    problems: &mut Problems,
) {
    for (id, error) in failed {
        let help = folder_help(registry, app, id);
        let report = Report::error(BAD_FOLDER, chain(error)).help(help);
        problems.at(registry, id, "directory", report);
    }
}

/// What to do about a folder entry that cannot be opened. Sources (`file://`) are relative to their index file, and folders
/// are not.
fn folder_help(registry: &Registry, app: Option<&Path>, id: &EntryId) -> String {
    let Some(Kind::Directory(folder)) = registry.get(id.as_str()).map(|entry| &entry.kind) else {
        return "name another folder".to_owned();
    };
    if !folder.directory.is_inside_app() {
        return "name a folder that is there and can be read".to_owned();
    }
    let place = registry.origin(id).map(|place| place.file).unwrap_or_default();
    let beside =
        Path::new(&place).parent().unwrap_or(Path::new("")).join(folder.directory.as_path());
    let relative = "`directory` is relative to the app's folder";
    match app {
        Some(app) if place.contains('/') && app.join(&beside).is_dir() => {
            format!("{relative}, not to this file: write `./{}`", beside.display())
        }
        _ => format!("{relative}: name a folder in it, or an absolute one"),
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
