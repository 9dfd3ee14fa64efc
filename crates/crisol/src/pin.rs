//! Writes the hashes of an app's binaries into its index files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crisol_core::{EntryId, Namespace};
use crisol_engine::Digest;
use crisol_schema::{Loader, Pin, Problems, Sha256Hash};
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

/// Why hashes could not be written. Index files written before it stay as they are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Something else than hashes is wrong with the app.
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
/// files below `app`, in place: comments, layout and order stay.
///
/// # Errors
/// When the app has other problems than its hashes, a binary cannot be read, or an index file cannot be
/// written.
pub fn pin(
    app: &Path,
    namespace: Option<&Namespace>,
    only: &[EntryId],
) -> Result<Vec<Pinned>, PinError> {
    let loader = match namespace {
        Some(namespace) => Loader::new().default_namespace(namespace.clone()),
        None => Loader::new(),
    };
    let pins = loader.pins(app).map_err(PinError::App)?;
    if let Some(id) = only.iter().find(|id| !pins.iter().any(|pin| pin.id == **id)) {
        let known: Vec<_> = pins.iter().map(|pin| format!("`{}`", pin.id)).collect();
        return Err(PinError::Unknown { id: id.clone(), known: known.join(", ") });
    }
    let wanted = pins.iter().filter(|pin| only.is_empty() || only.contains(&pin.id));
    wanted.map(|pin| pin_one(app, namespace, pin)).collect()
}

fn pin_one(app: &Path, namespace: Option<&Namespace>, pin: &Pin) -> Result<Pinned, PinError> {
    let read = || {
        Directory::open(&app.join(&pin.directory), false, None)?
            .read(pin.path.as_path(), MAX_CODE_BYTES)
    };
    let bytes = read().map_err(|source| PinError::Binary { id: pin.id.clone(), source })?;
    let hash = Sha256Hash::from(*Digest::of(&bytes).as_bytes());
    let changed = pin.hash != Some(hash);
    if changed {
        let io = |source| PinError::Io { index: pin.index.clone(), source };
        let path = app.join(&pin.index);
        let text = fs::read_to_string(&path).map_err(io)?;
        let text = crisol_schema::pin(&text, &pin.id, namespace, hash)
            .map_err(|source| PinError::Edit { index: pin.index.clone(), source })?;
        replace(&path, &text).map_err(io)?;
    }
    Ok(Pinned { id: pin.id.clone(), index: pin.index.clone(), hash, changed })
}

/// Replaces a file at once, so that nobody reads half of it, and keeps its permissions.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(path)?.permissions())?;
    new.persist(path)?;
    Ok(())
}
