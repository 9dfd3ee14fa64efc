//! Text form of problems, for people: the line, a caret and a `help:` line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::list::{Problem, Problems};
use super::report::Severity;
use crate::source::{SourceFile, Span};

/// Maximum length of a drawn line, in bytes. A longer line is cut around the caret.
const MAX_LINE: usize = 400;

/// Color setting of rendered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// ANSI escapes.
    Always,
    /// Plain text: for logs, files and tests.
    Never,
}

impl Problems {
    /// Renders the problems for a terminal or a log.
    #[must_use]
    pub fn render(&self, color: Color) -> String {
        render(self, color)
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

fn render(problems: &Problems, color: Color) -> String {
    let renderer = match color {
        Color::Always => Renderer::styled(),
        Color::Never => Renderer::plain(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    let groups = groups(problems);
    for group in &groups {
        out.push_str(&one(&renderer, group));
        out.push_str("\n\n");
    }
    out.push_str(&summary(problems, &groups));
    out.push('\n');
    out
}

/// Groups problems with the same text, in the order of the first problem of each group.
fn groups(problems: &Problems) -> Vec<Vec<&Problem>> {
    let mut groups: Vec<Vec<&Problem>> = Vec::new();
    let mut by_text: HashMap<_, usize> = HashMap::new();
    for problem in problems.iter() {
        let report = &problem.diagnostic.report;
        // A problem with additional locations or without a location is never grouped.
        if !report.related.is_empty() || problem.diagnostic.span.is_none() {
            groups.push(vec![problem]);
            continue;
        }
        let text = (report.severity, report.rule, &report.message, &report.help, &report.label);
        let at = *by_text.entry(text).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(problem),
            None => groups.push(vec![problem]),
        }
    }
    groups
}

/// Formats `3 errors and 1 warning`, or `1 error in 26 places`.
fn summary(problems: &Problems, groups: &[Vec<&Problem>]) -> String {
    let count = |severity: Severity, places: usize, word: &str| {
        let of = groups.iter().filter(|group| group.iter().any(|one| one.severity() == severity));
        // Problems that were only counted cannot be grouped.
        let is_whole = problems.omitted() == 0;
        let n = if is_whole { of.count() } else { places };
        let within = if n == places { String::new() } else { format!(" in {places} places") };
        format!("{n} {word}{}{within}", if n == 1 { "" } else { "s" })
    };
    let mut parts = Vec::new();
    if problems.errors() > 0 || problems.warnings() == 0 {
        parts.push(count(Severity::Error, problems.errors(), "error"));
    }
    if problems.warnings() > 0 {
        parts.push(count(Severity::Warning, problems.warnings(), "warning"));
    }
    let omitted = match problems.omitted() {
        0 => String::new(),
        n => format!(" ({n} of them not shown)"),
    };
    format!("{}{omitted}", parts.join(" and "))
}

fn one(renderer: &Renderer, same: &[&Problem]) -> String {
    let Some((&problem, others)) = same.split_first() else { return String::new() };
    let level = match problem.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(problem.message())).id(problem.rule().as_str());
    let mut group = Group::with_title(title);
    let diagnostic = &problem.diagnostic;
    let label = label(problem);
    let main = diagnostic.span.map(|span| (span, label.clone(), AnnotationKind::Primary));
    let nowhere = diagnostic.span.is_none_or(|span| problem.sources.get(span.source).is_none());
    let related = diagnostic.report.related.iter();
    let related =
        related.map(|(span, label)| (*span, Some(label.clone()), AnnotationKind::Context));
    let mut columns = Vec::new();
    for (span, label, kind) in main.into_iter().chain(related) {
        if let Some(source) = problem.sources.get(span.source) {
            let (snippet, column) = snippet(source, span, label, kind);
            group = group.element(snippet);
            columns.extend(column);
        }
    }
    if let (true, Some(label)) = (nowhere, label) {
        group = group.element(Level::NOTE.message(clean(&label)));
    }
    if !others.is_empty() {
        group = group.element(Level::NOTE.message(other_locations(others)));
    }
    if let Some(help) = problem.help() {
        group = group.element(Level::HELP.message(clean(help)));
    }
    let mut out = renderer.render(&[group]);
    let mut from = 0;
    for Column { drawn, right } in columns {
        let Some(at) = out.get(from..).and_then(|rest| rest.find(&drawn)) else { continue };
        out.replace_range(from + at..from + at + drawn.len(), &right);
        from += at + right.len();
    }
    out
}

/// Formats the other locations of a group, one per line.
fn other_locations(others: &[&Problem]) -> String {
    let mut text = match others.len() {
        1 => "the same in 1 more place:".to_owned(),
        n => format!("the same in {n} more places:"),
    };
    for problem in others {
        let Some(place) = problem.location() else { continue };
        text.push_str(&format!("\n{place}"));
        if let Some(label) = label(problem) {
            text.push_str(&format!(" {label}"));
        }
    }
    clean(&text)
}

/// Location of a cut line, as drawn and as it is. The renderer counts columns in the cut line.
struct Column {
    drawn: String,
    right: String,
}

/// Returns the text beside the caret: the report's label, and the entry unless the label or the message names
/// it.
fn label(problem: &Problem) -> Option<String> {
    let own = problem.diagnostic.report.label.clone();
    let Some(id) = problem.entry() else { return own };
    let quoted = format!("`{id}`");
    let named = |text: &str| text.contains(&quoted);
    if named(problem.message()) || own.as_deref().is_some_and(named) {
        return own;
    }
    Some(match own {
        Some(own) => format!("{own}, in {quoted}"),
        None => format!("in {quoted}"),
    })
}

/// Replaces control characters, since a message may quote a file and must not control the terminal. Tabs and
/// line ends occur in traces.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\t', "    ");
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Returns the line of a location with its caret, and the column to correct if the line was cut. The renderer
/// gets only that line, so the cost does not depend on the size of the file.
fn snippet(
    source: &SourceFile,
    span: Span,
    label: Option<String>,
    kind: AnnotationKind,
) -> (Snippet<'_, Annotation<'_>>, Option<Column>) {
    let range = source.clip(span.range());
    let line = source.line_of(range.start);
    let start = source.line_start(line);
    let text = source.line(line);
    let local = range.start.saturating_sub(start)..range.end.saturating_sub(start);
    let path = clean(&source.name);
    let drawn = |text| Snippet::source(text).path(path.clone()).line_start(line + 1).fold(false);
    if text.len() <= MAX_LINE {
        return (drawn(Cow::from(text)).annotation(mark(kind, local, label)), None);
    }
    let (text, local) = cut_line(text, local);
    let shown = text.get(..local.start).map_or(0, |before| before.chars().count()) + 1;
    let right = source.location(range.start).column;
    let column = |column: usize| format!("{path}:{}:{column}", line + 1);
    let column = Column { drawn: column(shown), right: column(right as usize) };
    (drawn(Cow::from(text)).annotation(mark(kind, local, label)), Some(column))
}

fn mark(kind: AnnotationKind, at: Range<usize>, label: Option<String>) -> Annotation<'static> {
    let annotation = kind.span(at);
    match label {
        Some(label) => annotation.label(clean(&label)),
        None => annotation,
    }
}

/// Mark in place of a cut part.
const CUT: &str = "…";

/// Returns the part of a long line around the caret.
fn cut_line(text: &str, at: Range<usize>) -> (String, Range<usize>) {
    let boundary = |mut i: usize| {
        i = i.min(text.len());
        while !text.is_char_boundary(i) {
            i -= 1;
        }
        i
    };
    let from = boundary(at.start.saturating_sub(MAX_LINE / 2));
    let to = boundary(at.start.saturating_add(MAX_LINE / 2));
    let end = at.end.min(to).max(at.start);
    let before = if from > 0 { CUT } else { "" };
    let after = if to < text.len() { CUT } else { "" };
    let shown = text.get(from..to).unwrap_or("");
    let moved = |at: usize| at - from + before.len();
    (format!("{before}{shown}{after}"), moved(at.start)..moved(end))
}
