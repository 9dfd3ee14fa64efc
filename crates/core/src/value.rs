//! A value without a type: the tree for those who want one.

mod de;
mod ser;

pub use ser::ValueError;

use std::fmt;

/// A value without a type, as wide as serde's data model in its self-describing formats.
///
/// `Int` holds every integer that an `i64` can; `UInt` only those above. Values made through serde or
/// `From` keep to that, so that equal numbers are equal values.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing: JSON's `null`, Lua's `nil`, WIT's none.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer that fits an `i64`.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A number with a fraction, or one outside the integers.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Value>),
    /// Pairs in their order; keys are most often text.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// The value under a text key, if this is a map that has it.
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

/// JSON, so that errors and logs show a value the way callers write it. Bytes and keys that are not
/// text, which JSON lacks, are shown as serde would hand them on.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(text) => f.write_str(&text),
            Err(_) => write!(f, "{self:?}"),
        }
    }
}
