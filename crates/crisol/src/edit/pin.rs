//! Pinning: writes the hashes of an app's binaries into its index files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crisol_core::{EntryId, Namespace};
use crisol_engine::Digest;
use crisol_schema::{HashField, HashFields, Problems, Sha256Hash};
use crisol_wasi::{Directory, FsError};

use super::rewrite::{self, RewriteError};
use crate::load::{MAX_CODE_BYTES, loader};

/// An entry and the hash of its binary.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pinned {
    /// The entry.
    pub id: EntryId,
    /// Its index file, relative to the app.
    pub index: PathBuf,
    /// The hash of the file, now also that of the entry.
    pub hash: Sha256Hash,
    /// True if the entry had another hash, or none, before.
    pub changed: bool,
}

/// Outcome of [`pin`].
#[derive(Debug)]
#[non_exhaustive]
pub struct PinReport {
    /// Entries with the right hash, in the order of ids.
    pub pinned: Vec<Pinned>,
    /// Errors of the entries that could not be pinned.
    pub failed: Vec<PinError>,
    /// Errors of the app that keep entries from being pinned.
    pub problems: Problems,
}

/// Error of a hash that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The folder of the app cannot be opened.
    #[error("{0}")]
    App(Problems),
    /// The id belongs to no entry with a hash.
    #[error("`{id}` has no `hash`: pin one of {known}")]
    Unknown {
        /// The requested id.
        id: EntryId,
        /// The entries with a hash, as a list for the message.
        known: String,
    },
    /// The entry's `fs` or `path` cannot be read.
    #[error("`{id}` does not name its binary: correct its `fs` and `path`")]
    Unread {
        /// The entry.
        id: EntryId,
    },
    /// The binary of an entry cannot be read.
    #[error("the binary of `{id}` cannot be read")]
    Binary {
        /// The entry.
        id: EntryId,
        /// Error of the file access.
        source: FsError,
    },
    /// An index file cannot be rewritten.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
}

/// Writes the right `hash` of every entry that has one into the index files below `app`; a non-empty `only` selects
/// entries. Edits in place: comments, layout and order stay. An error of one entry, or elsewhere in the app, does not
/// prevent the others from being pinned.
///
/// # Errors
/// [`PinError::App`] if the folder of the app cannot be opened. Errors of entries are in [`PinReport::failed`].
pub fn pin(
    app: &Path,
    namespace: Option<&Namespace>,
    only: &[EntryId],
) -> Result<PinReport, PinError> {
    let loader = match namespace {
        Some(namespace) => loader().default_namespace(namespace.clone()),
        None => loader(),
    };
    let HashFields { fields, unreadable, problems, .. } =
        loader.hash_fields(app).map_err(PinError::App)?;
    let is_wanted = |id: &EntryId| only.is_empty() || only.contains(id);
    let mut failed: Vec<PinError> = only
        .iter()
        .filter(|id| !unreadable.contains(id) && !fields.iter().any(|field| field.id == **id))
        .map(|id| PinError::Unknown { id: id.clone(), known: names(&fields) })
        .collect();
    let unread = unreadable.into_iter().filter(is_wanted);
    failed.extend(unread.map(|id| PinError::Unread { id }));
    let mut read = HashMap::new();
    let mut found = Vec::new();
    for field in fields.iter().filter(|field| is_wanted(&field.id)) {
        match hash(app, field, &mut read) {
            Ok(pinned) => found.push(pinned),
            Err(error) => failed.push(error),
        }
    }
    let pinned = write(app, namespace, found, &mut failed);
    Ok(PinReport { pinned, failed, problems })
}

fn names(fields: &[HashField]) -> String {
    let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.id)).collect();
    names.join(", ")
}

/// Computes the hash of an entry's binary. Reads a binary once, even if several entries name it.
fn hash(
    app: &Path,
    field: &HashField,
    read: &mut HashMap<PathBuf, Sha256Hash>,
) -> Result<Pinned, PinError> {
    let wasm = field.wasm(app);
    let hash = match read.get(&wasm) {
        Some(&hash) => hash,
        None => {
            let bytes = Directory::open(&app.join(&field.directory), false, None)
                .and_then(|folder| folder.read(field.path.as_path(), MAX_CODE_BYTES))
                .map_err(|source| PinError::Binary { id: field.id.clone(), source })?;
            *read.entry(wasm).or_insert(Sha256Hash::from(*Digest::of(&bytes).as_bytes()))
        }
    };
    let changed = field.hash != Some(hash);
    Ok(Pinned { id: field.id.clone(), index: field.index.clone(), hash, changed })
}

/// Writes the hashes that changed. Returns the entries that have the right one.
fn write(
    app: &Path,
    namespace: Option<&Namespace>,
    found: Vec<Pinned>,
    failed: &mut Vec<PinError>,
) -> Vec<Pinned> {
    let changed = found.iter().filter(|one| one.changed);
    let changed = changed.map(|one| (one.index.clone(), one.id.clone(), one.hash));
    let (written, errors) = rewrite::rewrite(app, namespace, changed, crisol_schema::write_hashes);
    failed.extend(errors.into_iter().map(PinError::from));
    found.into_iter().filter(|one| !one.changed || written.contains(&one.id)).collect()
}
