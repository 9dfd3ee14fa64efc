//! Problems with their locations.

use std::sync::Arc;

use crisol_core::EntryId;

use super::bounded_list::{BoundedList, HasSeverity};
use super::report::{Diagnostic, Severity};
use crate::rule::Rule;
use crate::source::{Location, SourceMap};

/// A problem with its location.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(super) diagnostic: Diagnostic,
    pub(super) sources: Arc<SourceMap>,
}

impl Problem {
    /// Returns the severity: errors prevent loading, warnings do not.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.diagnostic.report.severity
    }

    /// Returns the broken rule.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.diagnostic.report.rule
    }

    /// Returns the message: the entry and the error.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.diagnostic.report.message
    }

    /// Returns the fix, if there is one.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.diagnostic.report.help.as_deref()
    }

    /// Returns the location; `None` for a problem of the app as a whole.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        self.sources.location(self.diagnostic.span?)
    }

    /// Returns the entry with the problem.
    #[must_use]
    pub fn entry(&self) -> Option<&EntryId> {
        self.diagnostic.entry.as_ref()
    }

    /// Returns the field with the problem, such as `wasi.mounts[0].guest`.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.diagnostic.field.as_deref()
    }
}

impl HasSeverity for Problem {
    fn is_error(&self) -> bool {
        self.diagnostic.is_error()
    }
}

/// Every problem of an app: errors, then warnings, each in the order of files and lines.
///
/// [`Problem::severity`] distinguishes errors and warnings. `Display` and the error text are those of
/// [`Problems::render`] without color. It serializes for tools as `{"errors": 2, "warnings": 1, "omitted": 0,
/// "problems": […]}`.
#[derive(Clone, Default)]
pub struct Problems {
    pub(super) kept: BoundedList<Problem>,
}

impl Problems {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds findings to the texts that they point into, and sorts them by location.
    pub(super) fn bind(found: BoundedList<Diagnostic>, sources: &Arc<SourceMap>) -> Self {
        let bind = |diagnostic| Problem { diagnostic, sources: Arc::clone(sources) };
        let mut problems = Self { kept: found.map(bind) };
        problems.sort();
        problems
    }

    /// Adds a problem of an app with the texts `sources`.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic, sources: &Arc<SourceMap>) {
        self.kept.push(Problem { diagnostic, sources: Arc::clone(sources) });
    }

    /// Returns true if further problems are only counted, so that their locations need not be computed.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    /// Adds all problems of another list.
    pub fn append(&mut self, other: Self) {
        self.kept.append(other.kept);
    }

    /// Keeps the problems for which `wanted` is true. Problems that were only counted stay counted.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&Problem) -> bool) {
        self.kept.retain(wanted);
    }

    /// Removes the warnings.
    #[must_use]
    pub fn without_warnings(mut self) -> Self {
        self.kept.drop_warnings();
        self
    }

    /// Iterates over the stored problems.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.kept.as_slice().iter()
    }

    /// Returns the number of problems that are counted but not stored.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.kept.omitted()
    }

    /// Returns the number of errors, stored or not.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.kept.errors()
    }

    /// Returns the number of warnings, stored or not.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.kept.warnings()
    }

    /// Returns true if there are no problems.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors() + self.warnings() == 0
    }

    /// Sorts errors before warnings, and each by location. Problems without a location come first.
    pub fn sort(&mut self) {
        self.kept.sort_by_key(|one| {
            let place = one.diagnostic.span.map(|span| (span.source, span.start, span.end));
            (one.severity(), place)
        });
    }
}
