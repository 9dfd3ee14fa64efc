//! Collects findings while the texts of an app are still being read.

use std::sync::Arc;

use crisol_core::EntryId;

use super::kept::Kept;
use super::list::Problems;
use super::report::{Finding, Report, Severity};
use crate::field::FieldName;
use crate::source::{Sources, Span};

/// Findings so far, for an app whose texts are still being read.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    kept: Kept<Finding>,
    /// Fields present under a misspelt name.
    misspelt: Vec<(EntryId, FieldName)>,
    /// True while findings are about an entry with a duplicate id.
    in_second: bool,
}

impl Sink {
    pub(crate) fn push(
        &mut self,
        span: Option<Span>,
        entry: Option<EntryId>,
        field: Option<String>,
        report: Report,
    ) {
        let of_second = self.in_second;
        self.kept.push(Finding { report, span, entry, field, of_second });
    }

    /// Returns true if further problems are only counted, so that help for them is not needed.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.kept.errors() > 0
    }

    /// Records that a field of an entry is present under a misspelt name.
    pub(crate) fn misspelt(&mut self, entry: &EntryId, field: &str) {
        if !self.is_full() && !self.in_second {
            self.misspelt.push((entry.clone(), FieldName::of(field)));
        }
    }

    /// Sets the flag: findings from now on are about an entry with a duplicate id.
    pub(crate) fn turn_to_second(&mut self, is_second: bool) {
        self.in_second = is_second;
    }

    /// Returns true while findings are about an entry with a duplicate id.
    pub(crate) fn is_in_second(&self) -> bool {
        self.in_second
    }

    /// Returns the top-level fields with errors, with their entries. Entries with a duplicate id are left
    /// out.
    pub(crate) fn fields_with_errors(&self) -> Vec<(EntryId, FieldName)> {
        let is_error = |one: &&Finding| one.report.severity == Severity::Error && !one.of_second;
        let errors = self.kept.as_slice().iter().filter(is_error);
        let field =
            |one: &Finding| Some((one.entry.clone()?, FieldName::of(one.field.as_deref()?)));
        errors.filter_map(field).chain(self.misspelt.iter().cloned()).collect()
    }

    /// Adds a problem outside of any entry.
    pub(crate) fn file(&mut self, span: Span, report: Report) {
        self.push(Some(span), None, None, report);
    }

    /// Binds the findings to the texts that they point into, and sorts them by location.
    pub(crate) fn into_problems(self, sources: &Arc<Sources>) -> Problems {
        Problems::bind(self.kept, sources)
    }
}
