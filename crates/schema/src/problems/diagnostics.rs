//! Collects diagnostics while the texts of an app are still being read.

use std::sync::Arc;

use crisol_core::EntryId;

use super::bounded_list::BoundedList;
use super::list::Problems;
use super::report::{Diagnostic, LocatedReport, Report, Severity};
use crate::field::FieldName;
use crate::source::{SourceMap, Span};

/// Diagnostics so far, for an app whose texts are still being read. Every stage reports here.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    kept: BoundedList<Diagnostic>,
    /// Fields present under a misspelt name.
    misspelt: Vec<(EntryId, FieldName)>,
    /// True while diagnostics are about an entry with a duplicate id.
    in_duplicate: bool,
}

impl Diagnostics {
    pub(crate) fn push(
        &mut self,
        span: Option<Span>,
        entry: Option<EntryId>,
        field: Option<String>,
        report: Report,
    ) {
        let of_duplicate = self.in_duplicate;
        self.kept.push(Diagnostic { report, span, entry, field, of_duplicate });
    }

    /// Returns true if further problems are only counted, so that help for them is not needed.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// Records that a field of an entry is present under a misspelt name.
    pub(crate) fn misspelt(&mut self, entry: &EntryId, field: &str) {
        if !self.is_full() && !self.in_duplicate {
            self.misspelt.push((entry.clone(), FieldName::of(field)));
        }
    }

    /// Sets the flag: diagnostics from now on are about an entry with a duplicate id.
    pub(crate) fn set_in_duplicate(&mut self, is_duplicate: bool) {
        self.in_duplicate = is_duplicate;
    }

    /// Returns true while diagnostics are about an entry with a duplicate id.
    pub(crate) fn is_in_duplicate(&self) -> bool {
        self.in_duplicate
    }

    /// Returns the top-level fields with errors, with their entries. Entries with a duplicate id are left
    /// out.
    pub(crate) fn fields_with_errors(&self) -> Vec<(EntryId, FieldName)> {
        let is_error =
            |one: &&Diagnostic| one.report.severity == Severity::Error && !one.of_duplicate;
        let errors = self.kept.as_slice().iter().filter(is_error);
        let field =
            |one: &Diagnostic| Some((one.entry.clone()?, FieldName::of(one.field.as_deref()?)));
        errors.filter_map(field).chain(self.misspelt.iter().cloned()).collect()
    }

    /// Adds a problem outside of any entry, with its location.
    pub(crate) fn at(&mut self, span: Span, report: Report) {
        self.push(Some(span), None, None, report);
    }

    /// Adds a problem of the app as a whole.
    pub(crate) fn of_app(&mut self, report: Report) {
        self.push(None, None, None, report);
    }

    /// Adds the problem of a function that failed.
    pub(crate) fn add(&mut self, located: LocatedReport) {
        let (span, report) = *located.0;
        self.at(span, report);
    }

    /// Returns the problem that was reported first.
    pub(crate) fn first(&self) -> Option<&Report> {
        self.kept.as_slice().first().map(|one| &one.report)
    }

    /// Returns the number of errors so far.
    pub(crate) fn errors(&self) -> usize {
        self.kept.errors()
    }

    /// Binds the diagnostics to the texts that they point into, and sorts them by location.
    pub(crate) fn into_problems(self, sources: &Arc<SourceMap>) -> Problems {
        Problems::bind(self.kept, sources)
    }
}
