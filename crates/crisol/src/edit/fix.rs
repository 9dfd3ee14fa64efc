//! Fixes of `imports`, written into an app's index files.

use std::path::Path;

use crisol_core::Namespace;
use crisol_schema::ImportsEdit;

use super::rewrite::{self, RewriteError};
use crate::load::ImportsFix;

/// Outcome of [`fix`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FixReport {
    /// The changes that were made.
    pub fixed: Vec<ImportsFix>,
    /// Errors of the changes that were not made.
    pub failed: Vec<RewriteError>,
}

/// Applies the fixes that [`Builder::check`](crate::Builder::check) found to the index files below `app`. Edits in
/// place: comments, layout and order stay.
#[must_use]
pub fn fix(app: &Path, namespace: Option<&Namespace>, fixes: Vec<ImportsFix>) -> FixReport {
    let changes = fixes.iter().map(|fix| {
        let ImportsFix { id, index, added, removed, .. } = fix.clone();
        (index, id, ImportsEdit { add: added, remove: removed })
    });
    let (written, failed) = rewrite::rewrite(app, namespace, changes, crisol_schema::write_imports);
    let fixed = fixes.into_iter().filter(|fix| written.contains(&fix.id)).collect();
    FixReport { fixed, failed }
}
