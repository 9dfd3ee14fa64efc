//! Tags: the type they give a scalar, and checks that they fit the value.

use granit_parser::{ScalarStyle, Tag};

use super::scalar::{Scalar, ScalarValue, Style, quote};
use crate::problems::{Diagnostics, Report};
use crate::rule::Rule;
use crate::source::Span;

/// Returns the style of a scalar without a tag.
pub(super) fn style(style: ScalarStyle) -> Style {
    if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted }
}

/// A scalar as written, with its tag.
pub(super) struct TaggedScalar<'t> {
    pub(super) text: &'t str,
    pub(super) style: ScalarStyle,
    pub(super) tag: Option<&'t Tag>,
}

impl TaggedScalar<'_> {
    /// Reads the scalar by its tag. Reports an unknown tag, and one that does not fit.
    pub(super) fn read(&self, span: Span, diagnostics: &mut Diagnostics) -> Scalar {
        let Self { text, style, tag } = *self;
        let written = Scalar::new(text, self::style(style));
        let Some(tag) = tag else { return written };
        let plain = Scalar::new(text, Style::Plain);
        let fits = match (tag.core_suffix(), plain.value()) {
            (None, _) => {
                diagnostics.at(span, unknown(tag));
                return written;
            }
            (Some("str"), _) => return Scalar::new(text, Style::Quoted),
            (Some("int"), natural) => matches!(natural, ScalarValue::Int(_)),
            (Some("float"), natural) => {
                matches!(natural, ScalarValue::Int(_) | ScalarValue::Float(_))
            }
            (Some("bool"), natural) => matches!(natural, ScalarValue::Bool(_)),
            (Some("null"), natural) => matches!(natural, ScalarValue::Null),
            (Some(_), _) => false,
        };
        if !fits {
            diagnostics.at(span, wrong(tag, &written.describe()));
        }
        plain
    }
}

/// Reports the tag of a list (`seq`) or a map (`map`) if it is unknown or does not fit.
pub(super) fn check_collection(
    own: &str,
    tag: Option<&Tag>,
    span: Span,
    diagnostics: &mut Diagnostics,
) {
    let Some(tag) = tag else { return };
    match tag.core_suffix() {
        None => diagnostics.at(span, unknown(tag)),
        Some(name) if name == own => {}
        Some(_) => {
            diagnostics.at(span, wrong(tag, if own == "seq" { "a list" } else { "a map" }));
        }
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
