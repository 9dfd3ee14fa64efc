//! Tags: the type they give a scalar, and checks that they fit the value.

use granit_parser::{ScalarStyle, Tag};

use super::scalar::{Natural, Scalar, Style, quote};
use crate::problems::Report;
use crate::rule::Rule;

/// Returns the style of a scalar without a tag.
pub(super) fn style(style: ScalarStyle) -> Style {
    if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted }
}

/// Reads a scalar by its tag. Also returns the problem of a wrong tag.
pub(super) fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> (Scalar, Option<Report>) {
    let written = Scalar::new(text, self::style(style));
    let Some(tag) = tag else { return (written, None) };
    let plain = Scalar::new(text, Style::Plain);
    let fits = match (tag.core_suffix(), plain.natural()) {
        (None, _) => return (written, Some(unknown(tag))),
        (Some("str"), _) => return (Scalar::new(text, Style::Quoted), None),
        (Some("int"), natural) => matches!(natural, Natural::Int(_)),
        (Some("float"), natural) => matches!(natural, Natural::Int(_) | Natural::Float(_)),
        (Some("bool"), natural) => matches!(natural, Natural::Bool(_)),
        (Some("null"), natural) => matches!(natural, Natural::Null),
        (Some(_), _) => false,
    };
    let wrong = (!fits).then(|| wrong(tag, &written.describe()));
    (plain, wrong)
}

/// Checks the tag of a list (`seq`) or a map (`map`).
pub(super) fn collection(own: &str, tag: Option<&Tag>) -> Option<Report> {
    let tag = tag?;
    match tag.core_suffix() {
        None => Some(unknown(tag)),
        Some(name) if name == own => None,
        Some(_) => Some(wrong(tag, if own == "seq" { "a list" } else { "a map" })),
    }
}

fn unknown(tag: &Tag) -> Report {
    let message = format!("unknown tag {}", quote(&tag.to_string()));
    Report::error(Rule::YAML_TAG, message).help("remove the tag")
}

fn wrong(tag: &Tag, found: &str) -> Report {
    let message = format!("the tag `!!{}` does not fit {found}", tag.core_suffix().unwrap_or(""));
    Report::error(Rule::YAML_TAG, message).help("remove the tag, or write a value of its type")
}
