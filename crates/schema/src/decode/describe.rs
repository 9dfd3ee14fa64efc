//! Descriptions of nodes, for messages about wrong types.

use crate::yaml::{Data, Node, Scalar, ScalarValue, Style, quote, shorten};

/// Describes a node in words.
pub(super) fn describe(node: &Node) -> String {
    match &node.data {
        Data::Scalar(scalar) => scalar.describe(),
        Data::List(_) => "a list".to_owned(),
        Data::Map(_) => "a map".to_owned(),
    }
}

/// Returns the help for a value that is wrong only because of its quotes.
pub(super) fn quoting_help(node: &Node, wanted: &str) -> Option<String> {
    let Data::Scalar(scalar) = &node.data else { return None };
    let bare = Scalar::new(scalar.text.clone(), Style::Plain);
    match (scalar.value(), bare.value()) {
        (ScalarValue::Bool(_) | ScalarValue::Int(_) | ScalarValue::Float(_), _)
            if wanted.contains("text") =>
        {
            Some(format!("quote it: `\"{}\"`", shorten(&scalar.text)))
        }
        (ScalarValue::Text(_), ScalarValue::Int(_)) if wanted.contains("number") => {
            Some(format!("write {} without quotes", quote(&scalar.text)))
        }
        (ScalarValue::Text(text), natural) if wanted.contains("true") => {
            let word = match (natural, text.to_ascii_lowercase().as_str()) {
                (ScalarValue::Bool(value), _) => value,
                (_, "yes" | "y" | "on") => true,
                (_, "no" | "n" | "off") => false,
                _ => return None,
            };
            Some(format!("write `{word}`"))
        }
        _ => None,
    }
}
