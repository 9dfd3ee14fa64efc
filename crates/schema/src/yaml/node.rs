//! Tree of values with their locations.

use std::sync::Arc;

use super::scalar::{Scalar, ScalarValue, Style};
use crate::source::Span;

/// A value and its location. Aliases share the node they refer to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// Number of values in this node with all aliases expanded, itself included. Limits on files keep it
    /// small.
    pub(super) weight: u32,
    /// Depth of nesting with all aliases expanded; 1 for a scalar.
    pub(super) depth: u32,
    pub(crate) data: Data,
}

/// Content of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Arc<Node>>),
    Map(Vec<Pair>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    pub(crate) key: Arc<str>,
    pub(crate) key_span: Span,
    pub(crate) value: Arc<Node>,
}

impl Node {
    pub(crate) fn new(span: Span, data: Data) -> Self {
        let inner = match &data {
            Data::Scalar(_) => (0, 0),
            Data::List(items) => taken(items.iter()),
            Data::Map(pairs) => taken(pairs.iter().map(|pair| &pair.value)),
        };
        Self { span, weight: inner.0.saturating_add(1), depth: inner.1.saturating_add(1), data }
    }

    pub(crate) fn null(span: Span) -> Self {
        Self::new(span, Data::Scalar(Scalar::new("", Style::Plain)))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if scalar.is_null())
    }

    /// Returns the pairs of a map; empty for other nodes.
    pub(crate) fn pairs(&self) -> &[Pair] {
        match &self.data {
            Data::Map(pairs) => pairs,
            Data::Scalar(_) | Data::List(_) => &[],
        }
    }

    /// Returns the pair of a key, if this is a map with that key.
    pub(crate) fn pair(&self, key: &str) -> Option<&Pair> {
        self.pairs().iter().find(|pair| &*pair.key == key)
    }

    /// Returns the value of a key, if this is a map with that key.
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Node>> {
        self.pair(key).map(|pair| &pair.value)
    }

    fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            Data::List(_) | Data::Map(_) => None,
        }
    }

    /// Returns the text, if this is a text.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar()?.as_text()
    }

    /// Returns true for the boolean `true`.
    pub(crate) fn is_true(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if matches!(scalar.value(), ScalarValue::Bool(true)))
    }

    /// Returns the integer, if this is one.
    pub(crate) fn int(&self) -> Option<i128> {
        match self.scalar()?.value() {
            ScalarValue::Int(int) => Some(int),
            ScalarValue::Float(float) if float.fract() == 0.0 && float.abs() < 1e15 => {
                Some(float as i128)
            }
            ScalarValue::Null
            | ScalarValue::Bool(_)
            | ScalarValue::Float(_)
            | ScalarValue::Text(_) => None,
        }
    }

    /// Returns the items of a list under a key; empty for other nodes.
    pub(crate) fn items(&self, key: &str) -> &[Arc<Node>] {
        match self.get(key).map(|node| &node.data) {
            Some(Data::List(items)) => items,
            _ => &[],
        }
    }

    /// Returns true if a key has a value other than null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| !node.is_null())
    }

    /// Returns the location of the value of a key, or of this node if there is none.
    pub(crate) fn span_of(&self, key: &str) -> Span {
        self.get(key).map_or(self.span, |node| node.span)
    }
}

/// Returns the total weight and maximum depth of the children of a list or map.
fn taken<'n>(nodes: impl Iterator<Item = &'n Arc<Node>>) -> (u32, u32) {
    let all = |(weight, depth): (u32, u32), node: &Node| {
        (weight.saturating_add(node.weight), depth.max(node.depth))
    };
    nodes.fold((0, 0), |sum, node| all(sum, node))
}
