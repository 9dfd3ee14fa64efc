//! Writes the hashes of an app's binaries into its index files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crisol_core::{EntryId, Namespace};
use crisol_engine::Digest;
use crisol_schema::{Loader, Pin, PinError as NotPinned, Pins, Problems, Sha256Hash};
use crisol_wasi::{Directory, FsError};

use crate::code::MAX_CODE_BYTES;

/// An entry and the hash that its binary has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pinned {
    /// The entry.
    pub id: EntryId,
    /// Its index file, relative to the app.
    pub index: PathBuf,
    /// The hash of the file, which the entry now has.
    pub hash: Sha256Hash,
    /// Whether it had another one, or none, before.
    pub changed: bool,
}

/// Outcome of [`pin`].
#[derive(Debug)]
#[non_exhaustive]
pub struct PinReport {
    /// The entries that have their hash, in the order of ids.
    pub pinned: Vec<Pinned>,
    /// The entries that do not, each with the reason.
    pub failed: Vec<PinError>,
    /// Errors of the app that keep entries from being pinned.
    pub problems: Problems,
}

/// Why a hash could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The folder of the app cannot be opened.
    #[error("{0}")]
    App(Problems),
    /// There is no such entry, or it has no hash.
    #[error("`{id}` is no entry with a `hash`: those are {known}")]
    Unknown {
        /// What was asked for.
        id: EntryId,
        /// The entries that have one.
        known: String,
    },
    /// The entry does not tell where its binary is.
    #[error("`{id}` does not tell where its binary is: correct its `fs` and `path`")]
    Unread {
        /// The entry.
        id: EntryId,
    },
    /// The binary of an entry cannot be read.
    #[error("the binary of `{id}` cannot be read")]
    Binary {
        /// The entry.
        id: EntryId,
        /// Why.
        source: FsError,
    },
    /// An index file has no place for the hash.
    #[error("`{}` cannot be edited", index.display())]
    Edit {
        /// The index file, relative to the app.
        index: PathBuf,
        /// Why.
        source: crisol_schema::PinError,
    },
    /// An index file cannot be read or written.
    #[error("`{}` cannot be rewritten", index.display())]
    Io {
        /// The index file, relative to the app.
        index: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes the right `hash` of every entry that has one, or of those named in `only`, into the index
/// files below `app`, in place: comments, layout and order stay. An entry that cannot be pinned, and anything else
/// that is wrong with the app, does not keep others from it.
///
/// # Errors
/// When the folder of the app cannot be opened.
pub fn pin(
    app: &Path,
    namespace: Option<&Namespace>,
    only: &[EntryId],
) -> Result<PinReport, PinError> {
    let loader = match namespace {
        Some(namespace) => Loader::new().default_namespace(namespace.clone()),
        None => Loader::new(),
    };
    let Pins { pins, unread, problems, .. } = loader.pins(app).map_err(PinError::App)?;
    let is_wanted = |id: &EntryId| only.is_empty() || only.contains(id);
    let mut failed: Vec<PinError> = only
        .iter()
        .filter(|id| !unread.contains(id) && !pins.iter().any(|pin| pin.id == **id))
        .map(|id| PinError::Unknown { id: id.clone(), known: names(&pins) })
        .collect();
    let unread = unread.into_iter().filter(is_wanted);
    failed.extend(unread.map(|id| PinError::Unread { id }));
    let mut read = HashMap::new();
    let mut found = Vec::new();
    for pin in pins.iter().filter(|pin| is_wanted(&pin.id)) {
        match hash(app, pin, &mut read) {
            Ok(pinned) => found.push(pinned),
            Err(error) => failed.push(error),
        }
    }
    let pinned = write(app, namespace, found, &mut failed);
    Ok(PinReport { pinned, failed, problems })
}

fn names(pins: &[Pin]) -> String {
    let names: Vec<_> = pins.iter().map(|pin| format!("`{}`", pin.id)).collect();
    names.join(", ")
}

/// What an entry is to have. Each binary is read once, whatever number of entries is made from it.
fn hash(
    app: &Path,
    pin: &Pin,
    read: &mut HashMap<PathBuf, Sha256Hash>,
) -> Result<Pinned, PinError> {
    let wasm = pin.wasm(app);
    let hash = match read.get(&wasm) {
        Some(&hash) => hash,
        None => {
            let bytes = Directory::open(&app.join(&pin.directory), false, None)
                .and_then(|folder| folder.read(pin.path.as_path(), MAX_CODE_BYTES))
                .map_err(|source| PinError::Binary { id: pin.id.clone(), source })?;
            *read.entry(wasm).or_insert(Sha256Hash::from(*Digest::of(&bytes).as_bytes()))
        }
    };
    let changed = pin.hash != Some(hash);
    Ok(Pinned { id: pin.id.clone(), index: pin.index.clone(), hash, changed })
}

/// Writes the hashes that changed, each index file once, and tells which entries have theirs.
fn write(
    app: &Path,
    namespace: Option<&Namespace>,
    found: Vec<Pinned>,
    failed: &mut Vec<PinError>,
) -> Vec<Pinned> {
    let mut indexes: BTreeMap<PathBuf, BTreeMap<EntryId, Sha256Hash>> = BTreeMap::new();
    for one in found.iter().filter(|one| one.changed) {
        indexes.entry(one.index.clone()).or_default().insert(one.id.clone(), one.hash);
    }
    for (index, hashes) in &mut indexes {
        if let Err(error) = rewrite(app, index, namespace, hashes, failed) {
            hashes.clear();
            failed.push(error);
        }
    }
    let is_written =
        |one: &Pinned| indexes.get(&one.index).is_some_and(|all| all.contains_key(&one.id));
    found.into_iter().filter(|one| !one.changed || is_written(one)).collect()
}

/// Writes hashes into an index file; those that have no place in it are taken out of `hashes`.
fn rewrite(
    app: &Path,
    index: &Path,
    namespace: Option<&Namespace>,
    hashes: &mut BTreeMap<EntryId, Sha256Hash>,
    failed: &mut Vec<PinError>,
) -> Result<(), PinError> {
    let io = |source| PinError::Io { index: index.to_owned(), source };
    let edit = |source| PinError::Edit { index: index.to_owned(), source };
    let path = app.join(index);
    let text = fs::read_to_string(&path).map_err(io)?;
    loop {
        let source = match crisol_schema::pin(&text, hashes, namespace) {
            Ok(new) if new == text => return Ok(()),
            Ok(new) => return replace(&path, &new).map_err(io),
            Err(source) => source,
        };
        match &source {
            NotPinned::NoEntry { id } | NotPinned::NoPlace { id }
                if hashes.remove(id).is_some() =>
            {
                failed.push(edit(source));
            }
            _ => return Err(edit(source)),
        }
    }
}

/// Replaces a file at once, so that nobody reads half of it, and keeps its permissions. A symbolic link
/// stays one: what it leads to is replaced.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    new.persist(path)?;
    Ok(())
}
