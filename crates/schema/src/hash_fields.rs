//! Finds entries whose `hash` can be written, even in an app with errors elsewhere.

use std::path::{Path, PathBuf};

use crisol_core::EntryId;

use crate::entry::EntryDraft;
use crate::files::AppFiles;
use crate::kinds::Kind;
use crate::load::{Loader, unopenable_app};
use crate::parts::Code;
use crate::problems::{Problem, Problems, Severity};
use crate::registry::{Entry, Registry};
use crate::values::{FsPath, Sha256Hash};

/// Entries with a `hash`, as [`Loader::hash_fields`] finds them.
#[derive(Debug)]
#[non_exhaustive]
pub struct HashFields {
    /// Entries with a known binary, sorted by id.
    pub fields: Vec<HashField>,
    /// Entries with an unreadable folder or path, in file order.
    pub unreadable: Vec<EntryId>,
    /// Errors of `unreadable` entries and their folders, and of unreadable index files.
    pub problems: Problems,
}

/// An entry whose `hash` can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashField {
    /// Id of the entry.
    pub id: EntryId,
    /// Index file of the entry, relative to the app.
    pub index: PathBuf,
    /// Folder with the wasm file: relative to the app, or absolute.
    pub directory: PathBuf,
    /// Path of the wasm file inside the folder.
    pub path: FsPath,
    /// Hash in the index file; `None` if it is missing or malformed.
    pub hash: Option<Sha256Hash>,
}

impl HashField {
    /// Returns the path of the wasm file on the host. `app` is the app's folder.
    #[must_use]
    pub fn wasm(&self, app: &Path) -> PathBuf {
        app.join(&self.directory).join(self.path.as_path())
    }

    fn of(entry: &Entry, registry: &Registry) -> Option<Self> {
        let Code::Wasm { fs, path, hash } = entry.kind.content().code()? else { return None };
        let Kind::Directory(folder) = &registry.get(fs.as_str())?.kind else { return None };
        Some(Self {
            id: entry.id.clone(),
            index: registry.origin(&entry.id)?.file.into(),
            directory: folder.directory.as_path().to_owned(),
            path: path.clone(),
            hash: (*hash != Sha256Hash::NONE).then_some(*hash),
        })
    }
}

impl Loader {
    /// Finds every entry of an app that has a `hash`, whether the hash is right, wrong or missing. Errors
    /// elsewhere in the app do not matter. Reads no wasm file.
    ///
    /// # Errors
    /// Fails if the app's folder cannot be opened.
    pub fn hash_fields(&self, dir: impl AsRef<Path>) -> Result<HashFields, Problems> {
        let dir = dir.as_ref();
        let files = AppFiles::open(dir).map_err(|error| unopenable_app(dir, &error))?;
        let mut blank = self.clone();
        blank.pinning = true;
        let (checked, drafts) = blank.check_with_drafts(&files);
        let registry = &checked.registry;
        let is_named = |entry: &&Entry| registry.written(&entry.id).as_ref() == Some(&entry.id);
        let fields: Vec<HashField> = registry
            .iter()
            .filter(is_named)
            .filter_map(|entry| HashField::of(entry, registry))
            .collect();
        let is_writable = |id: &EntryId| fields.binary_search_by(|field| field.id.cmp(id)).is_ok();
        let ids = |is_wanted: fn(&EntryDraft) -> bool| {
            let wanted = drafts.iter().filter(move |draft| !draft.is_duplicate && is_wanted(draft));
            wanted.filter_map(|draft| draft.id.clone())
        };
        let unreadable: Vec<EntryId> =
            ids(EntryDraft::has_hash).filter(|id| !is_writable(id)).collect();
        let mut causes = unreadable.clone();
        let is_read = |id: &EntryId| registry.get(id.as_str()).is_some();
        causes.extend(ids(EntryDraft::is_folder).filter(|id| !is_read(id)));
        let mut problems = checked.problems;
        problems.retain(|problem| prevents_writing(problem, &causes));
        Ok(HashFields { fields, unreadable, problems })
    }
}

/// Returns true for an error that prevents writing hashes: an error of a whole file or of an entry in
/// `causes`.
fn prevents_writing(problem: &Problem, causes: &[EntryId]) -> bool {
    let of_file = || !problem.field().is_some_and(|field| field.contains('['));
    problem.severity() == Severity::Error
        && problem.entry().map_or_else(of_file, |id| causes.contains(id))
}
