//! What is said of a problem, before it has a place and with it.

use crisol_core::EntryId;

use super::kept::Severe;
use crate::rule::Rule;
use crate::source::Span;

/// Whether a problem stops the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The app does not load.
    Error,
    /// The app loads; something in it is likely not what was meant.
    Warning,
}

/// What there is to say about a problem, before it has a place.
///
/// The message is lowercase without a full stop and says what was found; the help says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub(crate) severity: Severity,
    pub(crate) rule: Rule,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
    pub(crate) also: Vec<(Span, String)>,
}

impl Report {
    /// A problem that stops the app.
    #[must_use]
    pub fn error(rule: Rule, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            rule,
            message: message.into(),
            label: None,
            help: None,
            also: Vec::new(),
        }
    }

    /// A problem that does not.
    #[must_use]
    pub fn warning(rule: Rule, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(rule, message) }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A word or two beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that has to do with it.
    pub(crate) fn also(mut self, place: Option<Span>, label: impl Into<String>) -> Self {
        self.also.extend(place.map(|place| (place, label.into())));
        self
    }
}

/// A report with its place, on the heap: results that carry one stay small.
pub(crate) type Fault = Box<(Span, Report)>;

pub(crate) fn fault(span: Span, report: Report) -> Fault {
    Box::new((span, report))
}

/// A report with its entry, field and place.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(super) report: Report,
    pub(super) span: Option<Span>,
    pub(super) entry: Option<EntryId>,
    pub(super) field: Option<String>,
    /// The entry is not the one that its id stands for, but another of the same id.
    pub(super) of_second: bool,
}

impl Finding {
    /// A finding about the entry that an id stands for, or about none.
    pub(crate) fn of(
        entry: Option<EntryId>,
        field: Option<String>,
        span: Option<Span>,
        report: Report,
    ) -> Self {
        Self { report, span, entry, field, of_second: false }
    }
}

impl Severe for Finding {
    fn is_error(&self) -> bool {
        self.report.severity == Severity::Error
    }
}
