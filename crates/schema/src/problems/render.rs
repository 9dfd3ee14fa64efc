//! Problems for people: the line, a caret and a `help:` line.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Problem, Problems, Severity};
use crate::source::{Source, Span};

/// Lines longer than this are cut around the caret before they are drawn.
const MAX_LINE: usize = 400;

/// Whether the text has terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// ANSI escapes.
    Always,
    /// None: for logs, files and tests.
    Never,
}

pub(super) fn render(problems: &Problems, color: Color) -> String {
    let renderer = match color {
        Color::Always => Renderer::styled(),
        Color::Never => Renderer::plain(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for problem in problems.iter() {
        out.push_str(&one(&renderer, problem));
        out.push_str("\n\n");
    }
    out.push_str(&summary(problems));
    out.push('\n');
    out
}

/// `3 errors and 1 warning`.
fn summary(problems: &Problems) -> String {
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if problems.errors() > 0 || problems.warnings() == 0 {
        parts.push(count(problems.errors(), "error"));
    }
    if problems.warnings() > 0 {
        parts.push(count(problems.warnings(), "warning"));
    }
    let omitted = match problems.omitted() {
        0 => String::new(),
        n => format!(" ({n} of them not shown)"),
    };
    format!("{}{omitted}", parts.join(" and "))
}

fn one(renderer: &Renderer, problem: &Problem) -> String {
    let level = match problem.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(problem.message())).id(problem.rule().as_str());
    let mut group = Group::with_title(title);
    let main = problem
        .finding
        .span
        .map(|span| (span, problem.finding.report.label.clone(), AnnotationKind::Primary));
    let also = problem.finding.report.also.iter();
    let also = also.map(|(span, label)| (*span, Some(label.clone()), AnnotationKind::Context));
    for (span, label, kind) in main.into_iter().chain(also) {
        if let Some(source) = problem.sources.get(span.source) {
            group = group.element(snippet(source, span, label, kind));
        }
    }
    if let Some(help) = problem.help() {
        group = group.element(Level::HELP.message(clean(help)));
    }
    renderer.render(&[group])
}

/// A message may quote what a file holds: no control character of it reaches the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The line of a place with its caret. Only that line is handed on: drawing costs what a line
/// costs, however large the file.
fn snippet(
    source: &Source,
    span: Span,
    label: Option<String>,
    kind: AnnotationKind,
) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let range = source.clip(span.range());
    let line = source.line_of(range.start);
    let start = source.line_start(line);
    let text = source.line(line);
    let local = range.start.saturating_sub(start)..range.end.saturating_sub(start);
    let (text, local) = cut(text, local);
    let mut annotation = kind.span(local);
    if let Some(label) = label {
        annotation = annotation.label(clean(&label));
    }
    Snippet::source(text)
        .path(clean(&source.name))
        .line_start(line + 1)
        .fold(false)
        .annotation(annotation)
}

/// The part of a long line that is around the caret.
fn cut(text: &str, at: Range<usize>) -> (&str, Range<usize>) {
    if text.len() <= MAX_LINE {
        return (text, at);
    }
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
    (text.get(from..to).unwrap_or(""), at.start - from..end - from)
}
