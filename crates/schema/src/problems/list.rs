//! Problems in their places.

use std::sync::Arc;

use crisol_core::EntryId;

use super::kept::{Kept, Severe};
use super::report::{Finding, Severity};
use crate::rule::Rule;
use crate::source::{Place, Sources};

/// A problem in its place.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(super) finding: Finding,
    pub(super) sources: Arc<Sources>,
}

impl Problem {
    /// Whether it stops the app.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.finding.report.severity
    }

    /// The rule that was broken.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.finding.report.rule
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.finding.report.message
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.finding.report.help.as_deref()
    }

    /// Where it stands; none when the app as a whole is meant.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.sources.place(self.finding.span?)
    }

    /// The entry it is in.
    #[must_use]
    pub fn entry(&self) -> Option<&EntryId> {
        self.finding.entry.as_ref()
    }

    /// The field it is in, such as `wasi.mounts[0].guest`.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.finding.field.as_deref()
    }
}

impl Severe for Problem {
    fn is_error(&self) -> bool {
        self.finding.is_error()
    }
}

/// All that is wrong with an app: errors, then warnings, each in the order of files and lines.
///
/// Errors and warnings are together: see [`Problem::severity`]. As an error, and with `{}`, it is the
/// same text as [`Problems::render`] without colour. It serialises for tools as
/// `{"errors": 2, "warnings": 1, "omitted": 0, "problems": […]}`.
#[derive(Clone, Default)]
pub struct Problems {
    pub(super) kept: Kept<Problem>,
}

impl Problems {
    /// No problems yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Findings with the texts that they point into, in the order of their places.
    pub(super) fn bind(found: Kept<Finding>, sources: &Arc<Sources>) -> Self {
        let bind = |finding| Problem { finding, sources: Arc::clone(sources) };
        let mut problems = Self { kept: found.map(bind) };
        problems.sort();
        problems
    }

    /// Adds a problem of an app whose texts are `sources`.
    pub(crate) fn push(&mut self, finding: Finding, sources: &Arc<Sources>) {
        self.kept.push(Problem { finding, sources: Arc::clone(sources) });
    }

    /// Whether further problems are only counted: then there is no use in looking for places.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    /// Takes over all of another's problems.
    pub fn append(&mut self, other: Self) {
        self.kept.append(other.kept);
    }

    /// Keeps the problems that `wanted` names; those that were only counted stay so.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&Problem) -> bool) {
        self.kept.retain(wanted);
    }

    /// The errors alone.
    #[must_use]
    pub fn without_warnings(mut self) -> Self {
        self.kept.drop_warnings();
        self
    }

    /// Each problem that was kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.kept.as_slice().iter()
    }

    /// How many were found over those that were kept.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.kept.omitted()
    }

    /// How many errors there are, kept or not.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.kept.errors()
    }

    /// How many warnings there are, kept or not.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.kept.warnings()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors() + self.warnings() == 0
    }

    /// Puts errors before warnings, and either in the order of their places, those without a place first.
    pub fn sort(&mut self) {
        self.kept.sort_by_key(|one| {
            let place = one.finding.span.map(|span| (span.source, span.start, span.end));
            (one.severity(), place)
        });
    }
}
