//! Edits of entries in an app's index files: each file is replaced once, atomically.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crisol_core::{EntryId, Namespace};
use crisol_schema::EditError;

/// Error of an index file that was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The file has no place for the change.
    #[error("`{}` cannot be edited", index.display())]
    Edit {
        /// The index file, relative to the app.
        index: PathBuf,
        /// Error of the edit.
        source: Box<EditError>,
    },
    /// The file cannot be read or written.
    #[error("`{}` cannot be rewritten", index.display())]
    Io {
        /// The index file, relative to the app.
        index: PathBuf,
        /// Error of the file access.
        source: std::io::Error,
    },
}

/// Applies changes to the text of an index file; the third argument is the default namespace.
type Edit<C> = fn(&str, &BTreeMap<EntryId, C>, Option<&Namespace>) -> Result<String, EditError>;

/// Changes entries, each in its index file below `app`. Returns the entries that now have their change, and the
/// errors.
pub(crate) fn rewrite<C>(
    app: &Path,
    namespace: Option<&Namespace>,
    changes: impl Iterator<Item = (PathBuf, EntryId, C)>,
    edit: Edit<C>,
) -> (BTreeSet<EntryId>, Vec<RewriteError>) {
    let mut indexes: BTreeMap<PathBuf, BTreeMap<EntryId, C>> = BTreeMap::new();
    for (index, id, change) in changes {
        indexes.entry(index).or_default().insert(id, change);
    }
    let (mut written, mut failed) = (BTreeSet::new(), Vec::new());
    for (index, mut changes) in indexes {
        match one(app, &index, namespace, &mut changes, (edit, &mut failed)) {
            Ok(()) => written.extend(changes.into_keys()),
            Err(error) => failed.push(error),
        }
    }
    (written, failed)
}

/// Changes one index file. Removes changes that have no place in it from `changes` and reports them.
fn one<C>(
    app: &Path,
    index: &Path,
    namespace: Option<&Namespace>,
    changes: &mut BTreeMap<EntryId, C>,
    (edit, failed): (Edit<C>, &mut Vec<RewriteError>),
) -> Result<(), RewriteError> {
    let io = |source| RewriteError::Io { index: index.to_owned(), source };
    let refused = |source| RewriteError::Edit { index: index.to_owned(), source: Box::new(source) };
    let path = app.join(index);
    let text = fs::read_to_string(&path).map_err(io)?;
    loop {
        let source = match edit(&text, changes, namespace) {
            Ok(new) if new == text => return Ok(()),
            Ok(new) => return replace(&path, &new).map_err(io),
            Err(source) => source,
        };
        match &source {
            EditError::NoEntry { id } | EditError::NotEditable { id, .. }
                if changes.remove(id).is_some() =>
            {
                failed.push(refused(source));
            }
            _ => return Err(refused(source)),
        }
    }
}

/// Replaces a file atomically, so that no reader sees half of it, and keeps its permissions. Of a symbolic link,
/// replaces the target.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    new.persist(path)?;
    Ok(())
}
