//! Base of values that are written as one text: the parse error, and the macro for field types.

use crate::problems::Report;
use crate::rule::Rule;

/// Error of a text that is not a value of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidValue {
    rule: Rule,
    message: String,
    help: String,
}

impl InvalidValue {
    pub(super) fn new(rule: Rule, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { rule, message: message.into(), help: help.into() }
    }

    /// Returns the fix: an example of a valid text.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }

    pub(crate) fn report(self) -> Report {
        Report::error(self.rule, self.message).help(self.help)
    }
}

/// Makes a type with `FromStr<Err = InvalidValue>` and `Display` a field type.
macro_rules! text_value {
    ($type:ident, $wanted:literal, $example:literal, $schema:tt $(, $remedy:literal)?) => {
        impl $crate::decode::Decode for $type {
            const EXAMPLE: &'static str = $example;
            $(const REMEDY: Option<&'static str> = Some($remedy);)?

            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::decode::DecodeContext<'_>) -> Option<Self> {
                let text = $crate::decode::text(node, $wanted, $example, cx)?;
                match text.parse() {
                    Ok(value) => Some(value),
                    Err(bad) => {
                        let bad: $crate::values::InvalidValue = bad;
                        cx.report(node.span, bad.report());
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

pub(super) use text_value;
