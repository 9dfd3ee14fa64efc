//! The smallest `imports` of an app's entries, written into its index files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crisol_core::{EntryId, Namespace};
use crisol_schema::ImportsEdit;

use crate::rewrite::{self, RewriteError};

/// A change after which an entry declares what its method may call, and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportsFix {
    /// The entry.
    pub id: EntryId,
    /// Its index file, relative to the app.
    pub index: PathBuf,
    /// Tokens that its method may call for and that it does not declare.
    pub added: BTreeSet<String>,
    /// Tokens that grant nothing which its method may call, or nothing that others do not grant.
    pub removed: BTreeSet<String>,
    /// Tokens that stay once where they are more than once.
    pub repeated: BTreeSet<String>,
}

/// Outcome of [`fix`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FixReport {
    /// The changes that were made.
    pub fixed: Vec<ImportsFix>,
    /// Reasons why others were not.
    pub failed: Vec<RewriteError>,
}

/// Makes the changes that [`Builder::check`](crate::Builder::check) found in the index files below `app`, in place:
/// comments, layout and order stay.
#[must_use]
pub fn fix(app: &Path, namespace: Option<&Namespace>, fixes: Vec<ImportsFix>) -> FixReport {
    let changes = fixes.iter().map(|fix| {
        let ImportsFix { id, index, added, removed, .. } = fix.clone();
        (index, id, ImportsEdit { add: added, remove: removed })
    });
    let (written, failed) = rewrite::rewrite(app, namespace, changes, crisol_schema::declare);
    let fixed = fixes.into_iter().filter(|fix| written.contains(&fix.id)).collect();
    FixReport { fixed, failed }
}
