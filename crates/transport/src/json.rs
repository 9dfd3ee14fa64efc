//! Values as JSON text, without a tree in between.

use crisol_core::Value;
use serde::ser::{Serialize, Serializer};

/// A value as JSON text in the encoding used everywhere: `"NaN"`, `"Infinity"` and `"-Infinity"` stand for the
/// numbers that JSON lacks.
pub(crate) struct Json<'a>(pub(crate) &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Float(v) if v.is_nan() => serializer.serialize_str("NaN"),
            Value::Float(v) if v.is_infinite() && *v > 0.0 => serializer.serialize_str("Infinity"),
            Value::Float(v) if v.is_infinite() => serializer.serialize_str("-Infinity"),
            Value::List(items) => serializer.collect_seq(items.iter().map(Json)),
            Value::Map(pairs) => {
                serializer.collect_map(pairs.iter().map(|(key, value)| (Json(key), Json(value))))
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinities_are_text() -> Result<(), serde_json::Error> {
        let value = Value::List(vec![Value::Float(f64::NAN), Value::Float(f64::NEG_INFINITY)]);
        assert_eq!(serde_json::to_string(&Json(&value))?, r#"["NaN","-Infinity"]"#);
        Ok(())
    }
}
