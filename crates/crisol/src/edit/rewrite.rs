//! Changes of entries in the index files of an app: each file is written once, and all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crisol_core::{EntryId, Namespace};
use crisol_schema::EditError;

/// Why an index file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// It has no place for the change.
    #[error("`{}` cannot be edited", index.display())]
    Edit {
        /// The index file, relative to the app.
        index: PathBuf,
        /// Why.
        source: EditError,
    },
    /// It cannot be read or written.
    #[error("`{}` cannot be rewritten", index.display())]
    Io {
        /// The index file, relative to the app.
        index: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes changes in the text of an index file whose default namespace is the third.
type Edit<C> = fn(&str, &BTreeMap<EntryId, C>, Option<&Namespace>) -> Result<String, EditError>;

/// Makes changes of entries, each in its index file below `app`. Returns the entries that are as wanted.
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

/// Changes one index file; what has no place in it is taken out of `changes`.
fn one<C>(
    app: &Path,
    index: &Path,
    namespace: Option<&Namespace>,
    changes: &mut BTreeMap<EntryId, C>,
    (edit, failed): (Edit<C>, &mut Vec<RewriteError>),
) -> Result<(), RewriteError> {
    let io = |source| RewriteError::Io { index: index.to_owned(), source };
    let refused = |source| RewriteError::Edit { index: index.to_owned(), source };
    let path = app.join(index);
    let text = fs::read_to_string(&path).map_err(io)?;
    loop {
        let source = match edit(&text, changes, namespace) {
            Ok(new) if new == text => return Ok(()),
            Ok(new) => return replace(&path, &new).map_err(io),
            Err(source) => source,
        };
        match &source {
            EditError::NoEntry { id } | EditError::NoPlace { id, .. }
                if changes.remove(id).is_some() =>
            {
                failed.push(refused(source));
            }
            _ => return Err(refused(source)),
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
