//! What was found while the texts of an app are still being gathered.

use std::sync::Arc;

use crisol_core::EntryId;

use super::kept::Kept;
use super::list::Problems;
use super::report::{Finding, Report, Severity};
use crate::field::FieldName;
use crate::source::{Sources, Span};

/// What was found while the texts of an app are still being gathered.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    kept: Kept<Finding>,
    /// Fields of entries that were most likely meant by names that are none.
    misspelt: Vec<(EntryId, FieldName)>,
    /// What is found now is about an entry whose id another has.
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

    /// Whether further problems are only counted: then there is no use in looking for help.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.kept.errors() > 0
    }

    /// Notes that a field of an entry stands there under another name.
    pub(crate) fn misspelt(&mut self, entry: &EntryId, field: &str) {
        if !self.is_full() && !self.in_second {
            self.misspelt.push((entry.clone(), FieldName::of(field)));
        }
    }

    /// Tells whether what is found from now on is about an entry whose id another has.
    pub(crate) fn turn_to_second(&mut self, is_second: bool) {
        self.in_second = is_second;
    }

    /// Whether what is found now is about such an entry.
    pub(crate) fn is_in_second(&self) -> bool {
        self.in_second
    }

    /// The fields that do not say what they should of the entries that ids stand for, each by the field of the
    /// entry that it is in.
    pub(crate) fn fields_with_errors(&self) -> Vec<(EntryId, FieldName)> {
        let is_error = |one: &&Finding| one.report.severity == Severity::Error && !one.of_second;
        let errors = self.kept.as_slice().iter().filter(is_error);
        let field =
            |one: &Finding| Some((one.entry.clone()?, FieldName::of(one.field.as_deref()?)));
        errors.filter_map(field).chain(self.misspelt.iter().cloned()).collect()
    }

    /// A problem that is in no entry.
    pub(crate) fn file(&mut self, span: Span, report: Report) {
        self.push(Some(span), None, None, report);
    }

    /// Ties what was found to the texts that it points into, in the order of their places.
    pub(crate) fn into_problems(self, sources: &Arc<Sources>) -> Problems {
        Problems::bind(self.kept, sources)
    }
}
