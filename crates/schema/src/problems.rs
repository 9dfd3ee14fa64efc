//! Problems of an app: what is wrong, where it stands and what to do. Knows neither YAML nor entries'
//! kinds; every crate that finds something in an entry reports it through here.

mod json;
mod kept;
mod render;
mod rule;

use std::fmt;
use std::sync::Arc;

use crisol_core::EntryId;

pub use render::Color;
pub use rule::Rule;

use kept::Kept;

use crate::check::top;
use crate::registry::Registry;
use crate::source::{Place, Sources, Span};

/// How many problems are kept; further ones are only counted.
pub(crate) const MAX_PROBLEMS: usize = 1_000;

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

/// What was found while the texts of an app are still being gathered.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    kept: Kept<Finding>,
    /// Fields of entries that were most likely meant by names that are none.
    misspelt: Vec<(EntryId, String)>,
    /// What is found now is about an entry whose id another has.
    in_second: bool,
}

#[derive(Debug, Clone)]
struct Finding {
    report: Report,
    span: Option<Span>,
    entry: Option<EntryId>,
    field: Option<String>,
    /// The entry is not the one that its id stands for, but another of the same id.
    of_second: bool,
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
            self.misspelt.push((entry.clone(), field.to_owned()));
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
    pub(crate) fn fields_with_errors(&self) -> Vec<(EntryId, String)> {
        let is_error = |one: &&Finding| one.report.severity == Severity::Error && !one.of_second;
        let errors = self.kept.as_slice().iter().filter(is_error);
        let field = |one: &Finding| {
            let field = top(one.field.as_deref()?).to_owned();
            Some((one.entry.clone()?, field))
        };
        errors.filter_map(field).chain(self.misspelt.iter().cloned()).collect()
    }

    /// A problem that is in no entry.
    pub(crate) fn file(&mut self, span: Span, report: Report) {
        self.push(Some(span), None, None, report);
    }

    /// Ties what was found to the texts that it points into, in the order of their places.
    pub(crate) fn into_problems(self, sources: &Arc<Sources>) -> Problems {
        let bind = |finding| Problem { finding, sources: Arc::clone(sources) };
        let mut problems = Problems { kept: self.kept.map(bind) };
        problems.sort();
        problems
    }
}

/// A problem in its place.
#[derive(Debug, Clone)]
pub struct Problem {
    finding: Finding,
    sources: Arc<Sources>,
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

/// All that is wrong with an app: errors, then warnings, each in the order of files and lines.
///
/// Errors and warnings are together: see [`Problem::severity`]. As an error, and with `{}`, it is the
/// same text as [`Problems::render`] without colour. It serialises for tools as
/// `{"errors": 2, "warnings": 1, "omitted": 0, "problems": […]}`.
#[derive(Clone, Default)]
pub struct Problems {
    kept: Kept<Problem>,
}

impl Problems {
    /// No problems yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem at a field of a loaded entry: what other crates find where this one cannot
    /// look, such as a wrong hash. A field that is not written points at what is nearest to it.
    pub fn at(&mut self, registry: &Registry, id: &EntryId, field: &str, report: Report) {
        let span = (!self.kept.is_full()).then(|| registry.span_of(id, field)).flatten();
        let field = (!field.is_empty()).then(|| field.to_owned());
        let entry = registry.written(id);
        let finding = Finding { report, span, entry, field, of_second: false };
        self.kept.push(Problem { finding, sources: Arc::clone(registry.sources()) });
    }

    /// Adds a problem inside the text that a field holds or names (`source`, `wit`): `offset` is a
    /// byte offset into the text as the entry has it, and the caret lands there, in the YAML file or
    /// in the file that `file://` names.
    pub fn inside(
        &mut self,
        registry: &Registry,
        id: &EntryId,
        field: &str,
        offset: usize,
        report: Report,
    ) {
        let span =
            (!self.kept.is_full()).then(|| registry.span_inside(id, field, offset)).flatten();
        let field = Some(field.to_owned());
        let entry = registry.written(id);
        let finding = Finding { report, span, entry, field, of_second: false };
        self.kept.push(Problem { finding, sources: Arc::clone(registry.sources()) });
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

    /// The text for a terminal or a log.
    #[must_use]
    pub fn render(&self, color: Color) -> String {
        render::render(self, color)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Color::Never))
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Problems {}
