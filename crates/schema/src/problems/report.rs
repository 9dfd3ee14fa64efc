//! Content of a problem: with a location, and before it has one.

use crisol_core::EntryId;

use super::bounded_list::HasSeverity;
use crate::rule::Rule;
use crate::source::Span;

/// Severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The app does not load.
    Error,
    /// The app loads; its configuration is valid but suspicious.
    Warning,
}

/// Content of a problem without its location.
///
/// The message is lowercase without a full stop and states the error. The help states the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub(crate) severity: Severity,
    pub(crate) rule: Rule,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) related: Vec<(Span, String)>,
}

impl Report {
    /// Creates an error, which prevents loading.
    #[must_use]
    pub fn error(rule: Rule, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            rule,
            message: message.into(),
            label: None,
            help: None,
            related: Vec::new(),
        }
    }

    /// Creates a warning, which does not prevent loading.
    #[must_use]
    pub fn warning(rule: Rule, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(rule, message) }
    }

    /// Sets the fix.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets a word or two beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a related location.
    pub(crate) fn related(mut self, span: Option<Span>, label: impl Into<String>) -> Self {
        self.related.extend(span.map(|span| (span, label.into())));
        self
    }
}

/// A report with its location, for functions that fail. Boxed to keep results small.
#[derive(Debug)]
pub(crate) struct LocatedReport(pub(super) Box<(Span, Report)>);

impl LocatedReport {
    pub(crate) fn new(span: Span, report: Report) -> Self {
        Self(Box::new((span, report)))
    }
}

/// A report with its entry, field and location.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    pub(super) report: Report,
    pub(super) span: Option<Span>,
    pub(super) entry: Option<EntryId>,
    pub(super) field: Option<String>,
    /// True if the entry is a duplicate: another entry has its id.
    pub(super) of_duplicate: bool,
}

impl Diagnostic {
    /// Creates a diagnostic about the entry with an id, or about no entry.
    pub(crate) fn of(
        entry: Option<EntryId>,
        field: Option<String>,
        span: Option<Span>,
        report: Report,
    ) -> Self {
        Self { report, span, entry, field, of_duplicate: false }
    }
}

impl HasSeverity for Diagnostic {
    fn is_error(&self) -> bool {
        self.report.severity == Severity::Error
    }
}
