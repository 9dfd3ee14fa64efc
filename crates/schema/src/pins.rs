//! Entries of an app whose `hash` can be written, found in an app that may have errors elsewhere.

use std::path::{Path, PathBuf};

use crisol_core::EntryId;

use crate::entry::Draft;
use crate::files::Files;
use crate::kinds::Kind;
use crate::load::{Loader, not_opened};
use crate::parts::Code;
use crate::problems::{Problem, Problems, Severity};
use crate::registry::{Entry, Registry};
use crate::values::{FsPath, Sha256Hash};

/// Entries with a `hash`: what [`Loader::pins`] finds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pins {
    /// Entries whose binary is known, in the order of ids.
    pub pins: Vec<Pin>,
    /// Entries whose folder or path cannot be read, in the order of the files.
    pub unread: Vec<EntryId>,
    /// Errors of `unread` and their folders, and of index files that cannot be read.
    pub problems: Problems,
}

/// An entry whose `hash` can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// The entry.
    pub id: EntryId,
    /// Its index file, relative to the app.
    pub index: PathBuf,
    /// The folder with the wasm file, relative to the app, or absolute.
    pub directory: PathBuf,
    /// The wasm file in the folder.
    pub path: FsPath,
    /// The hash that is written now; none when it is missing or malformed.
    pub hash: Option<Sha256Hash>,
}

impl Pin {
    /// The wasm file on the host, given the app's folder.
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
    /// Finds every entry of an app that has a `hash`, whether it is right, wrong or missing, and whatever else is
    /// wrong with the app. Reads no wasm file.
    ///
    /// # Errors
    /// When the folder of the app cannot be opened.
    pub fn pins(&self, dir: impl AsRef<Path>) -> Result<Pins, Problems> {
        let dir = dir.as_ref();
        let files = Files::open(dir).map_err(|error| not_opened(dir, &error))?;
        let mut blank = self.clone();
        blank.pinning = true;
        let (checked, drafts) = blank.look_with_drafts(&files);
        let registry = &checked.registry;
        let is_named = |entry: &&Entry| registry.written(&entry.id).as_ref() == Some(&entry.id);
        let pins: Vec<Pin> =
            registry.iter().filter(is_named).filter_map(|entry| Pin::of(entry, registry)).collect();
        let is_pin = |id: &EntryId| pins.binary_search_by(|pin| pin.id.cmp(id)).is_ok();
        let ids = |is_wanted: fn(&Draft) -> bool| {
            let wanted = drafts.iter().filter(move |draft| !draft.is_second && is_wanted(draft));
            wanted.filter_map(|draft| draft.id.clone())
        };
        let unread: Vec<EntryId> = ids(Draft::has_hash).filter(|id| !is_pin(id)).collect();
        let mut causes = unread.clone();
        let is_read = |id: &EntryId| registry.get(id.as_str()).is_some();
        causes.extend(ids(Draft::is_folder).filter(|id| !is_read(id)));
        let mut problems = checked.problems;
        problems.retain(|problem| is_obstacle(problem, &causes));
        Ok(Pins { pins, unread, problems })
    }
}

/// Whether a problem keeps hashes from being written: one of the entries `causes`, or of a whole file.
fn is_obstacle(problem: &Problem, causes: &[EntryId]) -> bool {
    let of_file = || !problem.field().is_some_and(|field| field.contains('['));
    problem.severity() == Severity::Error
        && problem.entry().map_or_else(of_file, |id| causes.contains(id))
}
