//! Errors in fields of entries, before they join the problems of an app.

use crisol_core::EntryId;
use crisol_pool::SizeBelowWorkers;
use crisol_schema::{EntryField, Problems, Registry, Report, Rule};

/// A folder entry that cannot be opened.
pub(crate) const BAD_FOLDER: Rule = Rule::new("bad-folder");

/// An error in a field of an entry.
#[derive(Clone)]
pub(crate) struct FieldError {
    pub(crate) field: EntryField,
    /// Boxed, since reports are large and errors are rare.
    pub(crate) report: Box<Report>,
    /// Byte offset in the text that the field holds or names.
    pub(crate) offset: Option<usize>,
    /// The folder entry that caused the error.
    pub(crate) folder: Option<EntryId>,
}

impl From<SizeBelowWorkers> for FieldError {
    fn from(error: SizeBelowWorkers) -> Self {
        Self::at(EntryField::Pool, Report::error(Rule::BAD_RANGE, error.to_string()))
    }
}

impl FieldError {
    pub(crate) fn at(field: EntryField, report: Report) -> Self {
        Self { field, report: Box::new(report), offset: None, folder: None }
    }

    /// Places it at a byte offset in the text of the field.
    #[cfg(feature = "lua")]
    pub(crate) fn inside(self, offset: Option<usize>) -> Self {
        Self { offset, ..self }
    }

    /// Adds it to the problems of an entry.
    pub(crate) fn tell(self, registry: &Registry, id: &EntryId, problems: &mut Problems) {
        match self.offset {
            Some(offset) => problems.inside(registry, id, &self.field, offset, *self.report),
            None => problems.at(registry, id, &self.field, *self.report),
        }
    }

    pub(crate) fn in_folder(self, id: &EntryId) -> Self {
        Self { folder: Some(id.clone()), ..self }
    }
}
