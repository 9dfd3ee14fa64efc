//! Arguments of a call, in the caller's own form.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use crate::Value;

/// Arguments of a call, in the caller's own form. The callee reads them by its own signature, straight into its own
/// form, so that no tree of [`Value`]s is built in between.
///
/// Every form is one *sequence of arguments*, in order.
#[non_exhaustive]
pub enum Args<'a> {
    /// A tree of values for each argument.
    Values(Vec<Value>),
    /// The text of a JSON array. It is separate from [`Args::Source`] because most callers hold JSON, and the
    /// callee reads it without dynamic dispatch.
    Json(Cow<'a, [u8]>),
    /// Any serde source that holds a sequence, such as MessagePack bytes or a Lua value.
    Source(Box<dyn erased_serde::Deserializer<'a> + Send + 'a>),
}

/// Error for arguments that cannot be read as a sequence of values.
#[derive(Debug, thiserror::Error)]
#[error("the arguments are not a sequence of values")]
pub struct ArgsError {
    #[source]
    source: crate::BoxError,
}

impl<'a> Args<'a> {
    /// An empty sequence of arguments.
    #[must_use]
    pub const fn none() -> Self {
        Self::Values(Vec::new())
    }

    /// Arguments from the text of a JSON array, borrowed or owned.
    #[must_use]
    pub fn json(text: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Json(text.into())
    }

    /// Arguments from any serde deserializer that yields a sequence.
    #[must_use]
    pub fn source<D>(deserializer: D) -> Self
    where
        D: serde::Deserializer<'a> + Send + 'a,
    {
        Self::Source(Box::new(<dyn erased_serde::Deserializer<'_>>::erase(deserializer)))
    }

    /// Reads the arguments into values, for a callee that needs a tree: a fake, or one that binds arguments by
    /// name.
    ///
    /// # Errors
    /// Fails if the source is malformed or is not a sequence.
    pub fn into_values(self) -> Result<Vec<Value>, ArgsError> {
        match self {
            Self::Values(values) => Ok(values),
            Self::Json(text) => {
                serde_json::from_slice(&text).map_err(|error| ArgsError { source: error.into() })
            }
            Self::Source(source) => Vec::<Value>::deserialize(source)
                .map_err(|error| ArgsError { source: error.to_string().into() }),
        }
    }
}

impl From<Vec<Value>> for Args<'_> {
    fn from(values: Vec<Value>) -> Self {
        Self::Values(values)
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => f.debug_tuple("Values").field(values).finish(),
            Self::Json(text) => {
                f.debug_tuple("Json").field(&String::from_utf8_lossy(text)).finish()
            }
            Self::Source(_) => f.write_str("Source(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_the_same_sequence() -> Result<(), ArgsError> {
        let text = br#"[6, "seven"]"#;
        let expected = vec![Value::Int(6), Value::from("seven")];
        let mut reader = serde_json::Deserializer::from_slice(text);
        assert_eq!(Args::json(&text[..]).into_values()?, expected);
        assert_eq!(Args::source(&mut reader).into_values()?, expected);
        assert_eq!(Args::from(expected.clone()).into_values()?, expected);
        assert!(Args::json(&b"6"[..]).into_values().is_err());
        Ok(())
    }
}
