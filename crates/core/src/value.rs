//! Untyped values as a tree.

mod de;
mod ser;

pub use ser::ValueError;

use std::fmt;

/// An untyped value, with a variant for each type of self-describing serde formats.
///
/// `Int` holds every integer that fits an `i64`, and `UInt` only those above. Values made through serde or `From`
/// keep to this rule, so that equal integers are equal values. Floats compare as [`f64`] does: a NaN differs from itself,
/// and `Float(1.0)` differs from `Int(1)`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// JSON's `null`, Lua's `nil`, WIT's none.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer that fits an `i64`.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A number with a fraction, or beyond the integers.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Value>),
    /// Pairs in their order. Keys are usually text.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// Returns the value of a text key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(pairs) => pairs.iter().find_map(|(k, value)| {
                matches!(k, Self::Text(text) if text == key).then_some(value)
            }),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// Formats the value as JSON, so that errors and logs show it in the way that callers write it. A value without a JSON form,
/// such as a map with other keys than text, is shown in its debug form.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "{self:?}"),
        }
    }
}
