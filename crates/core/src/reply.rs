//! Result of a call, serialized by the edge that made the call.

use std::any::Any;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::Value;

/// A result that serializes itself in the format that the edge chooses.
///
/// Implemented for every `Serialize` type; do not implement it by hand.
pub trait Output: Send + Sync + 'static {
    /// The result as a serde value of unknown type.
    fn as_serialize(&self) -> &dyn erased_serde::Serialize;

    /// Converts the result into a tree; a result that is a tree already is not copied.
    ///
    /// # Errors
    /// Fails if the result's own `Serialize` fails.
    fn into_value(self: Box<Self>) -> Result<Value, crate::ValueError>;

    /// Appends the result as JSON text: the same text as its `Serialize` produces, without dynamic dispatch for
    /// each part.
    ///
    /// # Errors
    /// Fails if the value has no JSON form (a map with keys that are not text).
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
}

impl<T: Serialize + Send + Sync + 'static> Output for T {
    fn as_serialize(&self) -> &dyn erased_serde::Serialize {
        self
    }

    fn into_value(mut self: Box<Self>) -> Result<Value, crate::ValueError> {
        match (&mut *self as &mut dyn Any).downcast_mut::<Value>() {
            Some(value) => Ok(std::mem::replace(value, Value::Null)),
            None => Value::from_serialize(&*self),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, self)
    }
}

/// A result with a faster JSON writer than its `Serialize`.
struct WithJson<T> {
    value: T,
    write: fn(&T, &mut Vec<u8>) -> Result<(), serde_json::Error>,
}

impl<T: Serialize + Send + Sync + 'static> Output for WithJson<T> {
    fn as_serialize(&self) -> &dyn erased_serde::Serialize {
        &self.value
    }

    fn into_value(self: Box<Self>) -> Result<Value, crate::ValueError> {
        Value::from_serialize(&self.value)
    }

    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        (self.write)(&self.value, out)
    }
}

/// Result of a call; null for a function without a result.
pub struct Reply(Box<dyn Output>);

impl Reply {
    /// Wraps a result.
    #[must_use]
    pub fn new(output: impl Output) -> Self {
        Self(Box::new(output))
    }

    /// Wraps a result with its own JSON writer. `write` must append the same text as serializing the result would.
    #[must_use]
    pub fn with_json<T: Serialize + Send + Sync + 'static>(
        value: T,
        write: fn(&T, &mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Self {
        Self(Box::new(WithJson { value, write }))
    }

    /// Appends the result as JSON text.
    ///
    /// # Errors
    /// Fails if the value has no JSON form (a map with keys that are not text).
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        self.0.write_json(out)
    }

    /// Copies the result into a tree.
    ///
    /// # Errors
    /// Fails if the result's own `Serialize` fails.
    pub fn to_value(&self) -> Result<Value, crate::ValueError> {
        Value::from_serialize(self)
    }

    /// Converts the result into a tree; a result that is a tree already is not copied.
    ///
    /// # Errors
    /// See [`Reply::to_value`].
    pub fn into_value(self) -> Result<Value, crate::ValueError> {
        self.0.into_value()
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        erased_serde::serialize(self.0.as_serialize(), serializer)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => f.debug_tuple("Reply").field(&value).finish(),
            Err(error) => f.debug_tuple("Reply").field(&error).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_the_same_as_json_and_as_a_tree() -> Result<(), Box<dyn std::error::Error>> {
        let reply = Reply::new(vec![(1, "one")]);
        let mut text = Vec::new();
        reply.write_json(&mut text)?;
        assert_eq!(text, br#"[[1,"one"]]"#);
        assert_eq!(serde_json::to_vec(&reply)?, text);
        let marked = Reply::with_json(vec![1], |_, out| {
            out.extend_from_slice(b"[ 1 ]");
            Ok(())
        });
        let mut own = Vec::new();
        marked.write_json(&mut own)?;
        assert_eq!(own, b"[ 1 ]");
        assert_eq!(marked.to_value()?, Value::List(vec![Value::Int(1)]));
        let pair = Value::List(vec![Value::Int(1), Value::from("one")]);
        assert_eq!(reply.to_value()?, Value::List(vec![pair.clone()]));
        assert_eq!(reply.into_value()?, Value::List(vec![pair.clone()]));
        assert_eq!(Reply::new(pair.clone()).into_value()?, pair);
        Ok(())
    }
}
