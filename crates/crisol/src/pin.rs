//! Writes the hashes of an app's binaries into its index files.

use std::collections::{BTreeMap, HashMap};
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

/// Why hashes could not be written. No index file was changed, but for [`PinError::Io`]: those before the
/// one that it names were.
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
    let mut read = HashMap::new();
    let pinned = wanted.map(|pin| hash(app, pin, &mut read)).collect::<Result<Vec<_>, _>>()?;
    write(app, namespace, &pinned)?;
    Ok(pinned)
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

/// Writes the hashes that changed, each index file once, after all of them have been found to have a
/// place.
fn write(app: &Path, namespace: Option<&Namespace>, pinned: &[Pinned]) -> Result<(), PinError> {
    let mut indexes: BTreeMap<&Path, BTreeMap<EntryId, Sha256Hash>> = BTreeMap::new();
    for one in pinned.iter().filter(|one| one.changed) {
        indexes.entry(&one.index).or_default().insert(one.id.clone(), one.hash);
    }
    let io = |index: &Path, source| PinError::Io { index: index.to_owned(), source };
    let mut texts = Vec::with_capacity(indexes.len());
    for (index, hashes) in indexes {
        let text = fs::read_to_string(app.join(index)).map_err(|error| io(index, error))?;
        let text = crisol_schema::pin(&text, &hashes, namespace)
            .map_err(|source| PinError::Edit { index: index.to_owned(), source })?;
        texts.push((index, text));
    }
    texts.iter().try_for_each(|(index, text)| {
        replace(&app.join(index), text).map_err(|error| io(index, error))
    })
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
