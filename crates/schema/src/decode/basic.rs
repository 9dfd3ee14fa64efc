//! Basic field types: text, numbers, booleans, closed lists of words, and texts from files.

use std::path::PathBuf;
use std::sync::Arc;

use crisol_core::suggest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::context::{Decode, DecodeContext};
use crate::problems::Report;
use crate::rule::Rule;
use crate::source::Span;
use crate::yaml::{Data, Node, ScalarValue, quote};

/// Returns the text of a node, or reports a value of another type.
pub(crate) fn text<'n>(
    node: &'n Node,
    wanted: &str,
    example: &str,
    cx: &mut DecodeContext<'_>,
) -> Option<&'n str> {
    let found = node.text();
    if found.is_none() {
        cx.wrong_type(node, wanted, example);
    }
    found
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(inline, transparent)]
pub(crate) struct Text(pub(crate) String);

impl Decode for Text {
    const EXAMPLE: &'static str = "text";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        text(node, "text", Self::EXAMPLE, cx).map(|text| Self(text.to_owned()))
    }
}

/// A text that may look like a number or a boolean and is taken as written, for values of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScalarText(pub(crate) String);

impl JsonSchema for ScalarText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ScalarText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

impl Decode for ScalarText {
    const EXAMPLE: &'static str = "text";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        if let Data::Scalar(scalar) = &node.data
            && !scalar.is_null()
        {
            return Some(Self(scalar.text.to_string()));
        }
        cx.wrong_type(node, "text", Self::EXAMPLE);
        None
    }
}

impl Decode for bool {
    const EXAMPLE: &'static str = "true";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        if let Data::Scalar(scalar) = &node.data
            && let ScalarValue::Bool(value) = scalar.value()
        {
            return Some(value);
        }
        cx.wrong_type(node, "`true` or `false`", Self::EXAMPLE);
        None
    }
}

/// An integer from `MIN` to `MAX`, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Int<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> JsonSchema for Int<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Int_{MIN}_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

impl<const MIN: u64, const MAX: u64> Decode for Int<MIN, MAX> {
    const EXAMPLE: &'static str = "8";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let Some(int) = node.int() else {
            cx.wrong_type(node, &format!("a whole number from {MIN} to {MAX}"), "");
            return None;
        };
        match u64::try_from(int) {
            Ok(fits) if (MIN..=MAX).contains(&fits) => Some(Self(fits)),
            _ => {
                let message =
                    format!("{} is {int}, but must be from {MIN} to {MAX}", cx.current_name());
                let near = if int < i128::from(MIN) { MIN } else { MAX };
                let help = format!("write `{}`", cx.example_line(&near.to_string()));
                cx.report(node.span, Report::error(Rule::BAD_RANGE, message).help(help));
                None
            }
        }
    }
}

/// Reads a word of a closed list.
pub(crate) fn one_of<T: Clone>(
    node: &Node,
    words: &[(&str, T)],
    rule: Rule,
    cx: &mut DecodeContext<'_>,
) -> Option<T> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let found = text(node, "text", names.first().copied().unwrap_or(""), cx)?;
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == found) {
        return Some(value.clone());
    }
    let message = match rule {
        Rule::UNKNOWN_KIND => format!("unknown kind {}", quote(found)),
        _ => format!("unknown value {} of {}", quote(found), cx.current_name()),
    };
    let help =
        if cx.diagnostics.is_full() { String::new() } else { suggest::or_list(found, &names) };
    cx.report(node.span, Report::error(rule, message).help(help));
    None
}

/// A text written inline, or read from `file://path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InlineOrFile {
    pub(crate) text: Arc<str>,
    /// Path of the file, relative to the app; `None` for an inline text.
    pub(crate) file: Option<PathBuf>,
    /// Location of the text: in the YAML, or the start of the file.
    pub(crate) span: Span,
}

impl JsonSchema for InlineOrFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InlineOrFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

impl Decode for InlineOrFile {
    const EXAMPLE: &'static str = "file://path";

    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let written = text(node, "text", Self::EXAMPLE, cx)?;
        let Some(path) = written.strip_prefix("file://") else {
            if written.trim().is_empty() {
                let report =
                    Report::error(Rule::BAD_FORM, format!("{} is empty", cx.current_name())).help(
                        format!(
                            "write the text here, or name a file: `{}`",
                            cx.example_line(Self::EXAMPLE)
                        ),
                    );
                cx.report(node.span, report);
                return None;
            }
            return Some(Self { text: written.into(), file: None, span: node.span });
        };
        match cx.files.source(cx.file, path, cx.sources) {
            Ok((file, source)) => {
                let text = Arc::clone(&cx.sources.get(source)?.text);
                Some(Self { text, file: Some(file), span: Span::head(source) })
            }
            Err(report) => {
                cx.report(node.span, report);
                None
            }
        }
    }
}
